"""The state that one scheduled run leaves for the next, so that an hour costs the hour however long the lookbacks are.

It is a cache. Each part has a fingerprint of all that decides which events are kept, and the table versions that it was
made from: keys with rows committed since are read again, and without a part that ends at the window's start, the whole
lookback is read. So windows may run in any order, and findings are always those of a run without state.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution.hosts import with_host_key
from procnet.attribution.keys import KEY, KEY_SCHEMA, event_keys, events_with_keys
from procnet.contract import OPEN_PROCESSES, PROCESS_EVENTS
from procnet.errors import DataError
from procnet.lake.change_feed import NoCommits, missing_changes_as_data_error
from procnet.lake.tables import Lake
from procnet.periods import Window, floor_to_grid, micros
from procnet.settings import Settings
from procnet.sources.mapping import read_mapping
from procnet.spark.collect import TooMany, collect_at_most, materialized
from procnet.spark.filters import in_period
from procnet.state.history import CARRIED_COLUMNS, CarriedRows, ProcessHistory
from procnet.state.lookback import Lookback, read_lookback
from procnet.state.snapshot import lookup_rows, lookups_of, snapshot

TABLE = "open_processes"
_LATE_ROWS = 10_000  # so many rows committed since are looked at one by one; with more the lookback is read

# Lookback -> SQL condition for the starts that detections of this lookback could match; None: none names a process.
StartConditions: TypeAlias = Mapping[timedelta, str | None]
# Process events that were committed after these table versions. Raises DataError where the feed lacks them.
ChangesSince: TypeAlias = Callable[[Mapping[str, int]], DataFrame | NoCommits]


@dataclass(frozen=True)
class LoadedState:
    """The state left by the run of the window before, brought up to date: `carried`, or None and the `reason`.
    `fingerprint` is that of the part which this run may leave; None where no run could read it."""

    carried: CarriedRows | None
    reason: str
    fingerprint: str | None = None


def carries_state(settings: Settings, window: Window, longest_lookback: timedelta) -> bool:
    """Whether a run of this window leaves state: a window of the schedule, with a lookback above
    `attribution.state_over`."""
    state_over, length = settings.attribution.state_over, settings.window.length
    is_scheduled = window.end - window.start == length and window.start == floor_to_grid(window.start, length)
    return state_over is not None and longest_lookback > state_over and is_scheduled


def load_state(
    lake: Lake,
    history: ProcessHistory,
    start_conditions: StartConditions,
    versions: Mapping[str, int | None],
    changes_since: ChangesSince,
) -> LoadedState:
    """The state for the start of the history's window, with what was committed since read again.

    `versions`: table of process events -> its Delta version now, None for a table without versions.
    """
    if not lake.is_current(TABLE):
        old = lake.exists(TABLE)
        why = "is of an older version, procnet init makes it anew" if old else "does not exist, procnet init creates it"
        return LoadedState(None, f"no state: table {TABLE} {why}")
    if None in versions.values():
        return LoadedState(None, "no state: a table of process events has no versions")
    fingerprint = _fingerprint(lake, history, start_conditions)
    found = _newest_part(lake, history, fingerprint, versions)
    if found is None:
        return LoadedState(None, "no state for these detections up to the window's start", fingerprint)
    carried, made_from = found
    try:
        with missing_changes_as_data_error():
            with_carried = replace(history, carried=carried)
            state = _up_to_date(with_carried, carried, start_conditions, changes_since(made_from))
    except DataError as e:  # the change feed no longer has what was committed since
        state = LoadedState(None, f"no state: {e.message}")
    return replace(state, fingerprint=fingerprint)


def save_state(
    lake: Lake,
    history: ProcessHistory,
    start_conditions: StartConditions,
    lookback: Lookback | None,
    versions: Mapping[str, int | None],
    fingerprint: str,
) -> None:
    """Append the part that the run of the next window loads. In one commit, so that no run sees half of a part."""
    end, known = history.window.end, {t: v for t, v in versions.items() if v is not None}
    made_from = T.StructType([OPEN_PROCESSES[n] for n in ("row_kind", "table_versions")])
    part_row = history.spark.createDataFrame([("part", known)], made_from)
    rows = snapshot(history, start_conditions, lookback).unionByName(part_row, allowMissingColumns=True)
    part = {"part": uuid.uuid4().hex, "state_time": end, "fingerprint": fingerprint, "state_date": end.date()}
    lake.append(TABLE, rows.withColumns({n: F.lit(v) for n, v in part.items()}).hint("rebalance"))


def _fingerprint(lake: Lake, history: ProcessHistory, start_conditions: StartConditions) -> str:
    """A hash of the conditions on starts and their lookbacks, the tolerances, and the tables that are read and how."""
    conditions = [(micros(age), condition) for age, condition in sorted(start_conditions.items())]
    tolerances = [micros(t) for t in vars(history.tolerances).values()]
    sources = {
        name: [source.model_dump(mode="json"), read_mapping(source.mapping).model_dump_json()]
        for name, source in lake.settings.sources.items()
    }
    table = lake.identity("process_events") if lake.exists("process_events") else None
    text = json.dumps([conditions, tolerances, history.host_match.value, sources, table], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _newest_part(
    lake: Lake, history: ProcessHistory, fingerprint: str, versions: Mapping[str, int | None]
) -> tuple[CarriedRows, dict[str, int]] | None:
    """The newest part for the window's start, and the table versions that it was made from."""
    start = history.window.start
    at_start = (F.col("state_date") == F.lit(start.date())) & (F.col("state_time") == F.lit(start))
    state = lake.read(TABLE).where(at_start & (F.col("fingerprint") == F.lit(fingerprint)))
    parts = state.where("row_kind = 'part'").select("part", "table_versions").collect()
    usable = [p for p in parts if set(p["table_versions"]) == set(versions)]
    if not usable:
        return None
    newest = max(usable, key=lambda p: (sum(p["table_versions"].values()), p["part"]))
    since = start - 2 * history.tolerances.start_tolerance
    rows = state.where((F.col("part") == F.lit(newest["part"])) & (F.col("row_kind") != "part"))
    rows = rows.where((F.col("row_kind") == "lookup") | (F.col("event_time") < F.lit(since)))
    return CarriedRows(rows.select(*CARRIED_COLUMNS), since), dict(newest["table_versions"])


