"""A broken detection or exclusion stops no other; the ledger and the exit code report it."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from cli.command import CommandResult, procnet
from procnet.contract import ACCEPTED_NAMES, NETWORK_EVENTS, PROCESS_EVENTS
from procnet.errors import DataError, DetectionError, ExclusionError
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.selection import enabled_exclusions, not_selected, select_detections, usable_exclusions
from procnet.settings import Budget, DetectionSettings, ExclusionSettings, Settings, default_conf_dir

SHIPPED = default_conf_dir() / "detections"
WEB, ANY_PORT = "windows_http_network_communication_from_msiexec.yml", "msiexec_any_port.yml"
MSIEXEC = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
HOUR = Window(NOON, NOON + timedelta(hours=1))
PERIOD = ("--start", "2026-03-01T12:00Z", "--end", "2026-03-01T13:00Z")


def folder(at: Path, *names: str, **edits: str) -> Path:
    """Writes a folder of shipped detection files, and of files with the given text."""
    at.mkdir(exist_ok=True)
    for name in names:
        shutil.copy(SHIPPED / name, at / name)
    for stem, text in edits.items():
        (at / f"{stem}.yml").write_text(text, encoding="utf-8")
    return at


def selected(at: Path, *enabled: str) -> tuple[list[str], tuple[str, ...]]:
    """Returns the files of the enabled detections that can run, and the problems of the others."""
    selection = select_detections(Settings(detections=DetectionSettings(folder=at, enabled=enabled)), [])
    return [d.path.name for d in selection.detections], selection.broken


def edited(file: str, **changes: Any) -> str:
    """Returns the text of a shipped detection file with some keys changed."""
    values = yaml.safe_load((SHIPPED / file).read_text(encoding="utf-8"))
    return str(yaml.safe_dump({**values, **changes}))


def test_all_detections_run_by_one_word_and_a_broken_file_is_reported(tmp_path: Path) -> None:
    at = folder(tmp_path, WEB, msiexec_any_port=edited(ANY_PORT, lookback="soon"))
    settings = Settings.model_validate({"detections": {"folder": at, "enabled": "all"}})
    for selection in (select_detections(settings, []), select_detections(settings, ["all"])):
        assert [d.path.name for d in selection.detections] == [WEB]
        assert ["'soon' is no duration" in p for p in selection.broken] == [True]
        assert not_selected(selection, settings) == 0
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.yml").write_text(edited(WEB, version=99), encoding="utf-8")
    both = select_detections(settings, [str(own / "mine.yml"), "all"])
    assert [d.version for d in both.detections] == [99], "the named file replaces the one of the folder"


def test_a_unique_beginning_names_a_detection(tmp_path: Path) -> None:
    at = folder(tmp_path, WEB, ANY_PORT)
    for name, file in {"b0f": WEB, "windows http": WEB, "Windows_HTTP": WEB, "network comm": ANY_PORT}.items():
        assert selected(at, name) == ([file], ()), name
    settings = Settings(detections=DetectionSettings(folder=at, enabled=("b0f",)))
    assert not_selected(select_detections(settings, []), settings) == 1
    (at / "msiexec.yml").write_text(edited(WEB, id="b0fd38c7-f71a-43a2-870e-f3ca06bcdd98", name="Windows HTTP 2"))
    with pytest.raises(DetectionError, match=r"'windows http' may mean .*HTTP 2"):
        selected(at, "windows http")
    assert selected(at, "msiexec") == (["msiexec.yml"], ()), "a whole name is meant before a beginning"
    (at / "msiexec.yml").write_text(edited(WEB, lookback="soon"))
    files, broken = selected(at, WEB[:-4], "msiexec")
    assert files == [WEB], "no other detection runs in the place of a broken one"
    assert broken


def test_a_broken_file_stops_no_other(tmp_path: Path) -> None:
    at = folder(tmp_path, WEB, msiexec_any_port=edited(ANY_PORT, lookback="soon"))
    name = "Network Communication From MSIExec On Any Port"
    for enabled in (name, "0c9a8f3e-5d0b-4a0e-9a55-6f0d1c7be2a4", "msiexec_any_port"):
        files, broken = selected(at, MSIEXEC, enabled)
        assert files == [WEB]
        assert [("msiexec_any_port.yml" in p, "'soon' is no duration" in p) for p in broken] == [(True, True)]
    assert selected(at, MSIEXEC) == ([WEB], ()), "a broken file that is not enabled is no problem"


def test_a_file_that_is_no_yaml_may_be_the_missing_detection(tmp_path: Path) -> None:
    files, broken = selected(folder(tmp_path, WEB, x="a: [b"), MSIEXEC, "0c9a8f3e-5d0b-4a0e-9a55-6f0d1c7be2a4")
    assert files == [WEB]
    assert ["not readable as YAML" in p for p in broken] == [True]


def test_two_files_of_one_id_are_both_broken(tmp_path: Path) -> None:
    at = folder(tmp_path, WEB, ANY_PORT, copy=edited(WEB, name="another"))
    files, broken = selected(at, MSIEXEC, "msiexec_any_port")
    assert files == [ANY_PORT]
    assert [f"id {MSIEXEC} is that of" in p for p in broken] == [True]


def test_a_file_whose_name_has_capitals_is_found_by_it(tmp_path: Path) -> None:
    at = folder(tmp_path, WEB, Own_Rule=edited(ANY_PORT, lookback="soon"), Other=edited(ANY_PORT))
    files, broken = selected(at, MSIEXEC, "Own_Rule", "OTHER")
    assert files == ["Other.yml", WEB]
    assert ["Own_Rule.yml" in p and "'soon' is no duration" in p for p in broken] == [True]
    exclusions = tmp_path / "exclusions"
    exclusions.mkdir()
    (exclusions / "Own-Servers.yml").write_text("id: [", encoding="utf-8")
    settings = Settings(exclusions=ExclusionSettings(folder=exclusions, enabled=("Own-Servers",)))
    assert ["Own-Servers.yml: not readable as YAML" in p for p in usable_exclusions(settings)[1]] == [True]


def test_two_files_of_one_id_do_not_stop_a_third(tmp_path: Path) -> None:
    """Whichever of the two is named: neither is known to be the one that is meant."""
    at = folder(tmp_path, WEB, ANY_PORT, copy=edited(WEB, name="another"))
    for name in ("copy", "another", WEB.removesuffix(".yml")):
        files, broken = selected(at, name, "msiexec_any_port")
        assert (files, len(broken)) == ([ANY_PORT], 1)


def test_an_unknown_name_or_no_usable_detection_stops_the_run(tmp_path: Path) -> None:
    at = folder(tmp_path, WEB, msiexec_any_port=edited(ANY_PORT, lookback="soon"))
    with pytest.raises(DetectionError, match="no detection 'b0fd38c8"):
        selected(at, "b0fd38c8-f71a-43a2-870e-f3ca06bcdd99")
    with pytest.raises(DetectionError, match="'soon' is no duration"):
        selected(at, "msiexec_any_port")  # nothing is left to run
    settings = Settings(detections=DetectionSettings(folder=at))
    with pytest.raises(DetectionError, match="'soon' is no duration"):
        select_detections(settings, ["msiexec_any_port", MSIEXEC])
    assert [d.id for d in select_detections(settings, [MSIEXEC]).detections] == [MSIEXEC]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One msiexec with three connections in the hour at noon."""
    at = tmp_path_factory.mktemp("selection")
    tables = Lake(spark, Settings(lake=at))
    tables.create()
    process = {"event_kind": "start", "host": "ws-1", "process_id": 8, "process_name": "msiexec.exe",
               "event_time": NOON, "event_date": NOON.date(), "user": "CORP\\ann"}  # fmt: skip
    connection = {**process, "dest_ip": "203.0.113.7", "dest_port": 443}
    times = [{"event_time": NOON + timedelta(minutes=n), "dest_name": h} for n, h in enumerate(("a", "a", "b"), 1)]
    for name, schema, rows in (
        ("process_events", PROCESS_EVENTS, [process]),
        ("network_events", NETWORK_EVENTS, [{**connection, **t} for t in times]),
    ):
        tables.append(name, spark.createDataFrame([tuple(r.get(n) for n in schema.names) for r in rows], schema))
    return at


