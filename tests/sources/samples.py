"""Shared by the tests of single records: the folder of the samples, and rows as plain values to compare."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from real_records import DATA

SAMPLES = DATA / "format_samples"
NEEDS_SAMPLES = [
    pytest.mark.spark,
    pytest.mark.records,
    pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no sample records at {SAMPLES}"),
]
NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)
Row = dict[str, Any]


def rows_without_nulls(frame: DataFrame) -> list[Row]:
    """Rows as dictionaries without null values, times as text (in the session's zone, which is UTC)."""
    times = [f.name for f in frame.schema if isinstance(f.dataType, T.TimestampType | T.DateType)]
    rows = frame.withColumns({n: F.col(n).cast("string") for n in times}).collect()
    return [{n: v for n, v in row.asDict().items() if v is not None} for row in rows]
