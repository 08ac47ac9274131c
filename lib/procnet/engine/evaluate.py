"""One evaluation: canonical events and detections in, findings of a window out. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pyspark.sql import DataFrame

from procnet.attribution.attribute import attribute
from procnet.detections.detection import Detection
from procnet.detections.judge import judge, judge_joined
from procnet.engine.candidates import collect_candidates
from procnet.engine.destinations import with_destinations
from procnet.engine.prefilter import NothingRelevant, prefilter
from procnet.engine.query import Query
from procnet.findings.exclusions import Exclusion, apply_exclusions
from procnet.findings.rows import FindingTemplate, to_findings
from procnet.state.lookback import Lookback


@dataclass(frozen=True)
class Evaluation:
    """Findings of a window, not yet computed: `contract.FINDINGS`; None where it is known already that there are none.

    `plan` is that of the join, none where nothing was joined, and `reason` says why. `rows_collected`: rows that the
    driver collected to choose it, by step. `lookback`: what was read in addition to the carried state.
    """

    findings: DataFrame | None
    plan: Literal["broadcast", "shuffled", "none"]
    reason: str
    rows_collected: Mapping[str, int] = field(default_factory=dict)
    lookback: Lookback | None = None


def evaluate(query: Query, exclusions: Sequence[Exclusion] = ()) -> Evaluation:
    """Findings of all detections in the query's window, in one pass whatever their lookbacks.

    Findings that an exclusion covers have its id in `excluded_by`. A lookback is a detection's own: how old a process
    may be when it connects. It is measured from the connection, so neither the window nor the other detections that
    happen to run can change a finding.
    """
    candidates = collect_candidates(query)
    relevant = prefilter(query, candidates)
    if isinstance(relevant, NothingRelevant):
        return Evaluation(None, "none", relevant.reason, relevant.rows_collected, relevant.lookback)
    detections = [d for d in query.detections if d.lookback <= relevant.reach]
    attributed = attribute(
        relevant.process_events,
        relevant.network_events,
        max_ages=sorted({d.lookback for d in detections}),
        tolerances=query.tolerances,
        host_match=query.host_match,
        plan=relevant.plan,
    )
    matches = with_destinations(judge(attributed, detections), query)
    if matches is None:
        return Evaluation(None, relevant.plan, relevant.reason, relevant.rows_collected, relevant.lookback)
    matches = judge_joined(matches, detections)
    findings = apply_exclusions(to_findings(matches, {d.id: _template(d) for d in detections}), exclusions)
    return Evaluation(findings, relevant.plan, relevant.reason, relevant.rows_collected, relevant.lookback)


def _template(detection: Detection) -> FindingTemplate:
    """What the detection writes into its findings."""
    risk = detection.risk
    risk_objects, threat_objects = (
        tuple((o.field, o.type) for o in objects) for objects in (risk.objects, risk.threat_objects)
    )
    return FindingTemplate(risk.message, risk_objects, threat_objects)
