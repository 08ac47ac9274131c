"""Ingest of files: every record is an event, skipped, or quarantined with its reason; nothing is added twice."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from procnet.api import ingest
from procnet.errors import DataError, SourceError
from procnet.lake.tables import Lake
from procnet.runs.ingest_report import IngestReport
from procnet.settings import Settings
from procnet.sources.validate import load_source

pytestmark = pytest.mark.spark
NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)


def sysmon(event_id: int, **fields: Any) -> dict[str, Any]:
    base = {"EventID": event_id, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "PC1.example."}
    return {**base, "@timestamp": "2026-03-01T10:00:00.5Z", "ProcessId": "77", **fields}


CONNECTION = sysmon(3, DestinationIp="192.0.2.7", DestinationPort="443", Initiated="true", Protocol="tcp")
START = sysmon(1, ProcessGuid="{0000000A-0000-0000-0000-000000000001}", Image="C:\\a\\Msiexec.exe")


def write(path: Path, *records: dict[str, Any] | str) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records), encoding="utf-8")
    return path


def read_in(spark: SparkSession, lake: Path, *paths: Path, source: str = "windows_flat") -> IngestReport:
    return ingest(spark, Settings(lake=lake), source, paths, now=NOW)


@pytest.fixture(scope="module")
def bad(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, IngestReport, IngestReport, Path]:
    """A folder of mostly unusable records, ingested twice: the second time with a file that has one new event."""
    raw, lake = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("lake")
    text = json.dumps(CONNECTION)
    write(
        raw / "mixed.json", START, CONNECTION, CONNECTION, text[:60], {"EventID": 11}, {"EventID": 11},
        sysmon(3, **{"@timestamp": "yesterday"}), sysmon(3, Hostname="-"), sysmon(3, ProcessId="many"),
        sysmon(5, ProcessId="-"),
    )  # fmt: skip
    lines = [json.dumps(sysmon(5, ProcessId=str(4 * n + 4), RecordNumber=n * n * 7919)) for n in range(400)]
    packed = gzip.compress("\n".join(lines).encode())
    (raw / "cut.json.gz").write_bytes(packed[: len(packed) // 2])
    settings = Settings(lake=lake)
    first = ingest(spark, settings, "windows_flat", [raw], now=NOW)
    write(raw / "overlapping.json", CONNECTION, {**CONNECTION, "@timestamp": "2026-03-01T10:00:01Z"})
    second = ingest(spark, settings, "windows_flat", [raw], again=True, now=NOW.replace(hour=1))
    return Lake(spark, settings), first, second, raw


def test_every_record_is_counted_once(bad: tuple[Lake, IngestReport, IngestReport, Path]) -> None:
    _, report, _, _ = bad
    events = report.process_events + report.network_events
    assert report.read == events + sum(report.skipped.values()) + sum(report.quarantined.values())
    assert report.skipped == {"11": 2}
    assert report.network_events == 2
    assert report.no_key == 1
    assert report.duplicates == 1
    assert {k: n for k, n in report.quarantined.items() if "gzip" not in k} == {
        "no JSON": 1, "no host": 1, "no time": 1, "process_id is no number": 1,
    }  # fmt: skip


def test_rows_before_the_cut_of_a_gzip_are_read(bad: tuple[Lake, IngestReport, IngestReport, Path]) -> None:
    _, report, _, _ = bad
    assert sum(n for reason, n in report.quarantined.items() if reason.startswith("damaged gzip")) == 1
    assert 100 < report.process_events < 400


def test_a_second_ingest_adds_what_is_new_and_no_more(bad: tuple[Lake, IngestReport, IngestReport, Path]) -> None:
    lake, first, second, _ = bad
    none = dict.fromkeys(("process_events", "dns_events", "flow_events", "quarantine"), 0)
    assert second.new == {**none, "network_events": 1}
    assert second.read == first.read + 2
    assert second.duplicates == first.process_events + first.network_events + 1
    assert lake.read("network_events").count() == 2
    assert lake.read("process_events").count() == first.new["process_events"]


def test_quarantine_names_file_and_line(bad: tuple[Lake, IngestReport, IngestReport, Path]) -> None:
    lake, _, _, raw = bad
    rows = lake.read("quarantine").where("file like '%mixed.json'").select("line", "reason", "file", "raw").collect()
    assert {(r.line, r.reason) for r in rows} == {
        (4, "no JSON"), (7, "no time"), (8, "no host"), (9, "process_id is no number"),
    }  # fmt: skip
    assert {r.file for r in rows} == {str(raw / "mixed.json")}
    assert next(r.raw for r in rows if r.line == 4) == json.dumps(CONNECTION)[:60]


def test_files_that_have_not_changed_are_not_opened(bad: tuple[Lake, IngestReport, IngestReport, Path]) -> None:
    lake, _, _, raw = bad
    report = ingest(lake.spark, lake.settings, "windows_flat", [raw], now=NOW)
    assert (report.known_files, report.read) == (3, 0)
    assert report.lines() == [("files read before, unchanged", 3)]


@pytest.mark.parametrize("what", ["missing", "empty"])
def test_paths_without_records(spark: SparkSession, tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=what) as e:
        read_in(spark, tmp_path / "lake", tmp_path / what)
    assert e.value.hint


def test_unknown_source(spark: SparkSession) -> None:
    with pytest.raises(SourceError, match=r"known sources: cim, .*windows_xml, winlogbeat6, winlogbeat7"):
        load_source("winlogbeat5")


def test_an_invalid_mapping_reports_every_problem(spark: SparkSession, tmp_path: Path) -> None:
    file = write(
        tmp_path / "mine.yml", "reader: json", "record: map<string,string>", "event_id: record['id']",
        "given: {broken: nosuch(record)}",
        "events:", "  one:", "    kind: network", "    when: broken = 'x' and nowhere = 1",
        "    columns: {event_time: \"record['t']\", host: asked_host, process_id: 'record['}",
    )  # fmt: skip
    with pytest.raises(SourceError) as e:
        load_source(file)
    lines = e.value.message.splitlines()
    assert len(lines) == 3
    assert [str(file) in line for line in lines] == [True] * 3
    assert "given.broken" in lines[0]
    assert "events.one.when" in lines[1]
    assert "events.one.columns.process_id: record[" in lines[2]


def test_a_condition_must_be_boolean(spark: SparkSession, tmp_path: Path) -> None:
    file = write(
        tmp_path / "mine.yml", "reader: json", "record: map<string,string>", "event_id: record['id']",
        "events: {one: {kind: end, when: \"record['a']\", columns: {event_time: \"record['t']\", host: asked_host}}}",
    )  # fmt: skip
    with pytest.raises(SourceError, match="not boolean"):
        load_source(file)
