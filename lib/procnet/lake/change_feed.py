"""What was committed to a table since a version, by Delta's change data feed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.errors import DataError
from procnet.lake.tables import Lake


def changes(spark: SparkSession, ref: str, since: int, now: int) -> DataFrame | None:
    """A table's rows of the commits after version `since` up to `now`, with `_commit_version`; None if there are no
    such commits. `ref` is what SQL calls it. DataError where the feed was not on in all of them."""
    if since >= now:
        return None
    read = spark.read.option("readChangeFeed", "true").option("startingVersion", since + 1)
    try:
        rows = read.option("endingVersion", now).table(ref)
        _ = rows.schema  # Spark Connect looks for the feed no sooner
    except AnalysisException as e:
        raise _no_feed(f"table {ref} has no change data feed from version {since + 1} on", e) from None
    return rows


def changed_dates(lake: Lake, table: str, since: int, now: int) -> dict[date, int]:
    """Each event_date with rows in those commits, and the newest commit of them; one action."""
    rows = changes(lake.spark, lake.ref(table), since, now)
    if rows is None:
        return {}
    with readable():
        newest = rows.where("event_date IS NOT NULL").groupBy("event_date").agg(F.max("_commit_version"))
        return {day: int(version) for day, version in newest.collect()}


@contextmanager
def readable() -> Iterator[None]:
    """Reading changes that are not there is a DataError: the feed was off for a time, or a VACUUM took their files."""
    try:
        yield
    except Exception as e:  # Py4J's own too: a task's error comes as that
        if "DELTA_MISSING_CHANGE_DATA" in str(e):
            raise _no_feed("a table had no change data feed for a time", e) from None
        if "FILE_NOT_EXIST" in str(e) or "FileNotFoundException" in str(e):
            what = "files of the change data feed are gone: a VACUUM took what was not looked at yet"
            raise _no_feed(what, e) from None
        raise


def _no_feed(what: str, error: Exception) -> DataError:
    return DataError(
        f"{what}: {str(error).splitlines()[0]}",
        hint="procnet backfill over the period that is in doubt; for what comes, procnet init switches the feed on, "
        "and on a table read in place its owner does: SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
    )
