"""A finding's id depends on detection, connection and process start only: not on the run, the file or the order."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from functools import reduce
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from findings.sample_matches import CONNECTION, INSTANCE, Row, day, frame, match, rows
from procnet.findings.rows import to_findings

# Ids are quoted in tickets and other tables, so they must never change. These are the SHA-256 of the texts
# ["d","1772355600000000","G","ws-1","8","1772359200000000","10.0.0.5","50001","203.0.113.7","443","tcp","1"]
# ["d",null,null,"ws-1",null,"1772359200000000",null,null,"203.0.113.7",null,"","1"]
PLAIN = "51b7e269e039ca9078376b99f458f05c0b4722079d1eb0703129971f6fa3d4c1"
SPARSE = "a86b79078bd85d582adf6ca104d16c771f7cd7ac511690e5224ae1113e4186d3"
KEY: dict[str, Any] = {
    "host": "ws-1", "process_id": 8, "event_time": day(10), "src_ip": "10.0.0.5", "src_port": 50001,
    "dest_ip": "203.0.113.7", "dest_port": 443, "transport": "tcp",
}  # fmt: skip
UNKNOWN: dict[str, Any] = {
    "process_id": None, "process_guid": None, "src_ip": None, "src_port": None, "dest_port": None, "transport": ""
}  # fmt: skip
STARTED = {**INSTANCE, "process_time": day(9), "process_guid": "G"}
LATER = timedelta(microseconds=1)

# Each of these has another identity.
DISTINCT = [
    match(STARTED, **KEY),
    match(**{**KEY, **UNKNOWN}),
    match(STARTED, {"id": "e"}, **KEY),
    match({**STARTED, "process_time": day(9) + LATER}, **KEY),
    match({**STARTED, "process_guid": "H"}, **KEY),
    match({**STARTED, "process_guid": None}, **KEY, process_guid=None),
    match(**KEY, process_guid="G"),
    match(**KEY, process_guid="H"),
    *[match(STARTED, **{**KEY, n: None}) for n in KEY if n != "event_time"],
    *[match(STARTED, **{**KEY, n: ""}) for n in KEY if isinstance(KEY[n], str)],
    match(STARTED, **{**KEY, "event_time": day(10) + LATER}),
    # Texts that look like a null or like a separator, or that are in the next column.
    match(STARTED, **{**KEY, "src_ip": "null"}),
    match(STARTED, **{**KEY, "src_ip": "a", "src_port": None, "dest_ip": None}),
    match(STARTED, **{**KEY, "src_ip": None, "src_port": None, "dest_ip": "a"}),
    match(STARTED, **{**KEY, "src_ip": "a", "src_port": None, "dest_ip": "b"}),
    match(STARTED, **{**KEY, "src_ip": "a,b", "src_port": None, "dest_ip": None}),
    match(STARTED, **{**KEY, "src_ip": 'a",null,"b', "src_port": None, "dest_ip": None}),
    match(STARTED, **{**KEY, "dest_ip": "a\\", "transport": "tcp\n"}),
]
# Repetitions: connections with the identity of the first of DISTINCT that differ in another column. They are numbered.
OTHER_COLUMNS = {
    "bytes_in": 7,
    "record_id": "other",
    "direction": "inbound",
    "user": None,
    "process_path": "C:\\x",
    "app": "z",
}
REPEATS = [match(STARTED, **KEY, **{n: v}) for n, v in OTHER_COLUMNS.items()]
COPIES = [match(STARTED, **KEY, ingest_time=t) for t in (None, CONNECTION["ingest_time"] + timedelta(days=1))]
# A single match that differs from the first of DISTINCT in columns that are not part of the id.
SINGLE = match({**STARTED, "user": "x", "record_id": "x"}, {"name": "x", "version": 9, "fingerprint": "x"}, **KEY,
            record_id="x", bytes=1, source="x", attribution="host_pid")  # fmt: skip

RUNS = ("forwards", "backwards", "with copies", "single")
FindingsByRun = dict[str, dict[str, Row]]


@pytest.fixture(scope="module")
def findings(spark: SparkSession) -> FindingsByRun:
    """Run -> id -> finding: of the same matches in three orders, and of a single one; all in one job."""
    matches = [*DISTINCT, *REPEATS]
    frames = [
        frame(spark, matches),
        frame(spark, matches[::-1]).repartition(3),
        frame(spark, [*COPIES, *matches[5:], *matches]),
        frame(spark, [SINGLE]),
    ]
    parts = [to_findings(f, {}).selectExpr(f"'{run}' as run", "*") for run, f in zip(RUNS, frames, strict=True)]
    by_run: FindingsByRun = {run: {} for run in RUNS}
    for row in rows(reduce(DataFrame.unionAll, parts)):
        run = by_run[row.pop("run")]
        assert run.setdefault(row["finding_id"], row) is row, "two findings have one id"
    return by_run


@pytest.mark.spark
def test_ids_never_change(findings: FindingsByRun) -> None:
    assert PLAIN in findings["forwards"]
    assert SPARSE in findings["forwards"]


def id_of(row: Row, repetition: int = 1) -> str:
    """The expected id (docs/semantics.md, R6): null and empty texts differ."""
    instance = row["instance"] or {"process_time": None, "process_guid": None}
    guid = instance["process_guid"] if instance["process_guid"] is not None else row["process_guid"]
    identity = [row["detection"]["id"], instance["process_time"], guid, *[row[n] for n in KEY], repetition]
    texts = [micros(v) if isinstance(v, datetime) else v if v is None else str(v) for v in identity]
    return hashlib.sha256(json.dumps(texts, separators=(",", ":")).encode()).hexdigest()


def micros(time: datetime) -> str:
    return str((time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1))


@pytest.mark.spark
def test_every_part_of_the_identity_changes_the_id(findings: FindingsByRun) -> None:
    """No two of DISTINCT have the same id; the repetitions of the first one have the following numbers."""
    expected = [*map(id_of, DISTINCT), *[id_of(DISTINCT[0], 2 + n) for n in range(len(REPEATS))]]
    assert len(set(expected)) == len(DISTINCT) + len(REPEATS)
    assert set(findings["forwards"]) == set(expected)


@pytest.mark.spark
def test_other_columns_do_not_change_the_id(findings: FindingsByRun) -> None:
    assert list(findings["single"]) == [PLAIN]


@pytest.mark.spark
def test_ids_do_not_depend_on_order_and_partitions(findings: FindingsByRun) -> None:
    """Each repetition keeps its number, so that all columns of a finding stay the same."""
    assert findings["forwards"] == findings["backwards"]


@pytest.mark.spark
def test_copies_of_a_record_are_one_finding(findings: FindingsByRun) -> None:
    """Copies differ in `ingest_time` at most; a repetition that differs in another column stays."""
    assert findings["forwards"] == findings["with copies"]
