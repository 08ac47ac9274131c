"""What commands say of input that gives nothing: files without a usable record, times of the future, wrong names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cli.command import CommandResult, procnet

pytestmark = [pytest.mark.spark, pytest.mark.long]


def sysmon(event_id: int, time: str, **fields: Any) -> dict[str, Any]:
    base = {"EventID": event_id, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "ws-1", "ProcessId": "77"}
    return {**base, "@timestamp": time, "DestinationIp": "203.0.113.7", "DestinationPort": "443", **fields}


GOOD = (sysmon(1, "2020-05-01T10:00:00Z"), sysmon(3, "2020-05-01T10:00:05Z"), sysmon(3, "2120-05-01T10:00:05Z"))
GARBAGE = "\x1b[31m garbage \x00\x01"


@pytest.fixture(scope="module")
def said(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CommandResult]:
    """The results of the commands, in order, on one lake."""
    raw, lake = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("lake")
    (raw / "good.json").write_text("\n".join(map(json.dumps, GOOD)))
    (raw / "other.json").write_text(json.dumps(sysmon(11, "2020-05-01T10:00:00Z")))
    (raw / "garbage.json").write_text(GARBAGE)
    (raw / "empty.json").write_text("")
    at = ("--lake", lake)
    folder = ("ingest", *at, "--source", "windows_flat", raw)
    calls: dict[str, tuple[object, ...]] = {
        "wrong source": ("ingest", *at, "--source", "windows_xml", raw / "good.json"),
        "empty file": ("ingest", *at, "--source", "windows_flat", raw / "empty.json"),
        "other events": ("ingest", *at, "--source", "windows_flat", raw / "other.json"),
        "folder": (*folder, "--json"),
        "folder again": (*folder, "--json"),
        "check": ("sources", "check", "windows_xml", raw / "good.json"),
        "status": ("status", *at),
        "quarantine": ("quarantine", *at),
        "quarantine --json": ("quarantine", *at, "--json"),
        "detect": ("detect", *at),
        "detection": ("findings", *at, "--detection", "nope"),
        "host": ("findings", *at, "--host", "nosuchhost"),
    }
    results = {what: procnet(*argv) for what, argv in calls.items()}
    (raw / "garbage.json").unlink()
    results["folder without the garbage"] = procnet(*folder)
    return results


def last_line(result: CommandResult) -> str:
    return result.err.splitlines()[-1]


def test_the_wrong_source_ends_with_the_source_that_fits(said: dict[str, CommandResult]) -> None:
    result = said["wrong source"]
    assert result.code == 5
    assert "nothing usable came in: of 1 records none is one of windows_xml: no XML (1)" in result.err
    assert "windows_flat reads these records: 3 events in the first 3" in last_line(result)
    assert "procnet ingest --source windows_flat " in last_line(result)


def test_an_empty_file_is_a_fault_and_a_file_of_other_events_is_none(said: dict[str, CommandResult]) -> None:
    assert said["empty file"].code == 5
    assert "nothing usable came in: there is no record" in said["empty file"].err
    assert (said["other events"].code, said["other events"].err) == (0, "")


def test_one_file_without_anything_usable_is_named_and_read_again(said: dict[str, CommandResult]) -> None:
    first, again = (json.loads(said[what].out) for what in ("folder", "folder again"))
    assert (said["folder"].code, said["folder again"].code) == (5, 5)
    added = {table: n for table, n in first["new"].items() if n}
    assert added == {"process_events": 1, "network_events": 2, "quarantine": 1}
    assert [Path(f["file"]).name for f in first["faulty_files"]] == ["garbage.json"]
    assert "nothing usable came of 1 files: " in first["fault"]
    assert (again["known_files"], again["read"]) == (3, 1)
    assert first["likely_source"] is None
    assert said["folder without the garbage"].code == 0


def test_times_of_the_future_are_reported(said: dict[str, CommandResult]) -> None:
    assert json.loads(said["folder"].out)["future"] == 1
    assert "network_events: the newest row is of 2120-05-01 10:00 UTC, later than now" in said["status"].err
    assert "unusable files: 1" in said["status"].out


def test_records_that_gave_no_event_are_shown(said: dict[str, CommandResult]) -> None:
    check, text = said["check"], "".join(said["check"].out.split())  # long paths are broken into lines
    assert check.code == 3
    assert "good.json:1" in text
    assert '{"EventID":1,"SourceName"' in text
    assert "windows_flatreadstheserecords" in text
    shown = said["quarantine"].out
    assert "no XML" in shown
    assert "\\u001b[31m garbage" in shown
    assert "\x1b" not in shown
    reasons = json.loads(said["quarantine --json"].out)["reasons"]
    assert {(r["source"], r["reason"], r["records"]) for r in reasons} == {
        ("windows_xml", "no XML", 1), ("windows_flat", "no JSON", 1),
    }  # fmt: skip


def test_detect_without_times_names_the_period_of_the_lake(said: dict[str, CommandResult]) -> None:
    assert "the lake has connections of 2020-05-01 to 2020-05-01" in last_line(said["detect"])
    assert "procnet backfill --start 2020-05-01T00:00Z --end 2020-05-02T00:00Z" in last_line(said["detect"])


def test_names_that_findings_do_not_have(said: dict[str, CommandResult]) -> None:
    assert said["detection"].code == 2
    assert "begins with 'nope'" in said["detection"].err
    assert said["host"].code == 0
    assert "no finding of this selection has the host nosuchhost" in said["host"].err


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ("ingest --lake {lake} --source nosuch {file}", 2),
        ("ingest --lake {lake} --source windows_flat {none}", 3),
        ("sources check nosuch {file}", 2),
        ("sources check windows_flat {none}", 3),
        ("normalize --lake {lake} --source nosuch {none}", 2),
    ],
)
def test_wrong_names_are_errors_before_a_session_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: str, code: int
) -> None:
    def no_session(*_: object, **__: object) -> None:
        raise AssertionError("a session was opened")

    for module in ("options", "sources"):
        monkeypatch.setattr(f"procnet.cli.{module}.open_session", no_session)
    (tmp_path / "file").write_text("{}")
    places = {"lake": tmp_path / "lake", "file": tmp_path / "file", "none": tmp_path / "none"}
    result = procnet(*argv.format(**places).split())
    assert result.code == code
    assert "\n  next: " in result.err
