"""Which moments that runs have covered could read otherwise now: late, changed and removed rows, by their commits.

Works on what Delta says was committed since (its change data feed), so a row is late when a run has covered its time
and has not read its commit, whatever clocks say. The answer is a superset: a window too many costs a run and changes
nothing, and a window too few would leave a wrong finding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key
from procnet.detections.detection import Detection
from procnet.detections.evaluate import connections_wanted, self_described, starts_wanted
from procnet.findings.related import AHEAD, PARENT_AGE, REACH
from procnet.periods import EPOCH, Window, from_micros
from procnet.settings import Settings
from procnet.spark.filters import between, in_period


@dataclass(frozen=True)
class CoveredRange:
    """A part of a period that runs have covered, and the version of each table that all of them have read."""

    window: Window
    read: Mapping[str, int]


def affected_times(
    changes: Mapping[str, DataFrame | None],
    processes: DataFrame,
    connections: DataFrame,
    findings: DataFrame,
    seen: Sequence[CoveredRange],
    detections: Sequence[Detection],
    settings: Settings,
) -> DataFrame | None:
    """Times of connections and findings that a change could touch: `event_time`, `version`, `of` (the table changed).

    In: the changes (`events.changed_events`); both tables and the findings as they are now; what has been seen. A late
    start or end touches what is asked of its host and id from then to the longest lookback after it, where the id is a
    candidate's at all, and the findings that tell of it (`related`). None where no change lies in what was seen: rows
    that came in time are later than all of it, so the hour that is due costs one look at its own rows.
    """
    last = max(s.window.end for s in seen) + AHEAD
    parts: list[DataFrame] = []
    if (late := _late(changes["network_events"], last)) is not None:
        rows, (first, to) = late
        wanted = rows.where(connections_wanted(detections)).select(*_TIMES)
        told = findings.where(in_period(first - AHEAD, to + REACH, "finding_date"))
        parts += [wanted, _of_children(rows, told, settings)]
    if (late := _late(changes["process_events"], last)) is not None:
        rows, (first, to) = late
        longest, tolerances = max(d.lookback for d in detections), settings.attribution.tolerances
        before = tolerances.start_tolerance * 2 + tolerances.clock_skew
        after = longest + tolerances.start_tolerance * 2 + tolerances.end_grace
        # Read as far as a change reaches: from the oldest of them back to a candidate that it could end.
        asked = between(connections, first - before, to + after).where(connections_wanted(detections))
        around = between(processes, first - longest - before, to + after)
        told = findings.where(in_period(first - REACH, to + longest + PARENT_AGE + REACH, "finding_date"))
        keyed = rows.withColumn("at", _key(settings))
        mine = _same_key(keyed, _candidates(asked, around, detections, settings), how="left_semi")
        on_key = _same_key(
            asked.select(_key(settings).alias("at"), "process_id", "process_guid", "event_time"),
            mine.select("at", "process_id", "process_guid", F.col("event_time").alias("changed"), "version", "of"),
            how="inner",
            also=lambda: (
                (F.col("event_time") >= F.col("changed") - F.lit(before))
                & (F.col("event_time") <= F.col("changed") + F.lit(after))
            ),
        )
        parts += [
            on_key.select(*_TIMES),
            _of_story(keyed, told, longest, settings),
        ]
    return reduce(DataFrame.unionAll, parts).distinct() if parts else None


_TIMES = ("event_time", "version", "of")


def _late(changes: DataFrame | None, last: datetime) -> tuple[DataFrame, tuple[datetime, datetime]] | None:
    """Changes before the end of what was seen, and from when to when they are; one action."""
    if changes is None:
        return None
    rows = changes.where(F.col("event_time") < F.lit(last))
    first, to = rows.agg(F.min(F.unix_micros("event_time")), F.max(F.unix_micros("event_time"))).collect()[0]
    if first is None:
        return None
    return rows, (from_micros(first), from_micros(to + 1))


def _key(settings: Settings) -> Column:
    return F.expr(host_key("host", settings.host.match))


def _candidates(
    asked: DataFrame, processes: DataFrame, detections: Sequence[Detection], settings: Settings
) -> DataFrame:
    """Keys that a detection could want: of its starts, and of connections that stand alone."""
    keys = ("process_id", "process_guid")
    found = asked.where(self_described(detections)).select(_key(settings).alias("at"), *keys)
    if (wanted := starts_wanted(detections)) is not None:
        starts = processes.where(F.col("event_kind") == "start").where(wanted)
        found = found.unionAll(starts.select(_key(settings).alias("at"), *keys))
    return found.distinct()


def _same_key(
    left: DataFrame, right: DataFrame, *, how: Literal["inner", "left_semi"], also: Callable[[], Column] | None = None
) -> DataFrame:
    """Rows of one host and process id, or one host and guid, for which `also` holds; a row may come twice."""
    told = []
    for column in ("process_id", "process_guid"):
        side = right.where(F.col(column).isNotNull())
        other = [c for c in ("process_id", "process_guid") if c != column]
        side = side.drop(*other) if how == "inner" else side.select("at", column).distinct()
        met = left.join(side, ["at", column], how)
        told.append(met.where(also()) if also else met)
    names = [c for c in told[0].columns if c in told[1].columns]
    return told[0].select(*names).unionAll(told[1].select(*names))


def _of_story(late: DataFrame, findings: DataFrame, longest: timedelta, settings: Settings) -> DataFrame:
    """Findings of the same host whose `related` a changed start may join or leave."""
    of = findings.select(_key(settings).alias("at"), "event_time")
    near = late.where(F.col("event_kind") == "start").select(
        "at", F.col("event_time").alias("changed"), "version", "of"
    )
    reach = longest + PARENT_AGE
    met = of.join(near, "at").where(
        (F.col("event_time") >= F.col("changed") - F.lit(REACH))
        & (F.col("event_time") <= F.col("changed") + F.lit(reach))
    )
    return met.select(*_TIMES)


def _of_children(late: DataFrame, findings: DataFrame, settings: Settings) -> DataFrame:
    """Findings of the same host that may tell of a child that makes the changed connection."""
    of = findings.select(_key(settings).alias("at"), "event_time")
    near = late.select(_key(settings).alias("at"), F.col("event_time").alias("changed"), "version", "of")
    met = of.join(near, "at").where(
        (F.col("changed") >= F.col("event_time") - F.lit(REACH))
        & (F.col("changed") <= F.col("event_time") + F.lit(AHEAD))
    )
    return met.select(*_TIMES)


def affected_windows(times: DataFrame, seen: Sequence[CoveredRange], size: timedelta) -> list[Window]:
    """The parts of what was seen, cut on the grid of `size`, that hold a time whose change no run has read; neighbours
    are one window. In: `disturbed`. One action, of as many rows as there are such cells."""
    spark = times.sparkSession
    rows = [(i, s.window.start, s.window.end, of, v) for i, s in enumerate(seen) for of, v in s.read.items()]
    parts = spark.createDataFrame(rows, "part int, a timestamp, b timestamp, of string, read long")
    inside = (F.col("event_time") >= F.col("a")) & (F.col("event_time") < F.col("b"))
    micros = size // timedelta(microseconds=1)
    cell = F.floor(F.unix_micros("event_time") / F.lit(micros)).cast("long")
    met = times.join(F.broadcast(parts), "of").where(inside & (F.col("version") > F.col("read")))
    cells = met.select("part", cell.alias("cell")).distinct().collect()
    found: list[Window] = []
    for part, n in sorted((r["part"], r["cell"]) for r in cells):
        of = seen[part].window
        start, end = max(of.start, EPOCH + size * n), min(of.end, EPOCH + size * (n + 1))
        if found and found[-1].end == start:
            found[-1] = Window(found[-1].start, end)
        else:
            found.append(Window(start, end))
    return found
