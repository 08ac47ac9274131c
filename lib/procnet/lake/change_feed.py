"""Rows that were committed to a table after a version, by Delta's change data feed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.errors import DataError
from procnet.lake.tables import Lake
from procnet.spark.filters import date_in_range


@dataclass(frozen=True)
class NoCommits:
    """There is no commit after the given version."""


def changes(spark: SparkSession, ref: str, since: int, now: int) -> DataFrame | NoCommits:
    """Rows of the commits after version `since` up to version `now`, with `_commit_version`.

    `ref` is the table's name in SQL. DataError if the table has no change data feed over all of these commits.
    """
    if since >= now:
        return NoCommits()
    reader = spark.read.option("readChangeFeed", "true").option("startingVersion", since + 1)
    try:
        rows = reader.option("endingVersion", now).table(ref)
        _ = rows.schema  # Spark Connect resolves the table only here
    except AnalysisException as e:
        raise _no_feed(f"table {ref} has no change data feed from version {since + 1} on", e) from None
    return rows


def changed_dates(lake: Lake, table: str, since: int, now: int) -> dict[date, int]:
    """event_date -> newest commit with rows of that date, of the commits after version `since` up to `now`. Dates of
    times out of range are left out: no run reads them, and datetime has not all of them."""
    rows = changes(lake.spark, lake.ref(table), since, now)
    if isinstance(rows, NoCommits):
        return {}
    with missing_changes_as_data_error():
        inside = date_in_range(lake.settings.events.period)
        newest = rows.where(inside).groupBy("event_date").agg(F.max("_commit_version"))
        return {day: int(version) for day, version in newest.collect()}


@contextmanager
def missing_changes_as_data_error() -> Iterator[None]:
    """Raises DataError where Spark finds missing changes: the feed was off for a time, or VACUUM deleted its files."""
    try:
        yield
    except Exception as e:  # not only Spark's: an error of a task comes as Py4J's
        if "DELTA_MISSING_CHANGE_DATA" in str(e):
            raise _no_feed("the change data feed of a table was off for a time", e) from None
        if "FILE_NOT_EXIST" in str(e) or "FileNotFoundException" in str(e):
            raise _no_feed(
                "files of the change data feed are missing: VACUUM deleted them before they were read", e
            ) from None
        raise


def _no_feed(problem: str, error: Exception) -> DataError:
    return DataError(
        f"{problem}: {str(error).splitlines()[0]}",
        hint="run procnet backfill over the period in question; for later commits, procnet init enables the feed, and "
        "the owner of a table read in place does: SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
    )
