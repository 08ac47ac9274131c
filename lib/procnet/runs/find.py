"""The whole question on frames: canonical events and detections in, findings of a window out. Nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution import plan as plans
from procnet.detections.detection import Detection
from procnet.detections.evaluate import (
    connections_wanted,
    evaluate,
    may_stand_alone,
    ports_wanted,
    stands_alone,
    starts_asked,
)
from procnet.findings.exclusions import Exclusion, mark
from procnet.findings.rows import Says, to_findings
from procnet.lake.tables import in_period
from procnet.runs.narrow import narrowed
from procnet.settings import Settings
from procnet.types import Window, micros


@dataclass(frozen=True)
class Found:
    """Findings of a window, not yet computed; None where it is known already that there are none. `plan` says how, and
    `counts` how many rows the driver held to choose it."""

    findings: DataFrame | None
    plan: str
    counts: Mapping[str, int] = field(default_factory=dict)


def find(
    processes: DataFrame,
    connections: DataFrame,
    detections: Sequence[Detection],
    window: Window,
    settings: Settings,
    exclusions: Sequence[Exclusion] = (),
) -> Found:
    """Findings of all detections in a window, in one pass whatever their lookbacks.

    In: `contract.PROCESS_EVENTS` and `contract.NETWORK_EVENTS` of any period. Out: `contract.FINDINGS`, those that an
    exclusion holds for marked.
    The lookback is a detection's own: how old a process may be when it connects. So it is measured from the connection,
    and neither the window nor the other detections that happen to run can change a finding.
    """
    inside = between(connections, window.start, window.end)
    asked = inside.where(connections_wanted(detections))

    def around(age: timedelta) -> DataFrame:
        return _around(processes, window, age, settings)

    limit = plans.broadcast_limit(asked.sparkSession, settings.attribution.broadcast_limit)
    candidates = _candidates(around, detections, settings)
    few = plans.bounded(candidates, limit)
    counts = {} if few is None else {"candidates": few.num_rows}
    if few is not None:
        candidates = candidates.sparkSession.createDataFrame(few, candidates.schema)
        met = _met(inside, candidates, detections, settings)
        some = None if _costly_to_read(settings) else narrowed(met, inside, detections, settings, around, limit)
        if some is not None:
            counts |= some.counts
            told = ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in counts.items())
            if some.rest is None:
                return Found(None, f"nothing to judge: {told}", counts)
            found = _judge(
                some.rest.processes, some.rest.connections, detections, some.rest.reach, settings, "broadcast"
            )
            return Found(mark(found, exclusions), f"broadcast, at most {limit} rows held: {told}", counts)

    keys = _with_alone(candidates, asked, detections, settings)
    few = plans.bounded(keys, limit) if few is not None else None
    reach = max(d.lookback for d in detections)
    if few is not None:
        if not few.num_rows:
            return Found(None, "nothing to judge: no candidate process, no connection that stands alone", counts)
        reach = timedelta(microseconds=max(few.column("mark").to_pylist()))
        keys = keys.sparkSession.createDataFrame(few, keys.schema)
    plan: plans.Plan = "shuffled" if few is None else "broadcast"
    how = f"shuffled: more than {limit} keys" if few is None else f"broadcast: {few.num_rows} keys of at most {limit}"
    keys = keys.drop("mark")
    if plans.has_lone_guid(keys if few is None else few):
        keys = plans.with_process_ids(keys, around(reach), settings.host.match)
    lives = plans.events_on(around(reach), keys, settings.host.match, small=few is not None)
    return Found(mark(_judge(lives, asked, detections, reach, settings, plan), exclusions), how, counts)


def _judge(
    processes: DataFrame,
    connections: DataFrame,
    detections: Sequence[Detection],
    reach: timedelta,
    settings: Settings,
    plan: plans.Plan,
) -> DataFrame:
    """Findings of the pairs. Who looks back further than `reach` has no candidate, since nobody asked from there."""
    judged = [d for d in detections if d.lookback <= reach]
    pairs = plans.answers(
        processes,
        connections,
        max_ages=sorted({d.lookback for d in judged}),
        tolerances=settings.attribution.tolerances,
        host_match=settings.host.match,
        plan=plan,
    )
    return to_findings(evaluate(pairs, judged), {d.id: _says(d) for d in judged})


def _costly_to_read(settings: Settings) -> bool:
    """Whether to read one column is to read the record: a text that a mapping takes apart, anew in each scan."""
    return any(s.column is not None for s in settings.sources.values())


def _says(detection: Detection) -> Says:
    risk = detection.risk
    risk_objects, threat_objects = (
        tuple((o.field, o.type) for o in objects) for objects in (risk.objects, risk.threat_objects)
    )
    return Says(risk.message, risk_objects, threat_objects)


def _candidates(
    around: Callable[[timedelta], DataFrame], detections: Sequence[Detection], settings: Settings
) -> DataFrame:
    """Keys and names of the starts that are wanted, with `mark`: the longest lookback that asks for them, in
    microseconds.

    Starts are asked for as far back as those who want them look, and no further: seven days of the names of all cost
    more than seven of one name and a day of the others.
    """
    hosts, keys = settings.host.match, []
    for age, group in _by_lookback(detections).items():
        starts = around(age).where("event_kind = 'start'")
        for question in starts_asked(group):
            asking = starts.where(question).withColumn("mark", F.lit(micros(age)))
            keys.append(plans.keys_of(asking, hosts, "process_name", "mark"))
    if not keys:
        nobody = around(timedelta(0)).limit(0).withColumn("mark", F.lit(0).cast("long"))
        keys.append(plans.keys_of(nobody, hosts, "process_name", "mark"))
    return reduce(DataFrame.union, keys).groupBy(*plans.KEY, "process_name").agg(F.max("mark").alias("mark"))


def _met(inside: DataFrame, candidates: DataFrame, detections: Sequence[Detection], settings: Settings) -> DataFrame:
    """Connections that are wanted and could be a candidate's, or stand alone, with the greatest `mark` that asks."""
    met = plans.asked_by(inside.where(ports_wanted(detections)), candidates, settings.host.match)
    # In lambdas the questions are interpreted, of the few rows that come so far. Compiled they would make the loop over
    # all connections longer than the 8,000 bytes up to which the JVM compiles a method at all.
    few = f"CASE WHEN asked_by IS NOT NULL OR {may_stand_alone(detections)} THEN array(asked_by) END"
    asks = f"CASE WHEN {connections_wanted(detections)} THEN greatest(by, {_alone(detections)}) END"
    marks = f"explode(filter(transform({few}, by -> {asks}), m -> m IS NOT NULL)) AS mark"
    return met.selectExpr(*inside.columns, marks)


