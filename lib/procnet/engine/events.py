"""All events that a run reads: the lake's own tables and the raw tables of `sources` in the settings, lazily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import EVENT_TABLES, REQUIRED_EVENT_TABLES, TABLES
from procnet.errors import DataError
from procnet.lake.change_feed import NoCommits, changes
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.readers.frames import read_table
from procnet.settings import SourceSettings
from procnet.sources.schema_drift import REQUIRED, missing_columns_error
from procnet.sources.validate import load_source
from procnet.sources.view import InPlace, canonical_view
from procnet.spark.concurrent import run_concurrently
from procnet.spark.filters import in_period_or_out_of_range, in_range
from procnet.spark.sql import table_reference

_COMMIT = ("_commit_version",)


@dataclass(frozen=True)
class Events:
    """`contract.PROCESS_EVENTS`, `NETWORK_EVENTS`, `DNS_EVENTS` and `FLOW_EVENTS` with times in the range of the
    settings (`events`), `times`; the last two are None where nothing gives them.

    `versions`: table -> the Delta version at which it was read, None for a table without versions. `all_connections`:
    `contract.NETWORK_EVENTS` with any time, which must not be collected.
    """

    process_events: DataFrame
    network_events: DataFrame
    versions: Mapping[str, int | None]
    all_connections: DataFrame
    times: Window
    dns_events: DataFrame | None = None
    flow_events: DataFrame | None = None

    def window_and_out_of_range(self, window: Window) -> DataFrame:
        """The connections of a window, and those of any table whose time is out of range: one scan of the window's
        files and of those that have such a row."""
        return self.all_connections.where(in_period_or_out_of_range(window, self.times))

    @property
    def known_versions(self) -> dict[str, int]:
        """The versions of the tables that have some, as the ledger keeps them."""
        return {t: v for t, v in self.versions.items() if v is not None}

    @property
    def process_versions(self) -> dict[str, int | None]:
        """The versions of the tables that process events come from."""
        others = {*EVENT_TABLES} - {"process_events"}
        return {t: v for t, v in self.versions.items() if t not in others}


def read_events(lake: Lake) -> Events:
    """The events of the lake's own tables and of all sources in the settings, without those whose time is out of range.

    DataError where a table or a required column is missing. The lake's own tables are optional once there are sources,
    and the tables of names and flows always.
    """
    # Versions before tables: a commit in between is then read but not in the versions, and catch-up looks at it again.
    versions = versions_of(lake)
    sources = lake.settings.sources
    own = {t for t in REQUIRED_EVENT_TABLES if not sources or lake.exists(t)} | versions.keys()
    frames = {t: [lake.read(t)] if t in own else [] for t in EVENT_TABLES}
    for name, source in sources.items():
        for place in source.tables:
            raw = _records(read_table(lake.spark, place, source.table_format), f"source {name}: {place}", source)
            for table, view in _canonical_views(raw, name, source).items():
                frames[table].append(view)
    for table in REQUIRED_EVENT_TABLES:
        if not frames[table]:
            raise DataError(
                f"nothing gives {table}: neither the lake nor the sources {', '.join(sources)}",
                hint="add a source that maps such events under sources in the settings",
            )
    times = lake.settings.events.period
    inside = in_range(times)
    every = {t: reduce(DataFrame.unionByName, f) for t, f in frames.items() if f}
    found = {t: rows.where(inside) for t, rows in every.items()}
    return Events(
        found["process_events"], found["network_events"], versions, every["network_events"], times,
        found.get("dns_events"), found.get("flow_events"),
    )  # fmt: skip


def versions_of(lake: Lake) -> dict[str, int | None]:
    """Table -> its Delta version now, None for a table without versions. Own tables that do not exist are left out; a
    table read in place is called `source:table`."""
    own = run_concurrently(lake.spark, *(partial(lake.version, t) for t in EVENT_TABLES))
    versions: dict[str, int | None] = {t: v for t, v in zip(EVENT_TABLES, own, strict=True) if v is not None}
    for name, source in lake.settings.sources.items():
        versions |= {f"{name}:{place}": lake.version_at(place) for place in source.tables}
    return versions


def changed_events(lake: Lake, since: Mapping[str, int], now: Mapping[str, int]) -> dict[str, DataFrame | NoCommits]:
    """Rows of the tables of events, own and in place, that were committed after the versions `since` up to
    `now` (both by the names of `versions_of`), with any time: the change data feed has a deleted row for ever.

    Out: table -> its columns, `of` (which table changed, by the same names) and `version`. DataError where a table has
    no change data feed that reaches back so far.
    """
    frames: dict[str, list[DataFrame]] = {t: [] for t in EVENT_TABLES}
    for table in (t for t in EVENT_TABLES if t in now):
        rows = changes(lake.spark, lake.ref(table), since[table], now[table])
        if not isinstance(rows, NoCommits):
            frames[table].append(_with_version(rows, table, table))
    for name, source in lake.settings.sources.items():
        for place in source.tables:
            label = f"{name}:{place}"
            rows = changes(lake.spark, table_reference(place), since[label], now[label])
            if not isinstance(rows, NoCommits):
                raw = _records(rows.withColumn("file", F.lit(place)), f"source {name}: {place}", source, _COMMIT)
                for table, view in _canonical_views(raw, name, source, _COMMIT).items():
                    frames[table].append(_with_version(view, table, label))
    return {t: reduce(DataFrame.unionByName, f) if f else NoCommits() for t, f in frames.items()}


def changed_process_events(
    lake: Lake, now: Mapping[str, int | None], since: Mapping[str, int]
) -> DataFrame | NoCommits:
    """The process events among `changed_events`."""
    known = {t: v for t, v in now.items() if v is not None}
    return changed_events(lake, since, known)["process_events"]


def _with_version(rows: DataFrame, table: str, of: str) -> DataFrame:
    version = F.col("_commit_version").alias("version")
    return rows.select(*TABLES[table][0].names, F.lit(of).alias("of"), version)


def _records(raw: DataFrame, place: str, source: SourceSettings, extra: Sequence[str] = ()) -> DataFrame:
    """The table as its mapping reads it: as it is, or the text of one column. `extra` columns stay."""
    if source.column is None:
        return raw
    if source.column not in raw.columns:
        raise DataError(f"{place} has no column {source.column}; it has {', '.join(raw.columns)}")
    text = F.col(source.column).alias("raw")
    return raw.select("file", text, F.lit(None).cast("string").alias("problem"), *extra)


def _canonical_views(
    raw: DataFrame, name: str, source: SourceSettings, extra: Sequence[str] = ()
) -> dict[str, DataFrame]:
    mapping = load_source(source.mapping)
    options = InPlace(name, source.host, source.host_match is not None, source.clock_ahead, extra)
    found: dict[str, DataFrame] = {}
    for table in EVENT_TABLES:
        view = canonical_view(raw, mapping, table, options)
        found |= {table: view} if view is not None else {}
    if not found:
        raise missing_columns_error(raw, mapping, REQUIRED)
    return found
