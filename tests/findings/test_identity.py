"""A finding's id is of what it is about, and of nothing else: for good, whatever the run, the file or the order."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from functools import reduce
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from findings.sample_matches import CONNECTION, INSTANCE, Row, day, frame, hit, rows
from procnet.findings.rows import to_findings

# An id, once given, stands in tickets and other people's tables: these are not to be changed. SHA-256 of the texts
# ["d","1772355600000000","G","ws-1","8","1772359200000000","10.0.0.5","50001","203.0.113.7","443","tcp","1"]
# ["d",null,null,"ws-1",null,"1772359200000000",null,null,"203.0.113.7",null,"","1"]
PLAIN = "51b7e269e039ca9078376b99f458f05c0b4722079d1eb0703129971f6fa3d4c1"
SPARSE = "a86b79078bd85d582adf6ca104d16c771f7cd7ac511690e5224ae1113e4186d3"
ABOUT: dict[str, Any] = {
    "host": "ws-1", "process_id": 8, "event_time": day(10), "src_ip": "10.0.0.5", "src_port": 50001,
    "dest_ip": "203.0.113.7", "dest_port": 443, "transport": "tcp",
}  # fmt: skip
UNKNOWN: dict[str, Any] = {
    "process_id": None, "process_guid": None, "src_ip": None, "src_port": None, "dest_port": None, "transport": ""
}  # fmt: skip
STARTED = {**INSTANCE, "process_time": day(9), "process_guid": "G"}
LATER = timedelta(microseconds=1)

# Each of these is about something else.
DISTINCT = [
    hit(STARTED, **ABOUT),
    hit(**{**ABOUT, **UNKNOWN}),
    hit(STARTED, {"id": "e"}, **ABOUT),
    hit({**STARTED, "process_time": day(9) + LATER}, **ABOUT),
    hit({**STARTED, "process_guid": "H"}, **ABOUT),
    hit({**STARTED, "process_guid": None}, **ABOUT, process_guid=None),
    hit(**ABOUT, process_guid="G"),
    hit(**ABOUT, process_guid="H"),
    *[hit(STARTED, **{**ABOUT, n: None}) for n in ABOUT if n != "event_time"],
    *[hit(STARTED, **{**ABOUT, n: ""}) for n in ABOUT if isinstance(ABOUT[n], str)],
    hit(STARTED, **{**ABOUT, "event_time": day(10) + LATER}),
    # Texts that look like a null or like what stands between texts, or that lie in the next column.
    hit(STARTED, **{**ABOUT, "src_ip": "null"}),
    hit(STARTED, **{**ABOUT, "src_ip": "a", "src_port": None, "dest_ip": None}),
    hit(STARTED, **{**ABOUT, "src_ip": None, "src_port": None, "dest_ip": "a"}),
    hit(STARTED, **{**ABOUT, "src_ip": "a", "src_port": None, "dest_ip": "b"}),
    hit(STARTED, **{**ABOUT, "src_ip": "a,b", "src_port": None, "dest_ip": None}),
    hit(STARTED, **{**ABOUT, "src_ip": 'a",null,"b', "src_port": None, "dest_ip": None}),
    hit(STARTED, **{**ABOUT, "dest_ip": "a\\", "transport": "tcp\n"}),
]
# What a record says beyond that tells true repeats apart, which are numbered. The first of DISTINCT is one of them.
BEYOND = {
    "bytes_in": 7,
    "record_id": "other",
    "direction": "inbound",
    "user": None,
    "process_path": "C:\\x",
    "app": "z",
}
REPEATS = [hit(STARTED, **ABOUT, **{n: v}) for n, v in BEYOND.items()]
COPIES = [hit(STARTED, **ABOUT, ingest_time=t) for t in (None, CONNECTION["ingest_time"] + timedelta(days=1))]
# One alone, that differs from the first of DISTINCT in all that is no part of an id.
ALONE = hit({**STARTED, "user": "x", "record_id": "x"}, {"name": "x", "version": 9, "fingerprint": "x"}, **ABOUT,
            record_id="x", bytes=1, source="x", attribution="host_pid")  # fmt: skip

RUNS = ("forwards", "backwards", "with copies", "alone")
Told = dict[str, dict[str, Row]]


@pytest.fixture(scope="module")
def told(spark: SparkSession) -> Told:
    """Findings by id, of the same hits in three orders, and of one alone; all in one job."""
    hits = [*DISTINCT, *REPEATS]
    frames = [
        frame(spark, hits),
        frame(spark, hits[::-1]).repartition(3),
        frame(spark, [*COPIES, *hits[5:], *hits]),
        frame(spark, [ALONE]),
    ]
    parts = [to_findings(f, {}).selectExpr(f"'{run}' as run", "*") for run, f in zip(RUNS, frames, strict=True)]
    found: Told = {run: {} for run in RUNS}
    for row in rows(reduce(DataFrame.unionAll, parts)):
        run = found[row.pop("run")]
        assert run.setdefault(row["finding_id"], row) is row, "two findings have one id"
    return found


@pytest.mark.spark
def test_ids_never_change(told: Told) -> None:
    assert PLAIN in told["forwards"]
    assert SPARSE in told["forwards"]


def id_of(match: Row, repeat: int = 1) -> str:
    """The id as the design has it: the texts of what a finding is about, unknown ones apart from empty ones."""
    started = match["instance"] or {"process_time": None, "process_guid": None}
    guid = started["process_guid"] if started["process_guid"] is not None else match["process_guid"]
    about = [match["detection"]["id"], started["process_time"], guid, *[match[n] for n in ABOUT], repeat]
    texts = [micros(v) if isinstance(v, datetime) else v if v is None else str(v) for v in about]
    return hashlib.sha256(json.dumps(texts, separators=(",", ":")).encode()).hexdigest()


def micros(time: datetime) -> str:
    return str((time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1))


@pytest.mark.spark
def test_ids_are_of_all_that_a_finding_is_about(told: Told) -> None:
    """No two of DISTINCT share one, and the repeats of the first have those of the numbers after it."""
    expected = [*map(id_of, DISTINCT), *[id_of(DISTINCT[0], 2 + n) for n in range(len(REPEATS))]]
    assert len(set(expected)) == len(DISTINCT) + len(REPEATS)
    assert set(told["forwards"]) == set(expected)


@pytest.mark.spark
def test_prose_and_sensors_are_no_part_of_an_id(told: Told) -> None:
    assert list(told["alone"]) == [PLAIN]


@pytest.mark.spark
def test_ids_do_not_depend_on_order_and_partitions(told: Told) -> None:
    """Each repeat keeps its number, so that all that a finding says stays under one id."""
    assert told["forwards"] == told["backwards"]


@pytest.mark.spark
def test_copies_of_a_record_are_one(told: Told) -> None:
    """Those in which all but `ingest_time` is the same; a repeat that differs in anything else stays."""
    assert told["forwards"] == told["with copies"]
