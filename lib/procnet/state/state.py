"""What a scheduled run leaves for the next: events of the processes that could still answer, so that an hour costs the
hour however far its detections look back (3-join, carry-over state).

A cache and never a truth. A part tells by its mark which questions it was made for, and by table versions what it has
seen: keys that were changed since are read anew, and without a part for the very start of a window the whole lookback
is read. So windows may come in any order, and findings are always those of a run without it.

Kept are the starts that a detection wants, as far back as it looks, and from each on all events of its keys; and the
keys that had to be looked up (`attribution/settled.py` tells which), since they are asked for again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution.hosts import host_key
from procnet.attribution.keys import KEY, KEYS, event_keys, events_with_keys
from procnet.contract import OPEN_PROCESSES, PROCESS_EVENTS
from procnet.detections.evaluate import starts_wanted
from procnet.engine.events import OWN, Events, changed_events
from procnet.engine.query import CarriedEvents, Query
from procnet.errors import DataError
from procnet.lake.change_feed import readable
from procnet.lake.tables import Lake
from procnet.periods import EPOCH, micros
from procnet.sources.mapping import read_mapping
from procnet.spark.collect import collect_at_most, materialized
from procnet.spark.filters import in_period
from procnet.state.lookback import LookedUp, look_up
from procnet.state.snapshot import ROWS, as_rows, left_open, told_of

_TABLE = "open_processes"
_LATE = 10_000  # changed rows that are looked at one by one; with more of them the lookback is read


@dataclass(frozen=True)
class State:
    """What a window is given: `carried`, or None and the reason, in words. `mark` is what it may leave a part under;
    None where no run could read one."""

    carried: CarriedEvents | None
    told: str
    mark: str | None = None


def keeps_state(asked: Query) -> bool:
    """Whether a run of this question carries its state on: a scheduled window, with a lookback past the bound."""
    over, length = asked.settings.attribution.state_over, asked.settings.window.length
    window = asked.window
    scheduled = window.end - window.start == length and not (window.start - EPOCH) % length
    return over is not None and asked.longest > over and scheduled


def _mark(lake: Lake, asked: Query) -> str:
    """The questions to starts and how far back they go; how events of one process are told; which tables are read."""
    questions = [(micros(age), starts_wanted(group)) for age, group in sorted(asked.by_lookback().items())]
    tolerances = [micros(t) for t in vars(asked.tolerances).values()]
    sources = {
        name: [source.model_dump(mode="json"), read_mapping(source.mapping).model_dump_json()]
        for name, source in asked.settings.sources.items()
    }
    table = lake.identity(OWN[0]) if lake.exists(OWN[0]) else None
    text = json.dumps([questions, tolerances, asked.hosts.value, sources, table], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def carried_to(lake: Lake, asked: Query, events: Events) -> State:
    """What the run of the window before has left, brought up to date with what was committed since."""
    if not lake.exists(_TABLE):
        return State(None, f"no state: table {_TABLE} is not there, procnet init makes it")
    if None in (now := _process_versions(events)).values():
        return State(None, "no state: a table of process events has no versions")
    mark = _mark(lake, asked)
    return replace(_found(lake, asked, mark, now), mark=mark)


def _found(lake: Lake, asked: Query, mark: str, now: dict[str, int | None]) -> State:
    table, start = lake.read(_TABLE), asked.window.start
    mine = table.where((F.col("state_date") == F.lit(start.date())) & (F.col("state_time") == F.lit(start)))
    mine = mine.where(F.col("mark") == F.lit(mark))
    made = mine.where("event_kind = 'made'").select("part", "table_versions").collect()
    fit = [m for m in made if set(m["table_versions"]) == set(now)]
    if not fit:
        return State(None, "no state for this question up to the window's start")
    newest = max(fit, key=lambda m: (sum(m["table_versions"].values()), m["part"]))
    rows = mine.where((F.col("part") == F.lit(newest["part"])) & (F.col("event_kind") != "made")).select(*ROWS)
    since = start - 2 * asked.tolerances.start_tolerance
    before = rows.where((F.col("event_kind") == "asked") | (F.col("event_time") < F.lit(since)))
    try:
        with readable():
            return _up_to_date(
                lake, replace(asked, carried=CarriedEvents(before, since)), newest["table_versions"], now
            )
    except DataError as e:  # what was committed since cannot be told any more
        return State(None, f"no state: {e.message}")


def _process_versions(events: Events) -> dict[str, int | None]:
    return {name: v for name, v in events.versions.items() if name != OWN[1]}


def _up_to_date(lake: Lake, asked: Query, seen: dict[str, int], now: dict[str, int | None]) -> State:
    """The carried events with those keys read anew that rows committed since could touch."""
    carried = asked.carried
    assert carried is not None
    changed = changed_events(lake, seen, {t: v for t, v in now.items() if v is not None})[OWN[0]]
    if changed is None:
        return State(carried, "state")
    late = changed.where(in_period(asked.first(asked.longest) - timedelta(seconds=1), carried.since))
    wanted = F.expr(f"coalesce(event_kind = 'start' AND {starts_wanted(asked.detections) or 'false'}, false)")
    rows = collect_at_most(event_keys(late.withColumn("wanted", wanted), asked.hosts, "wanted"), _LATE)
    if rows is None:
        return State(None, f"no state: more than {_LATE} rows came late")
    if not rows.num_rows:
        return State(carried, "state")
    keys = _touched(asked, rows)
    if not keys.num_rows:
        return State(carried, "state")
    found = look_up(asked, keys, asked.longest)
    if found is None:
        return State(None, f"no state: late rows on {keys.num_rows} keys touch more than {asked.limit} events")
    named = asked.spark.createDataFrame(found.keys, KEYS)
    rest = _without(carried.rows, named, asked)
    read = as_rows(told_of(asked, found, asked.window.start))
    events = asked.spark.createDataFrame(found.events.select(PROCESS_EVENTS.names), PROCESS_EVENTS)
    told = rest.unionByName(read).unionByName(events, allowMissingColumns=True).select(*ROWS)
    return State(CarriedEvents(materialized(told, asked.limit), carried.since), "state, late rows read anew")


def _touched(asked: Query, late: pa.Table) -> pa.Table:
    """The keys of late rows that are wanted, or that something is carried of."""
    assert asked.carried is not None
    keys = late.group_by([*KEY]).aggregate([("wanted", "max")])
    frame = asked.spark.createDataFrame(keys.select(KEY), KEYS)
    on = events_with_keys(asked.carried.rows, frame, asked.hosts, small=True)
    held = event_keys(on, asked.hosts).distinct().toArrow()
    there = [set(zip(*(held[c].to_pylist() for c in ("host_key", key)), strict=True)) for key in KEY[1:]]
    touched = [
        wanted or (pid is not None and (host, pid) in there[0]) or (guid is not None and (host, guid) in there[1])
        for host, pid, guid, wanted in zip(*(keys[c].to_pylist() for c in (*KEY, "wanted_max")), strict=True)
    ]
    return keys.filter(touched).select(KEY)


def _without(rows: DataFrame, keys: DataFrame, asked: Query) -> DataFrame:
    """Rows on none of the keys."""
    rest = rows.selectExpr("*", f"{host_key('host', asked.hosts)} AS host_key")
    for key in KEY[1:]:
        side = keys.where(F.col(key).isNotNull()).select("host_key", key).distinct()
        rest = rest.join(F.broadcast(side), on=["host_key", key], how="left_anti")
    return rest.select(*rows.columns)


def carry_on(lake: Lake, asked: Query, looked_up: LookedUp | None, events: Events, mark: str) -> None:
    """Append the part that the run of the next window asks for."""
    end, versions = asked.window.end, {t: v for t, v in _process_versions(events).items() if v is not None}
    shape = T.StructType([OPEN_PROCESSES[n] for n in ("event_kind", "event_time", "event_date", "table_versions")])
    made = asked.spark.createDataFrame([("made", end, end.date(), versions)], shape)
    part = {"part": uuid.uuid4().hex, "state_time": end, "mark": mark, "state_date": end.date()}
    rows = left_open(asked, looked_up).unionByName(made, allowMissingColumns=True)
    lake.append(_TABLE, rows.withColumns({n: F.lit(v) for n, v in part.items()}).hint("rebalance"))