def _with_alone(
    candidates: DataFrame, asked: DataFrame, detections: Sequence[Detection], settings: Settings
) -> DataFrame:
    """The keys of `candidates` and those of the connections that stand alone."""
    alone = asked.withColumn("mark", F.expr(_alone(detections))).where("mark IS NOT NULL")
    keys = candidates.drop("process_name").union(plans.keys_of(alone, settings.host.match, "mark"))
    return keys.groupBy(*plans.KEY).agg(F.max("mark").alias("mark"))


def _alone(detections: Sequence[Detection]) -> str:
    """The longest lookback, in microseconds, of those for which a connection stands alone."""
    groups = _by_lookback(detections)
    whens = [f"WHEN {stands_alone(groups[age])} THEN {micros(age)}L" for age in sorted(groups, reverse=True)]
    return f"CASE {' '.join(whens)} END"


def _by_lookback(detections: Sequence[Detection]) -> dict[timedelta, list[Detection]]:
    groups: dict[timedelta, list[Detection]] = defaultdict(list)
    for detection in detections:
        groups[detection.lookback].append(detection)
    return groups


def _around(processes: DataFrame, window: Window, age: timedelta, settings: Settings) -> DataFrame:
    """Process events from so far on both sides that the window cuts no tolerance: tiling cannot change a result."""
    tolerances = settings.attribution.tolerances
    margin = tolerances.start_tolerance
    return between(processes, window.start - age - margin, window.end + tolerances.clock_skew + 2 * margin)


def between(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Canonical events in `[start, end)`."""
    return events.where(in_period(start, end))
