"""First on few columns: which connections, and which process events, can still matter once the text columns are read.

A scan costs by its text columns, not by its rows (3-join). So candidates, connections and lives are looked for by keys
and names alone, a bounded number of them held by the driver, and only what is left is read whole: an hour that has
nothing to say reads no text. Nothing here decides. What is left out could not match; `find` judges the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame

from procnet.attribution.hosts import host_key
from procnet.attribution.keys import KEY, KEYS, events_of_connections, has_guid_only_key, with_process_ids
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.evaluate import fields_used, wants_any_process
from procnet.engine.driver_rows import BY_VALUE, driver_frame, read_full_rows
from procnet.engine.full_rows import with_full_rows
from procnet.engine.query import SINCE, Query
from procnet.periods import EPOCH, micros
from procnet.spark.collect import collect_at_most
from procnet.spark.concurrent import run_concurrently
from procnet.state.completeness import unsettled
from procnet.state.lookback import LookedUp, look_up

# By these lives are told apart, and connections find them. The original name is read too: without, any program could
# be a renamed one.
_MEETS = ("event_time", "event_date", "host", "process_id", "process_guid", "process_name")
_LIVES = (*_MEETS, "event_kind", "vendor_product", "source", "original_file_name")


@dataclass(frozen=True)
class Rest:
    """What can still matter: process events, whole where their text can matter, and connections, still to be read."""

    processes: DataFrame
    connections: DataFrame
    reach: timedelta


@dataclass(frozen=True)
class Narrowed:
    """`rest` is None where nothing can match; `counts` are those of the rows that the driver held."""

    rest: Rest | None
    counts: Mapping[str, int]
    looked_up: LookedUp | None = None


def prefilter(met: DataFrame, asked: Query) -> Narrowed | None:
    """What can still give findings; None where that is too much to hold.

    In: `met`, the connections of the window that meet a candidate or stand alone: `contract.NETWORK_EVENTS` with
    `mark`, how far back it asks, in microseconds.
    """
    columns = sorted({*_MEETS, *(fields_used(asked.detections) & set(NETWORK_EVENTS.names))})
    wide = f"{wants_any_process(asked.detections)} AS wide"
    hits = collect_at_most(met.selectExpr(*columns, _host_key(asked), wide, "mark"), asked.limit)
    if hits is None:
        return None
    counts = {"connections_met": hits.num_rows}
    if not hits.num_rows:
        return Narrowed(None, counts)
    reach = timedelta(microseconds=max(hits.column("mark").to_pylist()))
    judged = [d for d in asked.detections if d.lookback <= reach]
    again = partial(read_full_rows, asked.connections, hits, "dest_port", "process_id", "process_name", "host")
    lives, connections = run_concurrently(asked.spark, partial(_lives, asked, hits, reach), partial(_held, again, hits))
    if lives is None:
        return None
    processes = asked.around(reach)
    looked_up = None
    if asked.carried is not None:
        looked_up = _look_up(asked, hits, lives, reach)
        if looked_up is None:
            return None
        lives = lives.filter(pc.not_equal(lives["event_kind"], "asked")).select([*_LIVES, "host_key"])
        if looked_up.events.num_rows:
            processes = processes.unionByName(driver_frame(asked.spark, looked_up.events, PROCESS_EVENTS))
            lives = pa.concat_tables([lives, looked_up.events.select(lives.column_names).cast(lives.schema)])
        counts |= {"keys_looked_up": looked_up.keys.num_rows}
    counts |= {"process_events_met": lives.num_rows}
    whole = again() if connections is None else driver_frame(asked.spark, connections, NETWORK_EVENTS)
    rest = Rest(with_full_rows(processes, lives, hits, judged), whole, reach)
    return Narrowed(rest, counts, looked_up)


def _look_up(asked: Query, hits: pa.Table, lives: pa.Table, reach: timedelta) -> LookedUp | None:
    """The events of the keys that what is carried does not tell enough of; None where they are too many to hold."""
    keys = unsettled(hits, lives, micros(asked.known_from - EPOCH), asked.tolerances)
    found = look_up(asked, keys, reach)
    again = lives.filter(pc.equal(lives["event_kind"], "asked")).select([*KEY, "pid_since"])
    return None if found is None else replace(found, again=again)


def _lives(asked: Query, hits: pa.Table, reach: timedelta) -> pa.Table | None:
    """The process events that can decide who made the connections: _LIVES and `host_key`, SINCE where something is
    carried; None where they are too many to hold."""
    events, keys = asked.kept(reach), hits.select(KEY)
    if has_guid_only_key(keys):
        more = collect_at_most(
            with_process_ids(driver_frame(asked.spark, keys, KEYS), events, asked.hosts), asked.limit
        )
        if more is None:
            return None
        keys = more
    since = SINCE if asked.carried is not None else ()
    met = events_of_connections(events, keys, asked.hosts).selectExpr(*_LIVES, *since, _host_key(asked))
    return collect_at_most(met, asked.limit)


def _host_key(asked: Query) -> str:
    return f"{host_key('host', asked.hosts)} AS host_key"


def _held(again: Callable[[], DataFrame], some: pa.Table) -> pa.Table | None:
    """The whole rows of some, where they are few."""
    return collect_at_most(again(), 2 * BY_VALUE) if some.num_rows <= BY_VALUE else None
