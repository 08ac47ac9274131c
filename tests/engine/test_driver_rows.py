"""Rows that the driver holds on few columns, read again whole."""

from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from procnet.engine.driver_rows import read_full_rows

pytestmark = pytest.mark.spark

NOON, LATER = (datetime(2026, 3, 9, h, tzinfo=timezone.utc) for h in (12, 13))
BY = ("host", "process_id", "process_name", "dest_port")
HELD = [
    (NOON, "a", 4, "msiexec.exe", 443),
    (NOON, "b", 8, "msiexec.exe", 80),
    (LATER, "a", 8, "msiexec.exe", 443),
    (NOON, None, None, None, None),
]
# Each value is one of those held, of another row.
OTHERS = [
    (NOON, "a", 8, "msiexec.exe", 443),
    (NOON, "a", 4, "msiexec.exe", 80),
    (NOON, "b", 4, "msiexec.exe", 443),
    (LATER, "a", 4, "msiexec.exe", 443),
    (LATER, "b", 8, None, 80),
    (NOON, None, 4, "msiexec.exe", 443),
]


@pytest.mark.parametrize("told", [20_000, 0], ids=["told by value", "told by a join"])
def test_rows_are_told_from_others_that_share_their_times(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    monkeypatch.setattr("procnet.engine.driver_rows.BY_VALUE", told)
    schema = "event_time timestamp, host string, process_id long, process_name string, dest_port int, text string"
    rows = spark.createDataFrame([(*r, str(n)) for n, r in enumerate(HELD + OTHERS)], schema)
    some = rows.where(f"text < {len(HELD)}").drop("text").toArrow()
    assert some.num_rows == len(HELD)
    assert {int(r.text) for r in read_full_rows(rows, some, *BY).collect()} == set(range(len(HELD)))


def test_all_of_a_name_that_many_hosts_have(spark: SparkSession) -> None:
    """More of them than are told to the files' pages, beside a name of one host."""
    rows = spark.range(400).selectExpr(
        "timestamp_micros(id * 1000000) AS event_time", "'h' || id AS host", "id AS process_id",
        "if(id = 7, 'rare.exe', 'often.exe') AS process_name",
    )  # fmt: skip
    some: pa.Table = rows.where("id % 2 = 1").toArrow()
    assert read_full_rows(rows, some, *BY).count() == some.num_rows == 200
