"""Exclusions: which files are refused, which findings are excluded, and until when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from procnet.contract import FINDINGS
from procnet.detections.catalog import load_detections
from procnet.errors import ExclusionError
from procnet.findings.exclusion_schema import load_exclusions
from procnet.findings.exclusions import apply_exclusions
from procnet.runs.regression import hidden_cases
from procnet.runs.selection import (
    Selection,
    enabled_exclusions,
    known_exclusions,
    run_fingerprints,
    unknown_detections,
)
from procnet.settings import ExclusionSettings, Settings, default_conf_dir

MSIEXEC = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
GOOD: dict[str, Any] = {
    "id": "own-domain", "detections": "all", "reason": "ours", "owner": "soc@corp.example",
    "valid_from": "2026-03-01T00:00:00Z", "valid_until": "2026-04-01T00:00:00Z",
    "findings": {"ours": {"dest_name|endswith": ".corp.example"}, "condition": "ours"},
}  # fmt: skip


def write_exclusion(folder: Path, **changes: Any) -> Path:
    values = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    path = folder / f"{values.get('id', 'x')}.yml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def predicate(**block: Any) -> dict[str, Any]:
    return {"a": {k.replace("__", "|"): v for k, v in block.items()}, "condition": "a"}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a name alone": ({"findings": predicate(process_name="update.exe")}, "a program's name alone is enough"),
    "a name, or more": (
        {"findings": {"a": {"process_name": "x.exe"}, "b": {"dest_ip": "192.0.2.7"}, "condition": "a or b"}},
        "a program's name alone is enough",
    ),
    "all but something": (
        {"findings": {"a": {"dest_port": 443}, "condition": "not a"}}, "a program's name alone is enough"),
    "a folder anywhere": ({"findings": predicate(process_path__contains="\\Temp\\")}, "holds in any folder"),
    "the end of a path": ({"findings": predicate(parent_process_path="*\\ccmexec.exe")}, "holds in any folder"),
    "a pattern without a begin": ({"findings": predicate(process_path__re="CCM")}, "holds in any folder"),
    "the end of a host's name": (
        {"findings": predicate(dest_name__endswith="corp.example")}, "holds for evilcorp.example too"),
    "a part of a name": (
        {"findings": predicate(dest_name__contains=".corp.")}, "contains '.corp.' holds for names with any end"),
    "the begin of a name": ({"findings": predicate(dest_name="updates.*")}, "which anyone can register"),
    "a pattern of names without an end": ({"findings": predicate(dest_name__re=r"\.corp\.example")}, "test the end"),
    "what the record calls the host": (
        {"findings": predicate(dest_host="a.corp.example")}, "chooses its reverse name: test dest_name"),
    "a name that is as the record calls the host": (
        {"findings": predicate(dest_name__fieldref="dest_host")}, "chooses its reverse name"),
    "names of kind reverse": (
        {"dest_name_by": ["process", "reverse"]}, "dest_name_by: the owner of an address chooses its reverse name"),
    "names of an unknown kind": ({"dest_name_by": ["dns"]}, "'process', 'record', 'host' or 'reverse'"),
    "names of no kind": ({"dest_name_by": []}, "dest_name_by: at least one is wanted"),
    "all names that fit": ({"findings": predicate(dest_names="a.corp.example")}, "there is no field dest_names"),
    "no end": ({"valid_until": None}, "valid_until: Field required"),
    "an end before the begin": ({"valid_until": "2026-02-01T00:00:00Z"}, "ends before it begins"),
    "more than a year": ({"valid_until": "2027-03-03T00:00:00Z"}, "more than a year"),
    "a time without a zone": ({"valid_from": "2026-03-01T00:00:00"}, "timezone"),
    "no owner": ({"owner": " "}, "owner: String should have at least 1 character"),
    "an unknown field": ({"findings": predicate(dest_namme="x")}, "did you mean dest_name?"),
    "an unknown key": ({"reasn": "x"}, "reasn: Extra inputs"),
    "a condition that uses nothing": ({"findings": {"a": {"dest_port": 1}}}, "no condition says"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_exclusions_are_refused(tmp_path: Path, case: str) -> None:
    changes, problem = REFUSED[case]
    with pytest.raises(ExclusionError) as e:
        load_exclusions([write_exclusion(tmp_path, **changes)])
    assert problem in e.value.message
    assert str(tmp_path) in e.value.message


def test_all_problems_of_all_files_are_in_one_error(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    bad = [
        write_exclusion(tmp_path, findings=predicate(process_name="a.exe", process_path__contains="b"), owner="a"),
        write_exclusion(tmp_path / "b", id="other", valid_until="2026-02-01T00:00:00Z"),
        write_exclusion(tmp_path / "b"),
        tmp_path / "none.yml",
    ]
    (tmp_path / "text.yml").write_text("just words")
    with pytest.raises(ExclusionError) as e:
        load_exclusions([*bad, tmp_path / "text.yml"])
    assert len(e.value.message.splitlines()) == 4, e.value.message
    with pytest.raises(ExclusionError, match=r"is that of .* too"):
        load_exclusions([write_exclusion(tmp_path), write_exclusion(tmp_path / "b")])


def finding(n: int, **values: Any) -> tuple[Any, ...]:
    row = {"finding_id": str(n), "detection_id": MSIEXEC, "detection_name": "Windows HTTP", "event_time": NOON}
    return tuple({**row, **values}.get(name) for name in FINDINGS.names)


@pytest.mark.spark
def test_findings_get_the_id_of_the_exclusion_that_applies(spark: SparkSession, tmp_path: Path) -> None:
    """Each finding, and the id of the exclusion that it must have."""
    ours = {"dest_name": "a.corp.example", "dest_name_by": "process"}
    by_dns_cache = {"dest_name": "b.updates.example", "dest_name_by": "host"}
    until = datetime(2026, 4, 1, tzinfo=timezone.utc)
    cases: list[tuple[dict[str, Any], str | None]] = [
        (ours, "own-domain"),
        ({**ours, "dest_name_by": "record"}, "own-domain"),
        ({**ours, "dest_name_by": "host"}, None),
        ({**ours, "dest_name_by": "reverse", "dest_host": "a.corp.example"}, None),
        ({**ours, "dest_name_by": None}, None),
        ({"dest_host": "a.corp.example"}, None),
        ({**ours, "dest_name": "a.evilcorp.example"}, None),
        ({**ours, "dest_name": "a.evil.example", "dest_names": ["a.evil.example", "a.corp.example"]}, None),
        ({"dest_name": None}, None),
        (by_dns_cache, "updates"),
        ({**by_dns_cache, "dest_name_by": "process"}, "updates"),
        ({**by_dns_cache, "dest_name_by": "record"}, None),
        ({**by_dns_cache, "dest_name_by": "reverse"}, None),
        ({**ours, "event_time": until - timedelta(microseconds=1)}, "own-domain"),
        ({**ours, "event_time": until}, None),
        ({**ours, "event_time": datetime(2026, 2, 28, 23, tzinfo=timezone.utc)}, None),
        ({"process": "MSIEXEC /i x", "dest_ip": "10.1.2.3"}, "by-line"),
        ({"process": "msiexec /i x", "dest_ip": "10.1.2.3", "detection_id": "other"}, None),
        ({"process": "msiexec /i x", "dest_ip": "10.1.2.3", "detection_id": "b", "detection_name": "2ND"}, "by-line"),
        ({**ours, "process": "msiexec /i x", "dest_ip": "10.1.2.3"}, "by-line"),
        ({"process": "msiexec /i x", "dest_ip": None}, None),
    ]  # fmt: skip
    block = {"a": {"command_line|startswith": "msiexec /i", "dest_ip|cidr": "10.0.0.0/8"}, "condition": "a"}
    line = write_exclusion(tmp_path, id="by-line", detections=[MSIEXEC, "2nd"], findings=block)
    updates = predicate(dest_name__endswith=".updates.example")
    by_host = write_exclusion(tmp_path, id="updates", dest_name_by=["host", "process"], findings=updates)
    exclusions = load_exclusions([write_exclusion(tmp_path), line, by_host])
    rows = spark.createDataFrame([finding(n, **values) for n, (values, _) in enumerate(cases)], FINDINGS)
    excluded_by = {r["finding_id"]: r["excluded_by"] for r in apply_exclusions(rows, exclusions).collect()}
    assert excluded_by == {str(n): expected for n, (_, expected) in enumerate(cases)}
    assert apply_exclusions(rows, exclusions).schema.simpleString() == rows.schema.simpleString()
    at_any_time = {
        r["finding_id"]: r["excluded_by"] for r in apply_exclusions(rows, exclusions, at_any_time=True).collect()
    }
    changed = [cases[int(n)][0]["event_time"] for n in excluded_by if excluded_by[n] != at_any_time[n]]
    assert changed == [until, datetime(2026, 2, 28, 23, tzinfo=timezone.utc)]


@pytest.mark.spark
def test_the_shipped_ones_hide_no_case_and_a_broad_one_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    shipped, detections = known_exclusions(Settings()), load_detections(default_conf_dir() / "detections")
    assert len(shipped) >= 3
    assert unknown_detections(shipped, detections) == []
    broad = write_exclusion(tmp_path, id="broad", findings=predicate(dest_ip__cidr="203.0.113.0/24", dest_port=443))
    msiexec = [d for d in detections if "MSIExec" in d.name]
    problems = hidden_cases(spark, [*shipped, *load_exclusions([broad])], msiexec, Settings())
    assert len(problems) > 5
    assert all("broad.yml: it hides the case" in p for p in problems), problems
    assert any("'the service fetches a package'" in p for p in problems)


def test_no_exclusion_is_active_unless_it_is_enabled() -> None:
    assert enabled_exclusions(Settings()) == ()


def test_enabled_by_id_or_file(tmp_path: Path) -> None:
    file = write_exclusion(tmp_path)

    def enabled(*names: str) -> list[str]:
        settings = Settings(exclusions=ExclusionSettings(folder=tmp_path, enabled=names))
        return [e.id for e in enabled_exclusions(settings)]

    assert enabled("own-domain") == enabled(str(file)) == ["own-domain"]
    with pytest.raises(ExclusionError, match="did you mean own-domain"):
        enabled("own-domian")


def test_exclusions_change_the_run_fingerprint(tmp_path: Path) -> None:
    detections = tuple(d for d in load_detections(default_conf_dir() / "detections") if d.id == MSIEXEC)

    def fingerprint_with(**changes: Any) -> str:
        exclusions = load_exclusions([write_exclusion(tmp_path, **changes)])
        return run_fingerprints(Selection(detections, exclusions), Settings())[MSIEXEC]

    plain = run_fingerprints(Selection(detections), Settings())[MSIEXEC]
    assert plain.startswith(detections[0].fingerprint)
    assert fingerprint_with() != plain
    assert fingerprint_with(reason="another", owner="another") == fingerprint_with()
    assert fingerprint_with(detections=["another detection"]) == plain
    assert fingerprint_with(valid_until="2026-03-20T00:00:00Z") != fingerprint_with()
    assert fingerprint_with(detections=[MSIEXEC]) != fingerprint_with()
    assert fingerprint_with(dest_name_by=["record", "process"]) == fingerprint_with()
    assert fingerprint_with(dest_name_by=["process"]) != fingerprint_with()
    by_address = predicate(dest_ip="192.0.2.7")
    assert fingerprint_with(findings=by_address, dest_name_by=["host"]) == fingerprint_with(findings=by_address)
