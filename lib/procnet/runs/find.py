"""The whole question on frames: canonical events and detections in, findings of a window out. Nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution import plan as plans
from procnet.detections.detection import Detection
from procnet.detections.evaluate import connections_wanted, evaluate, stands_alone, starts_wanted
from procnet.findings.exclusions import Exclusion, mark
from procnet.findings.rows import Says, to_findings
from procnet.lake.tables import in_period
from procnet.predicates.sql import literal
from procnet.settings import Settings
from procnet.types import Window


@dataclass(frozen=True)
class Found:
    """Findings of a window, not yet computed; None where it is known already that there are none. `plan` says how."""

    findings: DataFrame | None
    plan: str


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
    tolerances, hosts = settings.attribution.tolerances, settings.host.match
    by_lookback: dict[timedelta, list[Detection]] = defaultdict(list)
    for detection in detections:
        by_lookback[detection.lookback].append(detection)
    asked = between(connections, window.start, window.end).where(connections_wanted(detections))
    keys = _keys(processes, asked, by_lookback, window, settings)
    limit = settings.attribution.broadcast_limit
    few = plans.bounded(keys, limit)
    asking = list(by_lookback) if few is None else few["lookback"].unique().to_pylist()
    if not asking:
        return Found(None, "nothing to ask: no candidate process, no connection that stands alone")
    small = few is not None
    how = f"broadcast: at most {limit} keys" if small else f"shuffled: more than {limit} keys"
    keys = keys.drop("lookback")
    if few is not None:
        keys = keys.sparkSession.createDataFrame(few.drop_columns("lookback"), keys.schema)

    # Nobody who looks back further than any key was asked for has a candidate.
    reach = max(asking)
    judged = [d for d in detections if d.lookback <= reach]
    around = _around(processes, window, reach, settings)
    keys = plans.with_process_ids(keys, around, hosts)
    pairs = plans.answers(
        plans.events_on(around, keys, hosts, small=small),
        asked,
        max_ages=sorted({d.lookback for d in judged}),
        tolerances=tolerances,
        host_match=hosts,
        plan="broadcast" if small else "shuffled",
    )
    found = to_findings(evaluate(pairs, judged), {d.id: _says(d) for d in judged})
    return Found(mark(found, exclusions), how)


def _says(detection: Detection) -> Says:
    risk = detection.risk
    risk_objects, threat_objects = (
        tuple((o.field, o.type) for o in objects) for objects in (risk.objects, risk.threat_objects)
    )
    return Says(risk.message, risk_objects, threat_objects)


def _keys(
    processes: DataFrame,
    asked: DataFrame,
    by_lookback: Mapping[timedelta, Sequence[Detection]],
    window: Window,
    settings: Settings,
) -> DataFrame:
    """Who could answer: keys of the starts that are wanted and of the connections that stand alone, each with the
    longest `lookback` that asks for it. Starts are asked for as far back as those who want them look, and no further:
    seven days of the names of all cost more than seven of one name and a day of the others."""
    ages = sorted(by_lookback, reverse=True)
    furthest = " ".join(f"WHEN {stands_alone(by_lookback[age])} THEN {literal(age)}" for age in ages)
    rows = [asked.withColumn("lookback", F.expr(f"CASE {furthest} END")).where("lookback IS NOT NULL")]
    for age, group in by_lookback.items():
        if (wanted := starts_wanted(group)) is not None:
            starts = _around(processes, window, age, settings).where("event_kind = 'start'").where(wanted)
            rows.append(starts.withColumn("lookback", F.lit(age)))
    keys = [plans.keys_of(r, settings.host.match, "lookback") for r in rows]
    return reduce(DataFrame.union, keys).groupBy(*plans.KEY).agg(F.max("lookback").alias("lookback"))


def _around(processes: DataFrame, window: Window, age: timedelta, settings: Settings) -> DataFrame:
    """Process events from so far on both sides that the window cuts no tolerance: tiling cannot change a result."""
    tolerances = settings.attribution.tolerances
    margin = tolerances.start_tolerance
    return between(processes, window.start - age - margin, window.end + tolerances.clock_skew + 2 * margin)


def between(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Canonical events in `[start, end)`."""
    return events.where(in_period(start, end))
