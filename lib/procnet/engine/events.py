"""All events of a run: the lake's own tables and the raw tables of `sources` in the settings, side by side, lazily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import TABLES
from procnet.errors import DataError
from procnet.lake.change_feed import changes
from procnet.lake.tables import Lake, ref_of
from procnet.readers.frames import read_table
from procnet.settings import SourceSettings
from procnet.sources.schema_drift import REQUIRED, not_there
from procnet.sources.validate import load_source
from procnet.sources.view import canonical_view
from procnet.spark.concurrent import run_concurrently

OWN = ("process_events", "network_events")


@dataclass(frozen=True)
class Events:
    """`contract.PROCESS_EVENTS` and `NETWORK_EVENTS`; the versions they were read at, None for a table without."""

    processes: DataFrame
    connections: DataFrame
    versions: Mapping[str, int | None]

    @property
    def known_versions(self) -> dict[str, int]:
        """For the ledger."""
        return {t: v for t, v in self.versions.items() if v is not None}


def read_events(lake: Lake) -> Events:
    """Everything that the settings name. DataError where a table or a column that must be there is not.

    The lake's own tables are optional once there are sources: whoever reads in place need not have them.
    """
    # Before the tables are: a commit in between is then read and not told of, and catch-up looks at it again.
    versions = versions_of(lake)
    sources = lake.settings.sources
    own = [t for t in OWN if not sources or lake.exists(t)]
    frames = {t: [lake.read(t)] if t in own else [] for t in OWN}
    for name, asked in sources.items():
        for raw in _raw(lake, name, asked):
            for table, view in _views(raw, name, asked).items():
                frames[table].append(view)
    for table in OWN:
        if not frames[table]:
            raise DataError(
                f"nothing gives {table}: neither the lake nor the sources {', '.join(sources)}",
                hint="add a source that maps such events under sources in the settings",
            )
    processes, connections = (reduce(DataFrame.unionByName, frames[t]) for t in OWN)
    return Events(processes, connections, versions)


def versions_of(lake: Lake) -> dict[str, int | None]:
    """Table -> its Delta version now, None for one that has no versions."""
    own = run_concurrently(lake.spark, *(partial(lake.version, t) for t in OWN))
    told: dict[str, int | None] = {t: v for t, v in zip(OWN, own, strict=True) if v is not None}
    for name, asked in lake.settings.sources.items():
        told |= {f"{name}:{table}": lake.version_at(table) for table in asked.tables}
    return told


def changed_events(lake: Lake, since: Mapping[str, int], now: Mapping[str, int]) -> dict[str, DataFrame | None]:
    """Of process_events and network_events, own and in place: the rows that were committed after `since` up to `now`,
    both by the names of `versions_of`, with `of` (that name) and `version`; None where there are no such commits.

    DataError where a table has no change data feed that reaches back so far.
    """
    frames: dict[str, list[DataFrame]] = {t: [] for t in OWN}
    for table in (t for t in OWN if t in now):
        rows = changes(lake.spark, lake.ref(table), since[table], now[table])
        if rows is not None:
            frames[table].append(_told(rows, table, table))
    for name, asked in lake.settings.sources.items():
        for place in asked.tables:
            label = f"{name}:{place}"
            rows = changes(lake.spark, ref_of(place), since[label], now[label])
            if rows is not None:
                raw = _shaped(rows.withColumn("file", F.lit(place)), name, place, asked, _COMMIT)
                for table, view in _views(raw, name, asked, _COMMIT).items():
                    frames[table].append(_told(view, table, label))
    return {t: reduce(DataFrame.unionByName, f) if f else None for t, f in frames.items()}


_COMMIT = ("_commit_version",)


def _told(rows: DataFrame, table: str, of: str) -> DataFrame:
    version = F.col("_commit_version").alias("version")
    return rows.select(*TABLES[table][0].names, F.lit(of).alias("of"), version)


def _raw(lake: Lake, name: str, asked: SourceSettings) -> Iterator[DataFrame]:
    for table in asked.tables:
        yield _shaped(read_table(lake.spark, table, asked.table_format), name, table, asked)


def _shaped(raw: DataFrame, name: str, table: str, asked: SourceSettings, keep: Sequence[str] = ()) -> DataFrame:
    """The table as its mapping reads it: as it is, or the text of one column."""
    if asked.column is None:
        return raw
    if asked.column not in raw.columns:
        raise DataError(f"source {name}: {table} has no column {asked.column}; it has {', '.join(raw.columns)}")
    text = F.col(asked.column).alias("raw")
    return raw.select("file", text, F.lit(None).cast("string").alias("problem"), *keep)


def _views(raw: DataFrame, name: str, asked: SourceSettings, keep: Sequence[str] = ()) -> dict[str, DataFrame]:
    source = load_source(asked.mapping)
    found: dict[str, DataFrame] = {}
    for table in OWN:
        view = canonical_view(
            raw,
            source,
            table,
            name=name,
            host=asked.host,
            short_hosts=asked.host_match is not None,
            clock_ahead=asked.clock_ahead,
            keep=keep,
        )
        found |= {table: view} if view is not None else {}
    if not found:
        raise not_there(raw, source, REQUIRED)
    return found
