"""Rows that the driver has collected with few columns, read with all columns."""

from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from procnet.engine.driver_rows import read_full_rows

pytestmark = pytest.mark.spark

NOON, LATER = (datetime(2026, 3, 9, h, tzinfo=timezone.utc) for h in (12, 13))
BY = ("host", "process_id", "process_name", "dest_port")
COLLECTED = [
    (NOON, "a", 4, "msiexec.exe", 443),
    (NOON, "b", 8, "msiexec.exe", 80),
    (LATER, "a", 8, "msiexec.exe", 443),
    (NOON, None, None, None, None),
]
# Each value is also one of a collected row.
OTHERS = [
    (NOON, "a", 8, "msiexec.exe", 443),
    (NOON, "a", 4, "msiexec.exe", 80),
    (NOON, "b", 4, "msiexec.exe", 443),
    (LATER, "a", 4, "msiexec.exe", 443),
    (LATER, "b", 8, None, 80),
    (NOON, None, 4, "msiexec.exe", 443),
]


@pytest.mark.parametrize("by_value", [20_000, 0], ids=["by value", "by a join"])
def test_rows_are_found_and_not_others_with_the_same_times(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, by_value: int
) -> None:
    monkeypatch.setattr("procnet.engine.driver_rows.BY_VALUE", by_value)
    schema = "event_time timestamp, host string, process_id long, process_name string, dest_port int, text string"
    rows = spark.createDataFrame([(*r, str(n)) for n, r in enumerate(COLLECTED + OTHERS)], schema)
    some = rows.where(f"text < {len(COLLECTED)}").drop("text").toArrow()
    assert some.num_rows == len(COLLECTED)
    assert {int(r.text) for r in read_full_rows(rows, some, *BY).collect()} == set(range(len(COLLECTED)))


def test_all_of_a_name_that_many_hosts_have(spark: SparkSession) -> None:
    """More of them than reach the files' pages, beside a name of one host."""
    rows = spark.range(400).selectExpr(
        "timestamp_micros(id * 1000000) AS event_time", "'h' || id AS host", "id AS process_id",
        "if(id = 7, 'rare.exe', 'often.exe') AS process_name",
    )  # fmt: skip
    some: pa.Table = rows.where("id % 2 = 1").toArrow()
    assert read_full_rows(rows, some, *BY).count() == some.num_rows == 200