def detect(lake: Path, at: Path, *more: object) -> tuple[CommandResult, dict[str, Any], dict[str, Any]]:
    """Returns the result of `detect`, its JSON, and the newest row of the ledger."""
    result = procnet("detect", "--lake", lake, "--set", f"detections.folder={at}", *PERIOD, "--json", *more)
    status = json.loads(procnet("status", "--lake", lake, "--last", "1", "--json").out)
    return result, json.loads(result.out), status["runs"][0]


@pytest.mark.parametrize(("hours", "allowed"), [(0.5, 10), (1, 10), (1.5, 20), (24, 240)])
def test_a_budget_grows_with_the_window(hours: float, allowed: int) -> None:
    assert Budget(findings=10).of(Window(NOON, NOON + timedelta(hours=hours))) == allowed


TABLE = "id string, detections array<string>, reason string, owner string, valid_from timestamp, "
TABLE += "valid_until timestamp, findings string, dest_name_by array<string>"
PREDICATE = "{ours: {dest_name: b, process_id: 8}, condition: ours}"


def row(id_: str, **changes: Any) -> tuple[Any, ...]:
    values = {"id": id_, "detections": None, "reason": "r", "owner": "o", "valid_from": NOON - timedelta(days=1),
              "valid_until": NOON + timedelta(days=1), "findings": PREDICATE, "dest_name_by": None,
              **changes}  # fmt: skip
    return tuple(values.values())


