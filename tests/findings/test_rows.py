"""What a row of the findings table says, column by column, and the message that people read."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from findings.sample_matches import CONNECTION, INSTANCE, Row, day, frame, hit, rows
from procnet.contract import FINDINGS, PROCESS_FIELDS
from procnet.findings.rows import Says, findings_cim, to_findings

OF_DETECTION: Row = {
    "detection_name": "the detection", "detection_version": 3, "fingerprint": "f",
    "risk_score": 35, "severity": "low", "mitre_attack": ["T1", "T2"],
}  # fmt: skip
OF_CONNECTION: Row = {
    "event_time": day(10), "finding_date": date(2026, 3, 1), "host": "c-host", "dest_ip": "c-dest_ip",
    "dest_host": "c-dest_host", "src_ip": "c-src_ip", "transport": "c-transport", "direction": "c-direction",
    "action": "c-action", "connection_record_id": "c-record_id", "vendor_product": "c-vendor_product",
    "source": "c-source", **{n: CONNECTION[n] for n in ("src_port", "dest_port", "bytes_in", "bytes_out")},
}  # fmt: skip
NOT_YET: Row = {"related": None, "excluded_by": None}
WHO = (("host", "system"), ("user", "user"))
WHAT = (("dest_port", "other"), ("dest_ip", "ip_address"))


def of_process(who: Row) -> Row:
    """The process columns, as one side tells them; the command line is `process`, as in the CIM."""
    return {"process" if n == "command_line" else n: who[n] for n in PROCESS_FIELDS}


NO_PROCESS = dict.fromkeys(PROCESS_FIELDS)
SOME = {**INSTANCE, "user": None, "command_line": None, "process_end_time": None}

# (a match, its finding but for id and message)
ROWS: list[tuple[Row, Row]] = [
    (
        hit(INSTANCE),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(INSTANCE), **NOT_YET, "attribution": "guid",
         "process_time": day(9), "process_end_time": day(10), "process_record_id": "i-record_id"},
    ),
    (  # What the start does not tell the connection may; its times and its record are the start's alone.
        hit(SOME, attribution="host_pid"),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(INSTANCE), **NOT_YET, "attribution": "host_pid",
         "process_time": day(9), "process_end_time": None, "process_record_id": "i-record_id",
         "user": "c-user", "process": "c-command_line"},
    ),
    (
        hit(attribution="event"),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(CONNECTION), **NOT_YET, "attribution": "event",
         "process_time": None, "process_end_time": None, "process_record_id": None},
    ),
    (
        hit(attribution="none", detection={"mitre_attack": []}, **NO_PROCESS),
        {**OF_DETECTION, **OF_CONNECTION, **of_process(NO_PROCESS), **NOT_YET, "attribution": "none",
         "process_time": None, "process_end_time": None, "process_record_id": None, "mitre_attack": []},
    ),
]  # fmt: skip

HOSTILE = "a'\"\n\t\\ {host} {{}} $1 %s \u202e"
# (template, the match, the message)
MESSAGES: list[tuple[str, Row, str]] = [
    ("{process_name} on {host}", hit(INSTANCE), "i-process_name on c-host"),
    ("nothing is filled in", hit(INSTANCE), "nothing is filled in"),
    ("{process_name}", hit({**INSTANCE, "process_name": HOSTILE}), HOSTILE),
    ("{host}{dest_host}", hit(host="{dest_host}", dest_host="{host}"), "{dest_host}{host}"),
    ("{user}: {process}.", hit(**NO_PROCESS), "(unknown): (unknown)."),
    ("{user}", hit(user=""), ""),
    (
        "since {process_time}",
        hit({**INSTANCE, "process_time": day(9).replace(microsecond=1)}),
        "since 2026-03-01 09:00:00",
    ),
    ("since {process_time}", hit(), "since (unknown)"),
    ("port {dest_port}, {severity}", hit(dest_port=443), "port 443, low"),
    ("{{{host}}} '\\n' $host %s", hit(), "{c-host} '\\n' $host %s"),
]


@pytest.fixture(scope="module")
def told(spark: SparkSession) -> list[Row]:
    """The findings of all matches here, in their order; each match is of a detection of its own."""
    matches = [*[match for match, _ in ROWS], *[match for _, match, _ in MESSAGES]]
    templates = [*["it is {process_name}"] * len(ROWS), *[template for template, _, _ in MESSAGES]]
    ids = [f"d{n:02d}" for n in range(len(matches))]
    hits = [{**m, "detection": {**m["detection"], "id": i}} for m, i in zip(matches, ids, strict=True)]
    says = {i: Says(template, WHO, WHAT) for i, template in zip(ids, templates, strict=True)}
    found = rows(to_findings(frame(spark, hits), says).orderBy("detection_id"))
    assert [row["detection_id"] for row in found] == ids
    return found


@pytest.mark.spark
@pytest.mark.parametrize("number", range(len(ROWS)), ids=["instance", "instance that knows less", "event", "none"])
def test_every_column_means_what_the_contract_says(told: list[Row], number: int) -> None:
    found, (_, expected) = told[number], ROWS[number]
    assert list(found) == FINDINGS.names
    assert len(found["finding_id"]) == 64
    known = {"finding_id": found["finding_id"], "detection_id": found["detection_id"]}
    who = [{"value": expected[column], "type": kind} for column, kind in WHO if expected[column] is not None]
    what = [{"value": str(expected[column]), "type": kind} for column, kind in sorted(WHAT)]
    known |= {"risk_objects": who, "threat_objects": what}
    assert found == {**expected, **known, "message": f"it is {expected['process_name'] or '(unknown)'}"}


@pytest.mark.spark
@pytest.mark.parametrize("number", range(len(MESSAGES)), ids=[template for template, _, _ in MESSAGES])
def test_what_a_record_says_is_put_in_as_it_is_and_what_it_does_not_is_seen(told: list[Row], number: int) -> None:
    assert told[len(ROWS) + number]["message"] == MESSAGES[number][2]


@pytest.mark.spark
def test_columns_have_the_types_of_the_table(spark: SparkSession) -> None:
    found = to_findings(frame(spark, []), {"d": Says("{host}")}).schema
    assert [(f.name, f.dataType) for f in found] == [(f.name, f.dataType) for f in FINDINGS]


@pytest.mark.spark
def test_the_searchs_columns_have_its_names_and_order(spark: SparkSession) -> None:
    values: dict[type[T.DataType], Any] = {T.TimestampType: day(10), T.DateType: date(2026, 3, 1), T.StringType: ""}
    row = [f.name if isinstance(f.dataType, T.StringType) else values.get(type(f.dataType)) for f in FINDINGS]
    numbers = {"process_id": 8, "dest_port": 443}
    given = spark.createDataFrame(
        [tuple(numbers.get(n, v) for n, v in zip(FINDINGS.names, row, strict=True))], FINDINGS
    )
    [found] = rows(findings_cim(given))
    assert list(found.items()) == [
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
