"""Every shape in which EVTX dumpers write an event as JSON gives the same canonical row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from procnet.readers.formats import read_records
from procnet.readers.record import RAW_SCHEMA
from procnet.sources.normalize import normalize
from procnet.sources.validate import load_source
from real_records import DATA
from sources.samples import NOW, Row, rows_without_nulls

pytestmark = pytest.mark.spark
EVTX_FILES = sorted((DATA / "splunk_attack_data").glob("*.evtx"))

ISO, SECONDS = "2026-03-01T10:00:00.1234560Z", 1772359200.123456
START = {"UtcTime": "2026-02-28 03:04:05.678", "ProcessGuid": "0000000A-0000-0000-0000-000000000001", "ProcessId": 77,
         "Image": "C:\\b\\A.exe", "CommandLine": "A.exe /x ", "ParentProcessId": 8}  # fmt: skip
SYSTEM = {"Version": 5, "EventRecordID": 5, "Correlation": {}, "Execution": {"ProcessID": 3288, "ThreadID": 3372},
          "Keywords": 9223372036854775808, "Channel": "Microsoft-Windows-Sysmon/Operational",
          "Computer": "PC1.example", "Security": {"UserID": "S-1-5-18"}}  # fmt: skip
SYSMON, SECURITY = {"Name": "Microsoft-Windows-Sysmon"}, {"Name": "Microsoft-Windows-Security-Auditing"}


def system(event_id: Any, time: Any, **fields: Any) -> Row:
    return {"Provider": SYSMON, "EventID": event_id, "TimeCreated": {"SystemTime": time}, **SYSTEM, **fields}


def event(event_id: Any, time: Any, **fields: Any) -> Row:
    return {"Event": {"System": system(event_id, time, **fields), "EventData": START}}


SEPARATE = {"Provider": None, "Provider_attributes": SYSMON, "TimeCreated": None}
SAME: dict[str, Row] = {
    "attributes of their own level": event(
        1, None, Provider={"#attributes": SYSMON}, TimeCreated={"#attributes": {"SystemTime": ISO}}
    ),
    "attributes in keys of their own": event(1, None, **SEPARATE, TimeCreated_attributes={"SystemTime": ISO}),
    "time as text": event(1, ISO),
    "time in seconds": event(1, SECONDS),
    "no level Event": {"System": system({"Value": 1}, SECONDS), "EventData": START, "Message": "Process Create:"},
    "all values are text": {
        "Event": {
            "EventData": {k: str(v) for k, v in START.items()},
            "System": {**system("1", ISO), "EventRecordID": "5", "Execution": {"ProcessID": "3288"}},
            "xmlns": "http://schemas.microsoft.com/win/2004/08/events/event",
        }
    },
    "event id with qualifiers after it": event({"Value": 1, "Qualifiers": 16384}, SECONDS),
    "event id with qualifiers before it": event({"Qualifiers": "16384", "Value": "1"}, ISO),
    "event id as text of an element": event({"#attributes": {"Qualifiers": 0}, "#text": 1}, ISO),
}
# Security's events have numbers where the XML has hexadecimal text.
PROCESS_4688 = {"NewProcessId": 4764, "NewProcessName": "C:\\b\\A.exe", "ProcessId": 8, "CommandLine": "A.exe"}
OTHER: dict[str, tuple[Row, Row]] = {
    "no time at all": (event(1, None), {"event": "sysmon_1", "reason": "no time"}),
    "no element of the time": (
        {"Event": {"System": {k: v for k, v in system(1, None).items() if k != "TimeCreated"}, "EventData": START}},
        {"event": "sysmon_1", "reason": "no time"},
    ),
    "time that is none": (event(1, "yesterday"), {"event": "sysmon_1", "reason": "no time"}),
    "another event": ({"System": system({"Value": 10}, SECONDS), "EventData": {}}, {"event_id": "10"}),
    "another event without a time": (event({"Value": 7036, "Qualifiers": 16384}, None), {"event_id": "7036"}),
    "Security in numbers": (
        {"System": system({"Value": 4688}, SECONDS, Provider=SECURITY), "EventData": PROCESS_4688},
        {"event": "security_4688", "process_id": 4764, "parent_process_id": 8},
    ),
}


def records_of(spark: SparkSession, records: Iterable[tuple[str, str]], source: str = "evtx_json") -> DataFrame:
    """Records of (name, text) pairs; the column `file` has the name."""
    raw = spark.createDataFrame([(name, 1, text, None) for name, text in records], RAW_SCHEMA).coalesce(1)
    return normalize(raw, load_source(source), ingest_time=NOW).records


@pytest.fixture(scope="module")
def made_up(spark: SparkSession) -> dict[str, Row]:
    records = {**SAME, **{name: record for name, (record, _) in OTHER.items()}}
    rows = rows_without_nulls(records_of(spark, ((name, json.dumps(r)) for name, r in records.items())))
    return {row.pop("file"): row for row in rows}


@pytest.mark.parametrize("shape", SAME)
def test_the_shape_does_not_change_the_row(made_up: dict[str, Row], shape: str) -> None:
    row = made_up[shape]
    assert row == {
        "event": "sysmon_1", "event_kind": "start", "event_id": "1", "line": 1,
        "event_time": "2026-03-01 10:00:00.123456", "host": "pc1.example", "process_id": 77,
        "process_guid": START["ProcessGuid"], "process_path": "C:\\b\\A.exe", "process_name": "a.exe",
        "command_line": "A.exe /x ", "parent_process_id": 8, "action": "allowed", "vendor_product": "Microsoft Sysmon",
        "record_id": "5",
    }  # fmt: skip


@pytest.mark.parametrize("what", OTHER)
def test_what_the_shapes_do_not_hide(made_up: dict[str, Row], what: str) -> None:
    _, expected = OTHER[what]
    row = made_up[what]
    assert {k: row.get(k) for k in expected} == expected
    assert ("reason" in row, "event" in row) == ("reason" in expected, "event" in expected)


def without_levels(value: Any) -> Any:
    """An event of the package `evtx` as dumpers in Go write it: attributes beside the elements, text as Value."""
    if not isinstance(value, dict):
        return value
    attributes = value.get("#attributes", {})
    plain = {k: without_levels(v) for k, v in value.items() if k not in ("#attributes", "#text")}
    return {**attributes, **plain, **({"Value": value["#text"]} if "#text" in value else {})}


def bare(record: Row) -> Row:
    event: Row = without_levels(record)["Event"]
    return event


@pytest.mark.records
@pytest.mark.skipif(not EVTX_FILES, reason=f"no EVTX files in {DATA / 'splunk_attack_data'}")
def test_real_events_in_the_shapes_of_go_give_the_rows_of_evtx(spark: SparkSession) -> None:
    texts = [record.text for path in EVTX_FILES for _, record in read_records(str(path), "evtx")]
    assert len(texts) == 636
    shapes: dict[str, Callable[[Row], Row]] = {"Event": without_levels, "no Event": bare}
    raw = [(name, json.dumps(shape(json.loads(t)))) for name, shape in shapes.items() for t in texts]
    expected = rows_without_nulls(records_of(spark, [("", t) for t in texts], "evtx"))
    assert Counter(r.get("event_kind") for r in expected) == {"start": 79, "end": 73, "network": 6, None: 478}
    rows = rows_without_nulls(records_of(spark, raw))
    for shape in shapes:
        assert [{**r, "file": ""} for r in rows if r["file"] == shape] == expected
    assert [r for r in rows if "reason" in r] == []
