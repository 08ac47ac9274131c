"""Conditions on canonical events that reach the files."""

from __future__ import annotations

from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def in_period(start: datetime, end: datetime, date: str = "event_date") -> Column:
    """Whether event_time lies in `[start, end)`. The bounds are literals, on the partition column too, so that files
    are pruned; `date` is its name: events have event_date, findings finding_date."""
    first, last = (t.astimezone(timezone.utc).date() for t in (start, end))
    in_time = (F.col("event_time") >= F.lit(start)) & (F.col("event_time") < F.lit(end))
    return F.col(date).between(F.lit(first), F.lit(last)) & in_time


def between(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Canonical events in `[start, end)`."""
    return events.where(in_period(start, end))
