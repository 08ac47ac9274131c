"""Time filters on canonical events and findings that prune files."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.periods import Window

_FIRST_IN_CHANGE_FEED = -9_151_318_684_800_000_000  # in microseconds; the year -288024


def in_period(start: datetime, end: datetime, date: str = "event_date") -> Column:
    """Condition: event_time lies in `[start, end)`.

    `date` is the table's date column: `event_date` of events, `finding_date` of findings. The bounds are literals, on
    the date column too, so that Delta prunes partitions and files.
    """
    first, last = (t.astimezone(timezone.utc).date() for t in (start, end))
    in_time = (F.col("event_time") >= F.lit(start)) & (F.col("event_time") < F.lit(end))
    return F.col(date).between(F.lit(first), F.lit(last)) & in_time


def in_range(times: Window, time: str = "event_time") -> Column:
    """Condition: the time lies in `times`, the range of times that are read (`events` of the settings).

    A timestamp of Spark lies between the years -290308 and 294247, a datetime between 1 and 9999: one row of year 30000
    that is collected ends a run. A plain range, so that it reaches the files too.
    """
    return (F.col(time) >= F.lit(times.start)) & (F.col(time) < F.lit(times.end))


def out_of_range(times: Window, time: str = "event_time") -> Column:
    """Condition: the time is known and lies outside `times`."""
    return (F.col(time) < F.lit(times.start)) | (F.col(time) >= F.lit(times.end))


def in_change_feed(time: Column) -> Column:
    """Condition: Delta's change data feed can return the time.

    Its reader makes a java.sql.Timestamp of it, in the Julian calendar, which overflows in the first years that a
    timestamp of Spark has (-290308 to -290302) and fails the job. A filter that reaches the feed leaves such a row out.
    """
    return time >= F.timestamp_micros(F.lit(_FIRST_IN_CHANGE_FEED))


def date_in_range(times: Window, date: str = "event_date") -> Column:
    """Condition: the date is one of a time in `times`."""
    return F.col(date).between(F.lit(times.start.date()), F.lit(times.end.date()))


def in_period_or_out_of_range(period: Window, times: Window) -> Column:
    """Condition: event_time lies in `period`, or outside `times`.

    The date and the time have a condition each, so that one scan prunes partitions by the one and files by the other:
    it reads those of the period, and those that have a row outside.
    """
    date, day_before = F.col("event_date"), (times.start - timedelta(microseconds=1)).date()
    in_dates = date.between(F.lit(period.start.date()), F.lit(period.end.date()))
    by_date = in_dates | (date <= F.lit(day_before)) | (date >= F.lit(times.end.date()))
    return by_date & (in_range(period) | out_of_range(times))


def events_in_period(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Canonical events whose event_time lies in `[start, end)`."""
    return events.where(in_period(start, end))
