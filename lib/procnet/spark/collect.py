"""Collects rows to the driver before they are written: a bounded number, with one action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pyspark.sql import DataFrame, SparkSession

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Rows:
    """At least one row, collected by the driver."""

    table: pa.Table


@dataclass(frozen=True)
class Empty:
    """No row; `table` has the columns."""

    table: pa.Table


@dataclass(frozen=True)
class TooMany:
    """More rows than `limit`; none of them is kept."""

    limit: int


Collected: TypeAlias = Rows | Empty | TooMany


def collect_at_most(frame: DataFrame, limit: int) -> Collected:
    """The rows of a frame, or TooMany if they are more than `limit`.

    They are collected and not counted first, so that the query that finds them runs once.
    """
    table = frame.limit(limit + 1).toArrow()
    return TooMany(limit) if table.num_rows > limit else as_collected(table)


def as_collected(table: pa.Table) -> Rows | Empty:
    """A table of the driver as `Rows` or `Empty`."""
    return Rows(table) if table.num_rows else Empty(table)


def materialized(frame: DataFrame, limit: int) -> DataFrame:
    """The same rows, computed once and sent from the driver, if they are at most `limit`; else the frame as it is."""
    collected = collect_at_most(frame, limit)
    if isinstance(collected, TooMany):
        return frame
    return frame.sparkSession.createDataFrame(collected.table, frame.schema)


def driver_row_limit(spark: SparkSession, configured: int | None) -> int:
    """How many rows the driver may collect and send to every task: `configured`, else by the memory of both.

    A row of keys and names takes some 250 bytes; a sixty-fourth of the smaller heap holds 65,000 of them a GiB.
    """
    if configured is not None:
        return configured
    is_local = (spark.conf.get("spark.master", None) or "").startswith("local")
    memory = ["spark.driver.memory", *([] if is_local else ["spark.executor.memory"])]
    return int(min(_gib(spark.conf.get(key, None) or "1g") for key in memory) * 65_536)


def _gib(size: str) -> float:
    """Spark's spelling of a size, such as 8g or 512m, in GiB; without a unit it is bytes."""
    number = float(size.strip().lower().rstrip("b").rstrip("kmgt") or 0)
    unit = size.strip().lower().rstrip("b")[-1:]
    return number * {"k": 2**-20, "m": 2**-10, "g": 1, "t": 2**10}.get(unit, 2**-30)
