"""Reads the events of keys from the lookback: keys whose carried events are incomplete, or on which rows came late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_filter, host_key_column
from procnet.attribution.keys import events_of_connections
from procnet.contract import PROCESS_EVENTS
from procnet.spark.collect import Collected, TooMany, collect_at_most
from procnet.state.history import ProcessHistory

_NO_EVENTS = pa.table({n: pa.nulls(0) for n in (*PROCESS_EVENTS.names, "host_key")})


@dataclass(frozen=True)
class Lookback:
    """All process events of some keys, read from the tables.

    `keys` (KEY) and all their `events` (`contract.PROCESS_EVENTS` and `host_key`), from `reach` before the window up to
    the time from which events of every key are at hand. `needed_again`: keys of earlier lookups that this window needed
    too, with `pid_complete_from`.
    """

    keys: pa.Table
    events: pa.Table
    reach: timedelta
    needed_again: pa.Table | None = None


def read_lookback(history: ProcessHistory, keys: pa.Table, reach: timedelta) -> Lookback | TooMany:
    """Read the events of the keys (KEY). For a guid without a process id the process ids of its starts are read too,
    since end events and later starts are found by the id."""
    if not keys.num_rows:
        return Lookback(keys, _NO_EVENTS, reach)
    found = _events_of(history, keys, reach)
    if isinstance(found, TooMany):
        return found
    events = found.table
    if (more := _process_ids_of_guids(events, keys)).num_rows:
        ends = _events_of(history, more, reach)
        if isinstance(ends, TooMany):
            return ends
        keys, events = pa.concat_tables([keys, more]), pa.concat_tables([events, ends.table])
    return Lookback(keys, events, reach)


def _events_of(history: ProcessHistory, keys: pa.Table, reach: timedelta) -> Collected:
    on_hosts = host_filter(keys.column("host_key").to_pylist(), history.host_match)
    before = history.complete_from - history.tolerances.start_tolerance
    stored = history.stored(reach).where(on_hosts).where(F.col("event_time") < F.lit(before))
    # All events of a guid, on whatever process id: the lookup is used again for connections with another id.
    events = events_of_connections(stored, keys, history.host_match, all_of_guids=True)
    return collect_at_most(
        events.selectExpr(*PROCESS_EVENTS.names, host_key_column(history.host_match)), history.row_limit
    )


def _process_ids_of_guids(events: pa.Table, keys: pa.Table) -> pa.Table:
    """Keys with the process ids of the starts that were looked up by a guid without a process id."""
    guid_only = keys.filter(pc.is_null(keys["process_id"])).select(["host_key", "process_guid"])
    starts = events.filter(pc.and_(pc.equal(events["event_kind"], "start"), pc.is_valid(events["process_id"])))
    found = starts.select(keys.column_names).join(guid_only, ["host_key", "process_guid"], join_type="left semi")
    return found.group_by(keys.column_names).aggregate([]).select(keys.column_names).cast(keys.schema)
