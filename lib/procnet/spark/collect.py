"""The one way in which rows come to the driver before they are written: a bounded number, with one action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


def collect_at_most(frame: DataFrame, limit: int) -> pa.Table | None:
    """The rows of a frame, or None if they are more than `limit`. They are kept, not only counted, so that what found
    them runs once."""
    table = frame.limit(limit + 1).toArrow()
    return table if table.num_rows <= limit else None


def materialized(frame: DataFrame, limit: int) -> DataFrame:
    """The same rows, computed once and held by the driver, if they are at most `limit`; else the frame as it is."""
    table = collect_at_most(frame, limit)
    return frame if table is None else frame.sparkSession.createDataFrame(table, frame.schema)
