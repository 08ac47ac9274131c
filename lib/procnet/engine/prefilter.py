"""Which connections and process events can still matter, found on few columns before any text column is read.

A scan costs by its text columns, not by its rows (docs/scale.md). So candidates, connections and process events are
found by keys and names, the driver collects a bounded number of them, and only the rest is read in full: an hour
without a match reads no text. Nothing is decided here: what is left out could not match, and the judge sees the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial, reduce

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.attribute import Plan
from procnet.attribution.hosts import host_key_column
from procnet.attribution.keys import (
    KEY,
    KEY_SCHEMA,
    connections_of_candidates,
    event_keys,
    events_of_connections,
    events_with_keys,
    guid_only_keys,
    has_guid_only_key,
    with_process_ids,
)
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.engine.candidates import candidate_scans
from procnet.engine.driver_rows import BY_VALUE, driver_frame, read_full_rows
from procnet.engine.full_rows import with_full_rows
from procnet.engine.query import Query
from procnet.periods import EPOCH, micros
from procnet.settings import Settings
from procnet.spark.collect import Collected, Empty, Rows, TooMany, collect_at_most
from procnet.spark.concurrent import run_concurrently
from procnet.state.completeness import incomplete_keys
from procnet.state.history import COMPLETE_FROM
from procnet.state.lookback import Lookback, read_lookback

# Connections find process instances by these columns. The original file name is among them because without it any
# program could be a renamed one.
_KEY_COLUMNS = ("event_time", "event_date", "host", "process_id", "process_guid", "process_name")
_PROCESS_COLUMNS = (*_KEY_COLUMNS, "event_kind", "vendor_product", "source", "original_file_name")


@dataclass(frozen=True)
class RelevantEvents:
    """The events that can still give findings: `contract.PROCESS_EVENTS` (text columns only where they can matter) and
    `contract.NETWORK_EVENTS`. `reach`: no detection with a longer lookback has a candidate. `rows_collected`: rows that
    the driver collected, by step. `lookback`: what was read in addition to the carried state."""

    process_events: DataFrame
    network_events: DataFrame
    reach: timedelta
    plan: Plan
    reason: str
    rows_collected: Mapping[str, int] = field(default_factory=dict)
    lookback: Lookback | None = None


@dataclass(frozen=True)
class NothingRelevant:
    """It is known already that the window has no finding; the attributes are those of RelevantEvents."""

    reason: str
    rows_collected: Mapping[str, int] = field(default_factory=dict)
    lookback: Lookback | None = None


def prefilter(query: Query, candidates: Collected) -> RelevantEvents | NothingRelevant:
    """The events that can still give findings: by keys on the driver where they are few, else by joins of tables."""
    if isinstance(candidates, TooMany):
        return _prefilter_by_joins(query, candidates, may_broadcast=False)
    if _one_column_costs_the_record(query.settings):
        return _prefilter_by_joins(query, candidates, may_broadcast=True)
    found = _prefilter_on_driver(query, candidates.table)
    if not isinstance(found, TooMany):
        return found
    # Few keys may have very many events: 500,000 starts on one, as each connection's array, took a heap of 2 GiB.
    return _prefilter_by_joins(query, candidates, may_broadcast=False)


def _prefilter_on_driver(query: Query, candidates: pa.Table) -> RelevantEvents | NothingRelevant | TooMany:
    connections = _collect_connections(query, candidates)
    if isinstance(connections, TooMany):
        return connections
    rows = {"candidates": candidates.num_rows, "network_events": connections.table.num_rows}
    if isinstance(connections, Empty):
        return NothingRelevant("no connection of a candidate, and none that is self-described", rows)
    reach = timedelta(microseconds=max(connections.table.column("lookback_us").to_pylist()))
    processes, full_connections = run_concurrently(
        query.spark,
        partial(_collect_process_events, query, connections.table, reach),
        partial(_collect_full_connections, query, connections.table),
    )
    if isinstance(processes, TooMany):
        return processes
    available = _with_lookback(query, connections.table, processes.table, reach)
    if isinstance(available, TooMany):
        return available
    rows["process_events"] = available.rows.num_rows
    if available.lookback is not None:
        rows["looked_up_keys"] = available.lookback.keys.num_rows
    detections = [d for d in query.detections if d.lookback <= reach]
    return RelevantEvents(
        with_full_rows(available.process_events, available.rows, connections.table, detections),
        _full_connections(query, connections.table)
        if isinstance(full_connections, TooMany)
        else driver_frame(query.spark, full_connections.table, NETWORK_EVENTS),
        reach,
        "broadcast",
        f"each step found at most {query.row_limit} rows",
        rows,
        available.lookback,
    )


@dataclass(frozen=True)
class _AvailableProcesses:
    """The process events of the connections' keys: `rows` as collected, with few columns, and `process_events`, in
    which their other columns are read; `lookback`: what was looked up beside a carried state."""

    rows: pa.Table
    process_events: DataFrame
    lookback: Lookback | None


def _with_lookback(
    query: Query, connections: pa.Table, rows: pa.Table, reach: timedelta
) -> _AvailableProcesses | TooMany:
    """The collected process events, and with a carried state also those of keys for which it is not complete."""
    process_events = query.history.available(reach)
    if query.carried is None:
        return _AvailableProcesses(rows, process_events, None)
    lookback = _look_up_incomplete(query, connections, rows, reach)
    if isinstance(lookback, TooMany):
        return lookback
    rows = rows.filter(pc.equal(rows["row_kind"], "event")).select([*_PROCESS_COLUMNS, "host_key"])
    if lookback.events.num_rows:
        looked_up = driver_frame(query.spark, lookback.events, PROCESS_EVENTS)
        process_events = process_events.unionByName(looked_up)
        rows = pa.concat_tables([rows, lookback.events.select(rows.column_names).cast(rows.schema)])
    return _AvailableProcesses(rows, process_events, lookback)


def _collect_connections(query: Query, candidates: pa.Table) -> Collected:
    """Connections of the window that a candidate could have made, or that are self-described, and that a detection
    could match: the columns that are needed, `host_key`, `any_process` and `lookback_us`."""
    conditions = query.conditions
    with_ports = query.window_network_events.where(conditions.ports)
    connections = connections_of_candidates(
        with_ports, candidates, query.host_match, self_described=conditions.may_be_self_described
    )
    # In lambdas the conditions are interpreted, for the few rows that come so far. Compiled, they would make the loop
    # over all connections longer than the 8,000 bytes up to which the JVM compiles a method at all.
    lookback = f"greatest(candidate, {query.self_described_lookback_us})"
    lookback = f"CASE WHEN {conditions.network} THEN {lookback} END"
    lookbacks = f"filter(transform(array(candidate_lookback_us), candidate -> {lookback}), l -> l IS NOT NULL)"
    connections = connections.selectExpr(*NETWORK_EVENTS.names, f"explode({lookbacks}) AS lookback_us")
    columns = sorted({*_KEY_COLUMNS, *(conditions.fields & set(NETWORK_EVENTS.names))})
    any_process = f"{conditions.any_process} AS any_process"
    return collect_at_most(
        connections.selectExpr(*columns, host_key_column(query.host_match), any_process, "lookback_us"), query.row_limit
    )


def _collect_process_events(query: Query, connections: pa.Table, reach: timedelta) -> Collected:
    """The process events that can decide which process made the connections: _PROCESS_COLUMNS and `host_key`, and with
    a carried state `row_kind` and COMPLETE_FROM."""
    process_events, keys = query.history.with_completeness(reach), connections.select(KEY)
    if has_guid_only_key(keys):
        frame = driver_frame(query.spark, keys, KEY_SCHEMA)
        with_ids = collect_at_most(with_process_ids(frame, process_events, query.host_match), query.row_limit)
        if isinstance(with_ids, TooMany):
            return with_ids
        keys = with_ids.table
    completeness = ("row_kind", *COMPLETE_FROM) if query.carried is not None else ()
    found = events_of_connections(process_events, keys, query.host_match)
    return collect_at_most(
        found.selectExpr(*_PROCESS_COLUMNS, *completeness, host_key_column(query.host_match)), query.row_limit
    )


def _look_up_incomplete(
    query: Query, connections: pa.Table, process_rows: pa.Table, reach: timedelta
) -> Lookback | TooMany:
    """The events of the keys for which the carried events are incomplete, read from the lookback."""
    complete_from = micros(query.history.complete_from - EPOCH)
    found = read_lookback(
        query.history, incomplete_keys(connections, process_rows, complete_from, query.tolerances), reach
    )
    if isinstance(found, TooMany):
        return found
    lookups = process_rows.filter(pc.equal(process_rows["row_kind"], "lookup"))
    return replace(found, needed_again=lookups.select([*KEY, "pid_complete_from"]))


def _collect_full_connections(query: Query, connections: pa.Table) -> Collected:
    """The connections with all columns, where they are few."""
    if connections.num_rows > BY_VALUE:
        return TooMany(BY_VALUE)
    return collect_at_most(_full_connections(query, connections), 2 * BY_VALUE)


def _full_connections(query: Query, connections: pa.Table) -> DataFrame:
    return read_full_rows(query.window_network_events, connections, "dest_port", "process_id", "process_name", "host")


def _prefilter_by_joins(
    query: Query, candidates: Collected, *, may_broadcast: bool
) -> RelevantEvents | NothingRelevant:
    """The relevant events by joins: where rows are too many for the driver, or one column costs the whole record.

    Without the carried state: whether it is complete is checked only for rows that the driver has collected.
    """
    rows = {} if isinstance(candidates, TooMany) else {"candidates": candidates.table.num_rows}
    network_events = query.window_network_events.where(query.conditions.network)
    keys = _keys_with_lookback(query, _candidate_frame(query, candidates), network_events)
    few = collect_at_most(keys, query.row_limit) if may_broadcast else TooMany(query.row_limit)
    if isinstance(few, Empty):
        return NothingRelevant("no candidate, and no connection that is self-described", rows)
    plan: Plan = "shuffled"
    reach, reason = query.longest_lookback, f"a step found more than {query.row_limit} rows"
    if isinstance(few, Rows):
        reach = timedelta(microseconds=max(few.table.column("lookback_us").to_pylist()))
        keys = query.spark.createDataFrame(few.table, keys.schema)
        plan, reason = "broadcast", f"{few.table.num_rows} keys of at most {query.row_limit}"
    keys, stored = keys.drop("lookback_us"), query.history.stored(reach)
    has_guid_only = has_guid_only_key(few.table) if isinstance(few, Rows) else not guid_only_keys(keys).isEmpty()
    if has_guid_only:
        keys = with_process_ids(keys, stored, query.host_match)
    process_events = events_with_keys(stored, keys, query.host_match, small=isinstance(few, Rows))
    return RelevantEvents(process_events, network_events, reach, plan, reason, rows)


def _candidate_frame(query: Query, candidates: Collected) -> DataFrame:
    scans = reduce(DataFrame.union, candidate_scans(query, query.history.stored))
    if isinstance(candidates, TooMany) or query.carried is not None:
        return scans
    return query.spark.createDataFrame(candidates.table, scans.schema)


def _keys_with_lookback(query: Query, candidates: DataFrame, network_events: DataFrame) -> DataFrame:
    """The keys of the candidates and of the self-described connections, with the longest `lookback_us` of each."""
    with_lookback = network_events.withColumn("lookback_us", F.expr(query.self_described_lookback_us))
    self_described = event_keys(with_lookback.where("lookback_us IS NOT NULL"), query.host_match, "lookback_us")
    keys = candidates.drop("process_name").union(self_described)
    return keys.groupBy(*KEY).agg(F.max("lookback_us").alias("lookback_us"))


def _one_column_costs_the_record(settings: Settings) -> bool:
    """Whether a source's records are text in one column, which its mapping parses anew in each scan."""
    return any(s.column is not None for s in settings.sources.values())