@pytest.mark.spark
@pytest.mark.long
def test_what_is_broken_stops_nothing_else_and_is_reported(spark: SparkSession, lake: Path, tmp_path: Path) -> None:
    """A broken file, rows of the table of exclusions that are wrong, and a detection over its budget, in one run."""
    table = tmp_path / "exclusions"
    rows = [row("of-b"), row("no-reason", reason=None), row("bad", findings="{a"), row("of-b-2", detections=["other"])]
    rows += [row("a-b", dest_name_by=["process"]), row("bad-kind", dest_name_by=["process", "reverse"])]
    spark.createDataFrame(rows, TABLE).write.format("delta").save(str(table))
    settings = Settings(exclusions=ExclusionSettings(table=str(table)))
    usable, broken = usable_exclusions(settings, spark)
    kinds = {e.id: e.dest_name_by for e in usable}
    assert kinds == {"a-b": ("process",), "of-b": ACCEPTED_NAMES, "of-b-2": ACCEPTED_NAMES}
    assert sorted(p.split(": ")[1] for p in broken) == ["bad", "bad-kind", "no-reason"]
    with pytest.raises(ExclusionError, match="reason"):
        enabled_exclusions(settings, spark)

    at = folder(tmp_path / "d", WEB, msiexec_any_port=edited(ANY_PORT, lookback="soon"))
    enable = ("--set", f"detections.enabled=[{MSIEXEC}, msiexec_any_port]", "--set", f"exclusions.table={table}")
    result, output, run = detect(lake, at, *enable, "--set", "detections.budget.findings=1")
    assert result.code == 5
    assert "next: mend it, and run the same period again" in result.err
    assert (output["counts"]["findings"], output["counts"]["excluded"]) == (3, 1)
    assert output["broken"] == run["broken"]
    assert sorted(run["broken"])[-3:] == sorted(broken)
    assert ["msiexec_any_port.yml" in p for p in run["broken"]].count(True) == 1
    assert run["status"] == "succeeded"
    assert output["noisy"] == run["noisy"] == [MSIEXEC], "two live ones, and one is allowed"

    result = procnet("detections", "stats", "--lake", lake, *PERIOD, "--json")
    (stats,) = json.loads(result.out)["detections"]
    assert (stats["findings"], stats["excluded"], stats["hosts"], stats["host_pid"], stats["guid"]) == (2, 1, 1, 2, 0)
    assert stats["processes"] == [{"value": "msiexec.exe", "n": 2}]
    assert stats["destinations"] == [{"value": "a", "n": 2}]
    shown = procnet("detections", "stats", "--lake", lake)
    assert max(map(len, shown.out.splitlines())) <= 100
    assert "msiexec.exe 2" in " ".join(shown.out.split())


@pytest.mark.spark
def test_a_detections_own_budget_overrides_that_of_the_settings(lake: Path, tmp_path: Path) -> None:
    own = folder(tmp_path / "own", x=edited(WEB, budget={"findings": 3}))
    enable = ("--set", f"detections.enabled=[{MSIEXEC}]", "--set", "detections.budget.findings=2")
    result, output, _ = detect(lake, own, *enable)
    assert (result.code, output["counts"]["findings"], output["noisy"]) == (0, 3, [])


@pytest.mark.spark
def test_a_table_of_exclusions_without_a_column_is_an_error(spark: SparkSession, tmp_path: Path) -> None:
    spark.range(1).write.format("delta").save(str(tmp_path / "t"))
    with pytest.raises(DataError, match="lacks detections, reason"):
        usable_exclusions(Settings(exclusions=ExclusionSettings(table=str(tmp_path / "t"))), spark)
