"""The one way in which rows come to the driver before they are written: a bounded number, with one action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


def at_most(frame: DataFrame, limit: int) -> pa.Table | None:
    """The rows of a frame, or None if they are more than `limit`. They are kept, not only counted, so that what found
    them runs once."""
    table = frame.limit(limit + 1).toArrow()
    return table if table.num_rows <= limit else None
