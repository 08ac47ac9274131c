"""The source that fits is found by what the mappings make of the records."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from procnet.sources.check import check_source
from procnet.sources.recognize import content_format, likely_source

NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)
DATA = {"ProcessId": "7", "ProcessGuid": "{0000000A-0000-0000-0000-000000000001}", "Image": "C:\\a\\b.exe"}
FLAT = {"EventID": 1, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "pc1", "@timestamp": "2026-03-01T10:00:00Z",
        **DATA}  # fmt: skip
BEAT = {"@timestamp": "2026-03-01T10:00:00Z", "host": {"name": "pc1"}, "event": {"code": 1, "kind": "event"},
        "winlog": {"computer_name": "pc1", "event_id": 1, "provider_name": "Microsoft-Windows-Sysmon",
                   "event_data": DATA}}  # fmt: skip
SYSTEM = {"Provider": {"Name": "Microsoft-Windows-Sysmon"}, "EventID": {"Value": 1}, "Computer": "pc1",
          "TimeCreated": {"SystemTime": 1772359200.5}}  # fmt: skip
XML = """<Event xmlns='x'><System><Provider Name='Microsoft-Windows-Sysmon'/><EventID>{}</EventID><TimeCreated
 SystemTime='2026-03-01T10:00:00Z'/><Computer>pc1</Computer></System><EventData><Data Name='ProcessId'>7</Data>
 </EventData></Event>"""

CONTENTS: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b"\x00\x93\xfe\x10" * 200, None),
    (b"Mar 01 10:00:00 pc1 sshd[7]: session opened\n" * 20, None),
    (b"\xef\xbb\xbf\n  [{}]", "json"),
    ("{}".encode("utf-16"), "json"),
    (gzip.compress(b'{"a": 1}', mtime=0), "json"),
    (b"<Event>", "xml"),
    (b'"TimeCreated","Id","Message"\n', "csv"),
    (b"ElfFile\0\0\0", "evtx"),
    (b"\x1f\x8b\x08\x00", None),
]


@pytest.mark.parametrize(("content", "expected"), CONTENTS)
def test_content_is_recognized_whatever_the_file_is_called(
    tmp_path: Path, content: bytes, expected: str | None
) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    assert content_format(str(tmp_path / "a.bin")) == expected


def write(path: Path, *records: dict[str, Any] | str) -> str:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records), encoding="utf-8")
    return str(path)


@pytest.mark.spark
def test_the_source_that_reads_most_events_is_named(spark: SparkSession, tmp_path: Path) -> None:
    files = {
        "windows_flat": write(tmp_path / "a.json", {**FLAT, "EventID": 11}, FLAT, FLAT),
        "winlogbeat7": write(tmp_path / "b.json", BEAT),
        "evtx_json": write(tmp_path / "c.json", {"System": SYSTEM, "EventData": DATA}),
        "windows_xml": write(tmp_path / "d.log", XML.format(11)),
        None: write(tmp_path / "e.json", {"a": 1}),
    }
    found = {name: likely_source(spark, [file]) for name, file in files.items()}
    assert {name: s and s.name for name, s in found.items()} == {name: name for name in files}
    assert str(found["windows_flat"]) == "windows_flat reads these records: 2 events in the first 3"
    assert str(found["windows_xml"]) == "windows_xml reads these records: only other events (1) in the first 1"


@pytest.mark.spark
def test_a_check_shows_records_that_gave_no_event_and_the_source_that_fits(spark: SparkSession, tmp_path: Path) -> None:
    file = write(tmp_path / "a.log", FLAT, FLAT)
    checked = check_source(spark, "windows_xml", [file], now=NOW)
    (example,) = checked.unusable
    assert (example.reason, example.file, example.line) == ("no XML", file, 1)
    assert example.beginning.startswith('{"EventID": 1, "SourceName"')
    assert checked.likely is not None
    assert "windows_flat reads these records: 2 events" in checked.verdict[0]
