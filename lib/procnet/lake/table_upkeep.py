"""Upkeep of one Delta table: delete old rows, compact small files, vacuum, count commits since the last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Row
from pyspark.sql import functions as F

from procnet.contract import EVENT_TABLES
from procnet.lake.retry import retry_on_conflict
from procnet.lake.tables import Lake
from procnet.spark.filters import date_in_range
from procnet.spark.sql import column as quoted
from procnet.spark.sql import literal

# Checkpoint intervals that may pass without a checkpoint before it is reported.
TOLERATED_INTERVALS = 10


@dataclass(frozen=True)
class TableDetail:
    """Location, size and layout of a table, from DESCRIBE DETAIL."""

    location: str
    files: int
    size: int  # bytes
    partitions: Sequence[str]
    clustering: Sequence[str]


def table_detail(lake: Lake, name: str) -> TableDetail:
    """The table's current detail."""
    (row,) = lake.spark.sql(f"DESCRIBE DETAIL {lake.ref(name)}").collect()
    clustering = row.asDict().get("clusteringColumns") or ()  # a column of newer versions of Delta
    return TableDetail(row["location"], row["numFiles"], row["sizeInBytes"], row["partitionColumns"], clustering)


def rows_before(lake: Lake, name: str, column: str, before: date) -> int:
    """Number of rows whose date in `column` is earlier than `before`.

    Events with a time out of range (`events` of the settings) do not count: where no other is so old, no event that a
    window needs is deleted.
    """
    is_old = F.col(column) < F.lit(before)
    if name in EVENT_TABLES:
        is_old = is_old & date_in_range(lake.settings.events.period, column)
    return lake.spark.table(lake.ref(name)).where(is_old).count()


def delete_before(lake: Lake, name: str, column: str, before: date) -> None:
    """Delete the rows whose date in `column` is earlier than `before`; whole partitions of a partitioned table."""
    statement = f"DELETE FROM {lake.ref(name)} WHERE {quoted(column)} < {literal(before)}"
    retry_on_conflict(lambda _: lake.spark.sql(statement).collect())


def optimize(lake: Lake, name: str, *, order: Sequence[str] = (), dates: tuple[str, date] | None = None) -> int:
    """Compact small files by OPTIMIZE; returns the number of files that were replaced.

    `order`: columns of a Z-order. `dates`: a date column and the first date to rewrite; None for the whole table.
    """
    where = f" WHERE {quoted(dates[0])} >= {literal(dates[1])}" if dates else ""
    zorder = f" ZORDER BY ({', '.join(map(quoted, order))})" if order else ""
    statement = f"OPTIMIZE {lake.ref(name)}{where}{zorder}"
    rows: list[Row] = retry_on_conflict(lambda _: lake.spark.sql(statement).collect())
    return sum(int(r["metrics"]["numFilesRemoved"]) for r in rows)


def vacuum(lake: Lake, name: str, keep: timedelta, *, dry_run: bool) -> int:
    """Delete files that no version of the last `keep` needs; returns their number. `dry_run` only counts them."""
    statement = f"VACUUM {lake.ref(name)} RETAIN {-(-keep // timedelta(hours=1))} HOURS"
    files = lake.spark.sql(f"{statement} DRY RUN").count()
    if files and not dry_run:
        lake.spark.sql(statement).collect()
    return files


def commits_since_checkpoint(lake: Lake, name: str, location: str) -> int | None:
    """Number of commits that a reader replays after the newest checkpoint; None if the log's files cannot be listed.

    Delta writes a checkpoint every `delta.checkpointInterval` commits, and only logs a warning if it fails: then each
    commit makes reads slower, and old log files are never deleted.
    """
    version = lake.version(name)
    # Checkpoints of the policy v2 are JSON, with the files that they name beside the log.
    checkpoints = lake.spark.read.format("binaryFile").option("pathGlobFilter", "*.checkpoint.*")
    try:
        files = checkpoints.load(f"{location}/_delta_log").select("path").collect()
    except Exception:  # catalogs that refuse access by path raise various errors
        return None
    versions = [int(f["path"].rpartition("/")[2].partition(".")[0]) for f in files]
    return None if version is None else version - max(versions, default=0)


def checkpoint_interval(lake: Lake, name: str) -> int:
    """Commits from one checkpoint to the next, by the table's properties."""
    return int(lake.properties(name).get("delta.checkpointInterval", "10"))