def _up_to_date(
    history: ProcessHistory, carried: CarriedRows, start_conditions: StartConditions, changes: DataFrame | NoCommits
) -> LoadedState:
    """The carried rows, with those keys read again that rows committed since could affect."""
    if isinstance(changes, NoCommits):
        return LoadedState(carried, "state")
    earliest = history.start_of(history.longest_lookback) - timedelta(seconds=1)
    late = changes.where(in_period(earliest, carried.since))
    could_match = " OR ".join(f"({c})" for c in start_conditions.values() if c is not None) or "false"
    late = late.selectExpr("*", f"coalesce(event_kind = 'start' AND ({could_match}), false) AS could_match")
    collected = collect_at_most(event_keys(late, history.host_match, "could_match"), _LATE_ROWS)
    if isinstance(collected, TooMany):
        return LoadedState(None, f"no state: more than {_LATE_ROWS} rows came late")
    keys = _affected_keys(history, carried, collected.table)
    if not keys.num_rows:
        return LoadedState(carried, "state")
    found = read_lookback(history, keys, history.longest_lookback)
    if isinstance(found, TooMany):
        reason = f"no state: late rows on {keys.num_rows} keys affect more than {found.limit} events"
        return LoadedState(None, reason)
    looked_up = history.spark.createDataFrame(found.keys, KEY_SCHEMA)
    read = history.spark.createDataFrame(found.events.select(PROCESS_EVENTS.names), PROCESS_EVENTS)
    rows = (
        _without_keys(carried.rows, looked_up, history)
        .unionByName(lookup_rows(lookups_of(history, found, history.window.start)))
        .unionByName(read.withColumn("row_kind", F.lit("event")), allowMissingColumns=True)
        .select(*CARRIED_COLUMNS)
    )
    return LoadedState(replace(carried, rows=materialized(rows, history.row_limit)), "state, late rows read again")


def _affected_keys(history: ProcessHistory, carried: CarriedRows, late: pa.Table) -> pa.Table:
    """The keys of late rows that are starts a detection could match, or that have carried rows."""
    keys = late.group_by([*KEY]).aggregate([("could_match", "max")])
    if not keys.num_rows:
        return keys.select(KEY)
    frame = history.spark.createDataFrame(keys.select(KEY), KEY_SCHEMA)
    with_keys = events_with_keys(carried.rows, frame, history.host_match, small=True)
    carried_keys = event_keys(with_keys, history.host_match).distinct().toArrow()
    pids, guids = (set(zip(*(carried_keys[c].to_pylist() for c in ("host_key", k)), strict=True)) for k in KEY[1:])
    affected = [
        could_match or (pid is not None and (host, pid) in pids) or (guid is not None and (host, guid) in guids)
        for host, pid, guid, could_match in zip(*(keys[c].to_pylist() for c in (*KEY, "could_match_max")), strict=True)
    ]
    return keys.filter(affected).select(KEY)


def _without_keys(rows: DataFrame, keys: DataFrame, history: ProcessHistory) -> DataFrame:
    """Rows whose host and process id, and host and guid, are those of no key."""
    rest = with_host_key(rows, history.host_match)
    for key in KEY[1:]:
        side = keys.where(F.col(key).isNotNull()).select("host_key", key).distinct()
        rest = rest.join(F.broadcast(side), on=["host_key", key], how="left_anti")
    return rest.select(*rows.columns)
