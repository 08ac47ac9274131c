"""Records of vendors and network sensors become the canonical rows that their cases expect.

Samples are not in the repository and are read when a test runs. A case names every column of the canonical row: a
column that it does not name must be null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import TABLE_OF_KIND
from procnet.contract import TABLES as CANONICAL
from procnet.readers.record import RAW_SCHEMA
from procnet.sources.normalize import normalize
from procnet.sources.validate import load_source
from sources.cisco_nvm_cases import NVM_CASES
from sources.crowdstrike_cases import CROWDSTRIKE_CASES
from sources.defender_cases import DEFENDER_CASES
from sources.ecs_cases import ECS_CASES
from sources.name_cases import NAME_CASES
from sources.ocsf_cases import OCSF_CASES
from sources.samples import NEEDS_SAMPLES, NOW, Row, rows_without_nulls
from sources.sensor_cases import SURICATA_CASES, ZEEK_CASES
from sources.vendor_case import Case, Field
from sources.vendor_tables import (
    DEFENDER_CONNECTION,
    DEFENDER_START,
    ECS_CONNECTION,
    ECS_START,
    FALCON_CONNECTION,
    FALCON_START,
    TABLES,
)

pytestmark = NEEDS_SAMPLES

CASES = {
    "defender": [*DEFENDER_CASES, *NAME_CASES["defender"]],
    "crowdstrike": [*CROWDSTRIKE_CASES, *NAME_CASES["crowdstrike"]],
    "cisco_nvm": NVM_CASES,
    "ocsf": [*OCSF_CASES, *NAME_CASES["ocsf"]],
    "ecs": [*ECS_CASES, *NAME_CASES["ecs"]],
    "zeek_conn": ZEEK_CASES,
    "suricata_eve": SURICATA_CASES,
}
# The host given to ingest, for records that name none: only flow logs in OCSF.
HOSTS = {"ocsf": "flow-sensor"}


@dataclass(frozen=True)
class Read:
    """What a source made of its records: by name of a case its outcome and its time, and all rows."""

    outcome: dict[str, str]
    time: dict[str, str]
    rows: list[Row]


def canonical(frame: DataFrame, source: str, host: str | None) -> tuple[list[Row], list[Row]]:
    """Rows of all tables, and Normalized.records, from one job."""
    normalized = normalize(frame, load_source(source), host=host, ingest_time=NOW)
    stamps = {"source": F.lit(normalized.source), "event_date": F.to_date("event_time")}
    records = rows_without_nulls(normalized.records.withColumns(stamps))
    usable = [r for r in records if "reason" not in r and "event_kind" in r]
    rows = [{n: r[n] for n in CANONICAL[TABLE_OF_KIND[r["event_kind"]]][0].names if n in r} for r in usable]
    return rows, records


def stamped(expected: Row, source: str) -> Row:
    return {**expected, "source": source, "event_date": expected["event_time"][:10]}


@pytest.fixture(scope="module")
def read(spark: SparkSession) -> Callable[[str], Read]:
    """All cases of a source, read in one job as records of files."""
    results: dict[str, Read] = {}

    def read_once(source: str) -> Read:
        if source not in results:
            texts = [(c.name, n, json.dumps(c.read()), None) for n, c in enumerate(CASES[source], 1)]
            rows, records = canonical(spark.createDataFrame(texts, RAW_SCHEMA), source, HOSTS.get(source))
            outcome = {r["file"]: r.get("reason", "event" if "event" in r else "skipped") for r in records}
            results[source] = Read(outcome, {r["file"]: r["event_time"] for r in records if "event_time" in r}, rows)
        return results[source]

    return read_once


@pytest.mark.parametrize(
    ("source", "case"), [pytest.param(s, c, id=f"{s}: {c.name}") for s, cases in CASES.items() for c in cases]
)
def test_record(read: Callable[[str], Read], source: str, case: Case) -> None:
    found = read(source)
    if isinstance(case.expected, str):
        assert found.outcome[case.name] == case.expected
        return
    assert found.outcome[case.name] == "event"
    record = case.read()
    expected = {n: v.of(record) if isinstance(v, Field) else v for n, v in case.expected.items()}
    place = (found.time[case.name], expected.get("host"))
    rows = [r for r in found.rows if (r["event_time"], r.get("host")) == place]
    assert rows == [stamped(expected, source)]


@pytest.mark.parametrize("source", CASES)
def test_every_record_gives_one_row_or_none(read: Callable[[str], Read], source: str) -> None:
    assert len(read(source).rows) == sum(not isinstance(c.expected, str) for c in CASES[source])


@pytest.mark.parametrize("source", TABLES)
def test_table_with_its_own_types(spark: SparkSession, source: str) -> None:
    schema, raw, expected = TABLES[source]
    kind = T.DataType.fromDDL(schema)
    assert isinstance(kind, T.StructType)
    rows, _ = canonical(spark.createDataFrame([as_table_row(r, kind) for r in raw], kind), source, None)
    assert sorted(rows, key=by_time) == sorted((stamped(e, source) for e in expected), key=by_time)


def by_time(row: Row) -> str:
    return str(row["event_time"])


def as_table_row(record: Row, kind: T.StructType) -> tuple[Any, ...]:
    """A record as a row of the table; missing values are null."""
    return tuple(
        as_table_row(record[f.name], f.dataType)
        if isinstance(f.dataType, T.StructType) and f.name in record
        else decimal(record.get(f.name), f.dataType)
        for f in kind
    )


def decimal(value: Any, kind: T.DataType) -> Any:
    return Decimal(value) if isinstance(kind, T.DecimalType) and value is not None else value


PAIRS: dict[str, Sequence[Row | str]] = {
    "defender": [DEFENDER_START, DEFENDER_CONNECTION],
    "crowdstrike": [FALCON_START, FALCON_CONNECTION],
    "ecs": [ECS_START, ECS_CONNECTION],
    "crowdstrike, older names": [c.expected for c in CROWDSTRIKE_CASES[-2:]],
    "ocsf": [c.expected for c in OCSF_CASES if c.name in ("ocsf start", "ocsf connection")],
}


@pytest.mark.parametrize("source", PAIRS)
def test_a_start_and_its_connection_have_one_key(source: str) -> None:
    """The rows are those that the tests above compare with the mappings' results."""
    start, connection = PAIRS[source]
    assert isinstance(start, dict)
    assert isinstance(connection, dict)
    assert start["event_kind"] == "start"
    assert "dest_ip" in connection
    assert {n: start[n] for n in ("host", "process_guid")} == {n: connection[n] for n in ("host", "process_guid")}
    assert start["event_time"] < connection["event_time"]
