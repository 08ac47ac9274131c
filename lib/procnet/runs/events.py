"""All events of a run: the lake's own tables and the raw tables of `sources` in the settings, side by side, lazily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.errors import DataError
from procnet.lake.tables import Lake
from procnet.settings import SourceSettings
from procnet.sources.drift import REQUIRED, not_there
from procnet.sources.load import load_source
from procnet.sources.readers import read_table
from procnet.sources.view import canonical_view

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
    told: dict[str, int | None] = {t: v for t in OWN if (v := lake.version(t)) is not None}
    for name, asked in lake.settings.sources.items():
        told |= {f"{name}:{table}": lake.version_at(table) for table in asked.tables}
    return told


def _raw(lake: Lake, name: str, asked: SourceSettings) -> Iterator[DataFrame]:
    for table in asked.tables:
        raw = read_table(lake.spark, table, asked.table_format)
        if asked.column is None:
            yield raw
        elif asked.column in raw.columns:
            yield raw.select("file", F.col(asked.column).alias("raw"), F.lit(None).cast("string").alias("problem"))
        else:
            raise DataError(f"source {name}: {table} has no column {asked.column}; it has {', '.join(raw.columns)}")


def _views(raw: DataFrame, name: str, asked: SourceSettings) -> dict[str, DataFrame]:
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
        )
        found |= {table: view} if view is not None else {}
    if not found:
        raise not_there(raw, source, REQUIRED)
    return found
