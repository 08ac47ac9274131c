"""Time filters on canonical events and findings that prune files."""

from __future__ import annotations

from datetime import datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def in_period(start: datetime, end: datetime, date: str = "event_date") -> Column:
    """Condition: event_time lies in `[start, end)`.

    `date` is the table's date column: `event_date` of events, `finding_date` of findings. The bounds are literals, on
    the date column too, so that Delta prunes partitions and files.
    """
    first, last = (t.astimezone(timezone.utc).date() for t in (start, end))
    in_time = (F.col("event_time") >= F.lit(start)) & (F.col("event_time") < F.lit(end))
    return F.col(date).between(F.lit(first), F.lit(last)) & in_time


def events_in_period(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Canonical events whose event_time lies in `[start, end)`."""
    return events.where(in_period(start, end))
