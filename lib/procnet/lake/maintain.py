"""The upkeep of one Delta table: rows past their time, small files, files that no version needs, checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Row
from pyspark.sql import functions as F

from procnet.lake.retry import retry_on_conflict
from procnet.lake.tables import Lake
from procnet.spark.sql import column as quoted
from procnet.spark.sql import literal

BEHIND = 10  # checkpoint intervals without a checkpoint that are still no cause for worry


@dataclass(frozen=True)
class Detail:
    """What Delta says of a table: where and how big it is, and how it is laid out."""

    location: str
    files: int
    size: int  # bytes
    partitions: Sequence[str]
    clustering: Sequence[str]


def detail(lake: Lake, name: str) -> Detail:
    """One look at the table's metadata."""
    (row,) = lake.spark.sql(f"DESCRIBE DETAIL {lake.ref(name)}").collect()
    told = row.asDict()
    clustering = told.get("clusteringColumns") or ()
    return Detail(row["location"], row["numFiles"], row["sizeInBytes"], row["partitionColumns"], clustering)


def rows_before(lake: Lake, name: str, column: str, before: date) -> int:
    """Rows whose date in `column` is earlier."""
    return lake.spark.table(lake.ref(name)).where(F.col(column) < F.lit(before)).count()


def delete_before(lake: Lake, name: str, column: str, before: date) -> None:
    """Delete the rows whose date in `column` is earlier: whole partitions, where the table has them."""
    said = f"DELETE FROM {lake.ref(name)} WHERE {quoted(column)} < {literal(before)}"
    retry_on_conflict(lambda _: lake.spark.sql(said).collect())


def optimize(lake: Lake, name: str, *, order: Sequence[str] = (), dates: tuple[str, date] | None = None) -> int:
    """Put small files together; returns how many were. `order` is the Z-order, of the dates from `dates` on."""
    where = f" WHERE {quoted(dates[0])} >= {literal(dates[1])}" if dates else ""
    by = f" ZORDER BY ({', '.join(map(quoted, order))})" if order else ""
    rows: list[Row] = retry_on_conflict(lambda _: lake.spark.sql(f"OPTIMIZE {lake.ref(name)}{where}{by}").collect())
    return sum(int(r["metrics"]["numFilesRemoved"]) for r in rows)


def vacuum(lake: Lake, name: str, keep: timedelta, *, dry_run: bool) -> int:
    """Delete files that no version of the last `keep` needs; returns how many there are of them."""
    asked = f"VACUUM {lake.ref(name)} RETAIN {-(-keep // timedelta(hours=1))} HOURS"
    gone = lake.spark.sql(f"{asked} DRY RUN").count()
    if gone and not dry_run:
        lake.spark.sql(asked).collect()
    return gone


def commits_since_checkpoint(lake: Lake, name: str, location: str) -> int | None:
    """How many commits a reader replays after the newest checkpoint; None where the log's files may not be looked at.

    Delta writes one every `delta.checkpointInterval` commits, and only warns where it cannot: reads then get slower
    commit by commit, and old log files are never cleaned away.
    """
    version = lake.version(name)
    log = lake.spark.read.format("binaryFile").option("pathGlobFilter", "*.checkpoint*.parquet")
    try:
        files = log.load(f"{location}/_delta_log").select("path").collect()
    except Exception:  # a catalog may forbid paths, each in its own words
        return None
    made = [int(f["path"].rpartition("/")[2].partition(".")[0]) for f in files]
    return None if version is None else version - max(made, default=0)


def checkpoint_interval(lake: Lake, name: str) -> int:
    """Commits from one checkpoint to the next, as the table asks."""
    return int(lake.properties(name).get("delta.checkpointInterval", "10"))
