"""Rows of the findings table column by column, and the message."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from findings.sample_matches import CONNECTION, INSTANCE, Row, day, frame, match, rows
from procnet.contract import FINDINGS, PROCESS_FIELDS
from procnet.findings.rows import FindingTemplate, findings_cim, to_findings

OF_DETECTION: Row = {
    "detection_name": "the detection", "detection_version": 3, "fingerprint": "f",
    "risk_score": 35, "severity": "low", "mitre_attack": ["T1", "T2"],
}  # fmt: skip
OF_CONNECTION: Row = {
    "event_time": day(10), "finding_date": date(2026, 3, 1), "host": "c-host", "dest_ip": "c-dest_ip",
    "dest_host": "c-dest_host", "src_ip": "c-src_ip", "transport": "c-transport", "direction": "c-direction",
    "action": "c-action", "connection_record_id": "c-record_id", "vendor_product": "c-vendor_product",
    "source": "c-source", **{n: CONNECTION[n] for n in (
        "src_port", "dest_port", "bytes_in", "bytes_out", "dest_name", "dest_name_by", "dest_names", "flow_uid",
        "community_id", "duration", "server_name", "url", "ja3", "ja4")},
}  # fmt: skip
LATER_COLUMNS: Row = {"related": None, "excluded_by": None}
RISK_OBJECTS = (("host", "system"), ("user", "user"))
THREAT_OBJECTS = (("dest_port", "other"), ("dest_ip", "ip_address"))


def of_process(record: Row) -> Row:
    """The process columns of one record; the command line is `process`, as in the CIM."""
    return {"process" if n == "command_line" else n: record[n] for n in PROCESS_FIELDS}


NO_PROCESS = dict.fromkeys(PROCESS_FIELDS)
PARTIAL = {**INSTANCE, "user": None, "command_line": None, "process_end_time": None}

# (match, finding without id, message and objects)
ROWS: list[tuple[Row, Row]] = [
    (
        match(INSTANCE),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(INSTANCE), **LATER_COLUMNS, "attribution": "guid",
         "process_time": day(9), "process_end_time": day(10), "process_record_id": "i-record_id"},
    ),
    (  # A field that the start lacks comes from the connection; times and record id only from the start.
        match(PARTIAL, attribution="host_pid"),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(INSTANCE), **LATER_COLUMNS, "attribution": "host_pid",
         "process_time": day(9), "process_end_time": None, "process_record_id": "i-record_id",
         "user": "c-user", "process": "c-command_line"},
    ),
    (
        match(attribution="event"),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(CONNECTION), **LATER_COLUMNS, "attribution": "event",
         "process_time": None, "process_end_time": None, "process_record_id": None},
    ),
    (
        match(attribution="none", detection={"mitre_attack": []}, **NO_PROCESS),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(NO_PROCESS), **LATER_COLUMNS, "attribution": "none",
         "process_time": None, "process_end_time": None, "process_record_id": None, "mitre_attack": []},
    ),
]  # fmt: skip

HOSTILE = "a'\"\n\t\\ {host} {{}} $1 %s \u202e"
# (template, the match, the message)
MESSAGES: list[tuple[str, Row, str]] = [
    ("{process_name} on {host}", match(INSTANCE), "i-process_name on c-host"),
    ("no placeholder", match(INSTANCE), "no placeholder"),
    ("{process_name}", match({**INSTANCE, "process_name": HOSTILE}), HOSTILE),
    ("{host}{dest_host}", match(host="{dest_host}", dest_host="{host}"), "{dest_host}{host}"),
    ("{user}: {process}.", match(**NO_PROCESS), "(unknown): (unknown)."),
    ("{user}", match(user=""), ""),
    (
        "since {process_time}",
        match({**INSTANCE, "process_time": day(9).replace(microsecond=1)}),
        "since 2026-03-01 09:00:00",
    ),
    ("since {process_time}", match(), "since (unknown)"),
    ("port {dest_port}, {severity}", match(dest_port=443), "port 443, low"),
    ("{{{host}}} '\\n' $host %s", match(), "{c-host} '\\n' $host %s"),
]


@pytest.fixture(scope="module")
def findings(spark: SparkSession) -> list[Row]:
    """Findings of ROWS and MESSAGES, in this order; each match has a detection of its own."""
    matches = [*[m for m, _ in ROWS], *[m for _, m, _ in MESSAGES]]
    templates = [*["it is {process_name}"] * len(ROWS), *[template for template, _, _ in MESSAGES]]
    ids = [f"d{n:02d}" for n in range(len(matches))]
    with_ids = [{**m, "detection": {**m["detection"], "id": i}} for m, i in zip(matches, ids, strict=True)]
    by_id = {
        i: FindingTemplate(template, RISK_OBJECTS, THREAT_OBJECTS) for i, template in zip(ids, templates, strict=True)
    }
    collected = rows(to_findings(frame(spark, with_ids), by_id).orderBy("detection_id"))
    assert [row["detection_id"] for row in collected] == ids
    return collected


@pytest.mark.spark
@pytest.mark.parametrize("number", range(len(ROWS)), ids=["instance", "instance that lacks fields", "event", "none"])
def test_every_column_has_the_contracts_meaning(findings: list[Row], number: int) -> None:
    finding, (_, expected) = findings[number], ROWS[number]
    assert list(finding) == FINDINGS.names
    assert len(finding["finding_id"]) == 64
    rest = {"finding_id": finding["finding_id"], "detection_id": finding["detection_id"]}
    risk_objects = [
        {"value": expected[column], "type": kind} for column, kind in RISK_OBJECTS if expected[column] is not None
    ]
    threat_objects = [{"value": str(expected[column]), "type": kind} for column, kind in sorted(THREAT_OBJECTS)]
    rest |= {"risk_objects": risk_objects, "threat_objects": threat_objects}
    assert finding == {**expected, **rest, "message": f"it is {expected['process_name'] or '(unknown)'}"}


@pytest.mark.spark
@pytest.mark.parametrize("number", range(len(MESSAGES)), ids=[template for template, _, _ in MESSAGES])
def test_values_are_inserted_unchanged_and_missing_ones_are_unknown(findings: list[Row], number: int) -> None:
    assert findings[len(ROWS) + number]["message"] == MESSAGES[number][2]


@pytest.mark.spark
def test_columns_have_the_types_of_the_table(spark: SparkSession) -> None:
    schema = to_findings(frame(spark, []), {"d": FindingTemplate("{host}")}).schema
    assert [(f.name, f.dataType) for f in schema] == [(f.name, f.dataType) for f in FINDINGS]


@pytest.mark.spark
def test_the_original_searchs_columns_have_its_names_and_order(spark: SparkSession) -> None:
    values: dict[type[T.DataType], Any] = {T.TimestampType: day(10), T.DateType: date(2026, 3, 1), T.StringType: ""}
    texts = [f.name if isinstance(f.dataType, T.StringType) else values.get(type(f.dataType)) for f in FINDINGS]
    numbers = {"process_id": 8, "dest_port": 443}
    given = spark.createDataFrame(
        [tuple(numbers.get(n, v) for n, v in zip(FINDINGS.names, texts, strict=True))], FINDINGS
    )
    [row] = rows(findings_cim(given))
    assert list(row.items()) == [
        ("_time", day(10)),
        ("user", "user"),
        ("dest", "host"),
        ("parent_process_name", "parent_process_name"),
        ("process_name", "process_name"),
        ("process_path", "process_path"),
        ("process", "process"),
        ("process_id", 8),
        ("dest_port", 443),
        ("dest_ip", "dest_ip"),
    ]
