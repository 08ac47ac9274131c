"""The whole question on frames: canonical events and detections in, findings of a window out. Nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
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
    """Findings of all detections in a window, in one pass for each lookback among them.

    In: `contract.PROCESS_EVENTS` and `contract.NETWORK_EVENTS` of any period. Out: `contract.FINDINGS`, those that an
    exclusion holds for marked.
    The lookback is a detection's own: how old a process may be when it connects. So it is measured from the connection,
    and neither the window nor the other detections that happen to run can change a finding.
    """
    by_lookback: dict[timedelta, list[Detection]] = defaultdict(list)
    for detection in detections:
        by_lookback[detection.lookback].append(detection)
    parts = [_hits(processes, connections, group, age, window, settings) for age, group in sorted(by_lookback.items())]
    hits = [h for h, _ in parts if h is not None]
    said = "; ".join(dict.fromkeys(p for _, p in parts))
    if not hits:
        return Found(None, said)
    found = to_findings(reduce(DataFrame.unionByName, hits), {d.id: _says(d) for d in detections})
    return Found(mark(found, exclusions), said)


def _says(detection: Detection) -> Says:
    risk = detection.risk
    risk_objects, threat_objects = (
        tuple((o.field, o.type) for o in objects) for objects in (risk.objects, risk.threat_objects)
    )
    return Says(risk.message, risk_objects, threat_objects)


def _hits(
    processes: DataFrame,
    connections: DataFrame,
    detections: Sequence[Detection],
    max_age: timedelta,
    window: Window,
    settings: Settings,
) -> tuple[DataFrame | None, str]:
    asked = between(connections, window.start, window.end).where(connections_wanted(detections))
    # Read so far on both sides that no tolerance is cut by the window: then tiling cannot change a result.
    tolerances, hosts = settings.attribution.tolerances, settings.host.match
    margin = tolerances.start_tolerance
    around = between(processes, window.start - max_age - margin, window.end + tolerances.clock_skew + 2 * margin)

    keys = plans.keys_of(asked.where(stands_alone(detections)), hosts)
    if (wanted := starts_wanted(detections)) is not None:
        keys = plans.keys_of(around.where(F.col("event_kind") == "start").where(wanted), hosts).union(keys).distinct()
    limit = settings.attribution.broadcast_limit
    local = plans.bounded(keys, limit)
    small = local is not None
    how = f"broadcast: at most {limit} keys" if small else f"shuffled: more than {limit} keys"
    if local is not None and local.isEmpty():
        return None, "nothing to ask: no candidate process, no connection that stands alone"
    keys = plans.with_process_ids(keys if local is None else local, around, hosts)
    events = plans.events_on(around, keys, hosts, small=small)
    pairs = plans.attribute_connections(
        events,
        asked,
        max_age=max_age,
        clock_skew=tolerances.clock_skew,
        end_grace=tolerances.end_grace,
        start_tolerance=tolerances.start_tolerance,
        host_match=hosts,
        plan="broadcast" if small else "shuffled",
    )
    return evaluate(pairs, detections), how


def between(events: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Canonical events in `[start, end)`."""
    return events.where(in_period(start, end))
