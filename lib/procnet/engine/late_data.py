"""Finds the times of covered ranges whose findings rows committed since could change (docs/semantics.md, R5).

Late, changed and removed rows are found by Delta's change data feed: a row is late when a run has covered its time and
has not read its commit, whatever the clocks say. The result is a superset: a window too many costs a run and changes
nothing, a window too few would leave a wrong finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key
from procnet.detections.conditions import conditions_of
from procnet.detections.detection import Detection
from procnet.engine.events import Events
from procnet.engine.late_destinations import affected_by_flows, affected_by_names
from procnet.findings.related import AHEAD, PARENT_AGE, REACH
from procnet.lake.change_feed import NoCommits
from procnet.periods import EPOCH, Window, from_micros
from procnet.settings import Settings
from procnet.spark.filters import events_in_period, in_change_feed, in_period, in_range, out_of_range

_AFFECTED = ("event_time", "version", "of")
_IDS = ("process_id", "process_guid")


@dataclass(frozen=True)
class CoveredRange:
    """A part of time that runs have covered; table -> the version up to which they, or later checks, have read it."""

    window: Window
    read: Mapping[str, int]


@dataclass(frozen=True)
class AffectedTimes:
    """`times` of connections and findings: `event_time`, `version` (of the change's commit), `of` (the table that
    changed); None where there is none. `out_of_range`: number of changed rows whose time no run reads."""

    times: DataFrame | None
    out_of_range: int


@dataclass(frozen=True)
class _LateRows:
    """Changed rows, at least one, whose times lie in `[first, end)`."""

    rows: DataFrame
    first: datetime
    end: datetime


def affected(
    changes: Mapping[str, DataFrame | NoCommits],
    events: Events,
    findings: DataFrame,
    ranges: Sequence[CoveredRange],
    detections: Sequence[Detection],
    settings: Settings,
) -> AffectedTimes:
    """Times of connections and findings that a change could affect.

    In: the changes (`events.changed_events`); events and findings as they are now. A late start or end affects the
    connections on its host and id from then to the longest lookback after it, if the id is a candidate's at all, and
    the findings whose `related` may name it. None where no change lies before the end of the ranges: rows that came in
    time are later, so an hourly check costs one look at the hour's own rows.
    """
    end = max(r.window.end for r in ranges) + AHEAD
    connections, refused_connections = _late_rows(changes["network_events"], end, events.times)
    processes, refused_processes = _late_rows(changes["process_events"], end, events.times)
    found: list[DataFrame] = []
    if connections is not None:
        found += _affected_by_connections(connections, findings, detections, settings)
    if processes is not None:
        found += _affected_by_processes(processes, events, findings, detections, settings)
    names, refused_names = _late_rows(changes["dns_events"], end, events.times)
    flows, refused_flows = _late_rows(changes["flow_events"], end, events.times)
    joined = (events, findings, detections, settings)
    if names is not None:
        found.append(affected_by_names(names.rows, (names.first, names.end), *joined))
    # A late connection may be a second one that the flow of another could be of.
    for late in [flows] if events.flow_events is None else [flows, connections]:
        if late is not None:
            found.append(affected_by_flows(late.rows, (late.first, late.end), *joined))
    # Of findings too: those of a range that was longer stay as they are, since their events are not read any more.
    times = reduce(DataFrame.unionAll, found).where(in_range(events.times)).distinct() if found else None
    return AffectedTimes(times, refused_connections + refused_processes + refused_names + refused_flows)


def affected_windows(times: DataFrame, ranges: Sequence[CoveredRange], size: timedelta) -> list[Window]:
    """The parts of the ranges, cut on the grid of `size`, that hold a time whose change was not read yet; neighbours
    are joined. In: the times of `affected`. One action, whose result has a row for each such part."""
    found: list[Window] = []
    for part, n in sorted(set(_unread_cells(times, ranges, size))):
        window = ranges[part].window
        start, end = max(window.start, EPOCH + size * n), min(window.end, EPOCH + size * (n + 1))
        if found and found[-1].end == start:
            found[-1] = Window(found[-1].start, end)
        else:
            found.append(Window(start, end))
    return found


def _unread_cells(times: DataFrame, ranges: Sequence[CoveredRange], size: timedelta) -> list[tuple[int, int]]:
    """The index of a range and a number of a cell of the grid, for each that holds such a time."""
    rows = [(i, r.window.start, r.window.end, of, v) for i, r in enumerate(ranges) for of, v in r.read.items()]
    parts = times.sparkSession.createDataFrame(rows, "part int, a timestamp, b timestamp, of string, read long")
    inside = (F.col("event_time") >= F.col("a")) & (F.col("event_time") < F.col("b"))
    cell = F.floor(F.unix_micros("event_time") / F.lit(size // timedelta(microseconds=1))).cast("long")
    unread = times.join(F.broadcast(parts), "of").where(inside & (F.col("version") > F.col("read")))
    return [(r["part"], r["cell"]) for r in unread.select("part", cell.alias("cell")).distinct().collect()]


def _late_rows(changes: DataFrame | NoCommits, end: datetime, times: Window) -> tuple[_LateRows | None, int]:
    """The changes before the end of the ranges, and the number of those whose time is outside `times`; one action."""
    if isinstance(changes, NoCommits):
        return None, 0
    time = F.col("event_time")
    is_late, is_refused = in_range(times) & (time < F.lit(end)), out_of_range(times) & in_change_feed(time)
    late_micros = F.when(is_late, F.unix_micros("event_time"))
    counts = changes.where(is_late | is_refused).agg(F.min(late_micros), F.max(late_micros), F.count_if(is_refused))
    first, last, refused = counts.collect()[0]
    rows = None if first is None else _LateRows(changes.where(is_late), from_micros(first), from_micros(last + 1))
    return rows, refused


def _affected_by_connections(
    late: _LateRows, findings: DataFrame, detections: Sequence[Detection], settings: Settings
) -> list[DataFrame]:
    """The late connections that a detection could match, and findings that may name a child which makes one."""
    connections = late.rows.where(conditions_of(detections).network).select(*_AFFECTED)
    near = findings.where(in_period(late.first - AHEAD, late.end + REACH, "finding_date"))
    time, changed = F.col("event_time"), F.col("changed")
    around = (changed >= time - F.lit(REACH)) & (changed <= time + F.lit(AHEAD))
    return [connections, _findings_on_hosts(near, late.rows, settings).where(around).select(*_AFFECTED)]


def _affected_by_processes(
    late: _LateRows, events: Events, findings: DataFrame, detections: Sequence[Detection], settings: Settings
) -> list[DataFrame]:
    """Connections that a late start or end may give another process, and findings that may name it."""
    longest, tolerances = max(d.lookback for d in detections), settings.attribution.tolerances
    before = tolerances.start_tolerance * 2 + tolerances.clock_skew
    after = longest + tolerances.start_tolerance * 2 + tolerances.end_grace
    # Read as far as a change reaches: from the oldest late row back to a candidate that it could end.
    network_events = events_in_period(events.network_events, late.first - before, late.end + after)
    network_events = network_events.where(conditions_of(detections).network)
    process_events = events_in_period(events.process_events, late.first - longest - before, late.end + after)
    key = _host_key(settings)
    of_candidates = _matching(
        late.rows.withColumn("key_host", key),
        _candidate_keys(network_events, process_events, detections, settings),
        how="left_semi",
    )
    changed = of_candidates.select("key_host", *_IDS, F.col("event_time").alias("changed"), "version", "of")
    connections = _matching(network_events.select(key.alias("key_host"), *_IDS, "event_time"), changed, how="inner")
    in_reach = (F.col("event_time") >= F.col("changed") - F.lit(before)) & (
        F.col("event_time") <= F.col("changed") + F.lit(after)
    )
    near = findings.where(in_period(late.first - REACH, late.end + longest + PARENT_AGE + REACH, "finding_date"))
    starts = late.rows.where(F.col("event_kind") == "start")
    could_be_related = (F.col("event_time") >= F.col("changed") - F.lit(REACH)) & (
        F.col("event_time") <= F.col("changed") + F.lit(longest + PARENT_AGE)
    )
    related = _findings_on_hosts(near, starts, settings).where(could_be_related)
    return [connections.where(in_reach).select(*_AFFECTED), related.select(*_AFFECTED)]


def _host_key(settings: Settings) -> Column:
    return F.expr(host_key("host", settings.host.match))


def _candidate_keys(
    network_events: DataFrame, process_events: DataFrame, detections: Sequence[Detection], settings: Settings
) -> DataFrame:
    """Keys of the starts that a detection could match, and of self-described connections."""
    conditions, key = conditions_of(detections), _host_key(settings).alias("key_host")
    found = network_events.where(conditions.self_described).select(key, *_IDS)
    if conditions.starts is not None:
        starts = process_events.where(F.col("event_kind") == "start").where(conditions.starts)
        found = found.unionAll(starts.select(key, *_IDS))
    return found.distinct()


def _matching(left: DataFrame, right: DataFrame, *, how: Literal["inner", "left_semi"]) -> DataFrame:
    """Rows of one host and process id, or one host and guid, on both sides; a row may come twice. `how`: left_semi or
    inner, which adds the columns of the right side."""
    found = []
    for column in _IDS:
        other = [c for c in _IDS if c != column]
        side = right.where(F.col(column).isNotNull())
        side = side.drop(*other) if how == "inner" else side.select("key_host", column).distinct()
        found.append(left.join(side, ["key_host", column], how))
    names = [c for c in found[0].columns if c in found[1].columns]
    return found[0].select(*names).unionAll(found[1].select(*names))


def _findings_on_hosts(findings: DataFrame, late: DataFrame, settings: Settings) -> DataFrame:
    """For each late row the findings on its host: their `event_time`, and its time as `changed`, `version`, `of`."""
    key = _host_key(settings).alias("key_host")
    changed = late.select(key, F.col("event_time").alias("changed"), "version", "of")
    return findings.select(key, "event_time").join(changed, "key_host")
