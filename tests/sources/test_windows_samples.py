"""Windows' own records become the canonical rows that their cases expect, whatever container they are in.

Samples are not in the repository and are read when a test runs. A case names every column of the canonical row: a
column that it does not name must be null.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.readers.evtx_source import EvtxDataSource
from procnet.readers.formats import read_records
from procnet.readers.record import RAW_SCHEMA
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.validate import load_source
from real_records import DATA
from sources.samples import NEEDS_SAMPLES, NOW, SAMPLES, Row, rows_without_nulls
from sources.windows_case import Case
from sources.windows_cases import CASES as OTHER_CASES
from sources.windows_name_cases import WINDOWS_NAME_CASES

SIGMA = DATA / "sigma_regression"
pytestmark = NEEDS_SAMPLES
CASES = {source: [*cases, *WINDOWS_NAME_CASES.get(source, [])] for source, cases in OTHER_CASES.items()}


@dataclass(frozen=True)
class Read:
    """What the sources made of all cases: the record by source and name of the case, and the rows of the tables."""

    records: dict[tuple[str, str], Row]
    rows: list[Row]


@pytest.fixture(scope="module")
def read(spark: SparkSession) -> Read:
    """All cases of all sources, each record parsed once, in four jobs: one for each table, and one for the records."""
    normalized: dict[str, Normalized] = {}
    for source, cases in CASES.items():
        raw = spark.createDataFrame([(c.name, n, c.read(), None) for n, c in enumerate(cases, 1)], RAW_SCHEMA)
        found = normalize(raw.coalesce(1), load_source(source), ingest_time=NOW)
        normalized[source] = replace(found, records=found.records.persist())
    place = ["file", "event", "reason", "event_time", "host", "vendor_product", "event_kind"]
    all_records = union(n.records.select(F.lit(s).alias("source"), *place) for s, n in normalized.items())
    process_events = union(n.process_events.drop("ingest_time") for n in normalized.values())
    network_events = union(n.network_events.drop("ingest_time") for n in normalized.values())
    dns_events = union(n.table("dns_events").drop("ingest_time") for n in normalized.values())
    records = {(r.pop("source"), r.pop("file")): r for r in rows_without_nulls(all_records)}
    rows = [r for table in (process_events, network_events, dns_events) for r in rows_without_nulls(table)]
    for found in normalized.values():
        found.records.unpersist()
    return Read(records, rows)


def union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, frames).coalesce(1)


@pytest.mark.parametrize(
    ("source", "case"), [pytest.param(s, c, id=f"{s}: {c.name}") for s, cases in CASES.items() for c in cases]
)
def test_record(read: Read, source: str, case: Case) -> None:
    record = read.records[source, case.name]
    if isinstance(case.expected, str):
        assert record.get("reason", "event" if "event" in record else "skipped") == case.expected
        return
    assert "reason" not in record
    expected = {**case.row(), "source": source, "event_date": case.expected["event_time"][:10]}
    # A row does not name its file; these four columns identify the case within a source.
    place = {"source": source, **{n: record[n] for n in ("event_time", "host", "vendor_product")}}
    rows = [r for r in read.rows if place.items() <= r.items() and r.get("event_kind") == table_kind(record)]
    assert rows == [expected]


def table_kind(record: Row) -> str | None:
    return str(record["event_kind"]) if record["event_kind"] in ("start", "end") else None


@pytest.mark.parametrize("source", CASES)
def test_every_record_gives_one_row_or_none(read: Read, source: str) -> None:
    rows = [r for r in read.rows if r["source"] == source]
    assert len(rows) == sum(not isinstance(c.expected, str) for c in CASES[source])


def test_every_sample_of_windows_has_a_case() -> None:
    """A sample that is added later needs a case."""
    prefixes = ("mordor_", "nxlog_", "sekoia_Beats_", "sekoia_Windows_", "splunk_data_source_sysmon_",
                "splunk_data_source_windows_")  # fmt: skip
    there = {p.stem for p in SAMPLES.iterdir() if p.name.startswith(prefixes)}
    assert there == {c.name for cases in OTHER_CASES.values() for c in cases if c.record is None}


@pytest.mark.skipif(not SIGMA.is_dir(), reason=f"no sample records at {SIGMA}")
def test_evtx_as_a_data_source(spark: SparkSession) -> None:
    """The format reads a folder as other Spark formats do, and ignores files with other suffixes."""
    spark.dataSource.register(EvtxDataSource)
    frame = spark.read.format("evtx").load(str(SIGMA))
    expected = [
        (file, *record) for path in sorted(SIGMA.glob("*.evtx")) for file, record in read_records(str(path), "evtx")
    ]
    assert len(expected) == 3
    assert sorted(tuple(r) for r in frame.collect()) == expected
