"""Keys whose events are not carried, read from the lookback: what the hour leaves open, what late rows have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_filter, host_key
from procnet.attribution.keys import events_of_connections
from procnet.contract import PROCESS_EVENTS
from procnet.engine.query import Query
from procnet.spark.collect import collect_at_most

_NOTHING = pa.table({n: pa.nulls(0) for n in (*PROCESS_EVENTS.names, "host_key")})


@dataclass(frozen=True)
class LookedUp:
    """What was read: `keys` (`plan.KEY`) and all their `events`, from `reach` before the window up to where events of
    every key are read: `contract.PROCESS_EVENTS` and `host_key`."""

    keys: pa.Table
    events: pa.Table
    reach: timedelta
    again: pa.Table | None = None  # keys of an earlier look that were asked for again, with `pid_since`


def look_up(asked: Query, keys: pa.Table, reach: timedelta) -> LookedUp | None:
    """Read them; None where they are too many to hold. Of a guid alone its process ids are asked too: when such a
    process ends is told by its id."""
    if not keys.num_rows:
        return LookedUp(keys, _NOTHING, reach)
    events = _events_on(asked, keys, reach)
    if events is not None and (more := _ids_of(events, keys)).num_rows:
        ended = _events_on(asked, more, reach)
        if ended is None:
            return None
        keys, events = pa.concat_tables([keys, more]), pa.concat_tables([events, ended])
    return None if events is None else LookedUp(keys, events, reach)


def _events_on(asked: Query, keys: pa.Table, reach: timedelta) -> pa.Table | None:
    hosts: Sequence[str | None] = keys.column("host_key").to_pylist()
    since = asked.known_from - asked.tolerances.start_tolerance
    table = asked.whole(reach).where(host_filter(hosts, asked.hosts)).where(F.col("event_time") < F.lit(since))
    # Of a guid all, on whatever process id: what is told of it is asked again for connections of another id.
    met = events_of_connections(table, keys, asked.hosts, all_of_guids=True)
    host = f"{host_key('host', asked.hosts)} AS host_key"
    return collect_at_most(met.selectExpr(*PROCESS_EVENTS.names, host), asked.limit)


def _ids_of(events: pa.Table, keys: pa.Table) -> pa.Table:
    """Keys of the process ids of starts that are asked by their guid alone."""
    lone = keys.filter(pc.is_null(keys["process_id"])).select(["host_key", "process_guid"])
    starts = events.filter(pc.and_(pc.equal(events["event_kind"], "start"), pc.is_valid(events["process_id"])))
    met = starts.select(keys.column_names).join(lone, ["host_key", "process_guid"], join_type="left semi")
    return met.group_by(keys.column_names).aggregate([]).select(keys.column_names).cast(keys.schema)
