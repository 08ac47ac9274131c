"""Evaluates the test cases of detection files in the way of a scheduled run."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession

from procnet.detections.cases import WINDOW, Result, case_frames, check_cases
from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.findings.exclusions import Exclusion, apply_exclusions
from procnet.settings import Settings


def run_cases(spark: SparkSession, detections: Sequence[Detection], settings: Settings) -> list[Result]:
    """Returns the result of every case of every detection; one evaluation, without a lake."""
    if not detections:
        return []
    findings = _case_findings(spark, detections, settings)
    return check_cases([] if findings is None else [r.asDict(recursive=True) for r in findings.collect()], detections)


def hidden_cases(
    spark: SparkSession, exclusions: Sequence[Exclusion], detections: Sequence[Detection], settings: Settings
) -> list[str]:
    """Returns a problem for each positive case that an exclusion would hide, whatever the exclusion's dates.

    Tuning must not lose a finding that a case demands.
    """
    detections = [d for d in detections if any(e.covers(d.id, d.name) for e in exclusions)]
    if not detections:
        return []
    findings = _case_findings(spark, detections, settings)
    if findings is None:
        return []
    problems: set[str] = set()
    for exclusion in exclusions:
        excluded = apply_exclusions(findings, [exclusion], at_any_time=True)
        rows = [r.asDict(recursive=True) for r in excluded.collect()]
        live = [r for r in rows if r["excluded_by"] is None]
        if len(live) == len(rows):
            continue
        for before, after in zip(check_cases(rows, detections), check_cases(live, detections), strict=True):
            if before.problem is None and after.problem is not None:
                problems.add(f"{exclusion.place}: it hides the case {after.case.name!r} of {after.detection.name}")
    return sorted(problems)


def _case_findings(spark: SparkSession, detections: Sequence[Detection], settings: Settings) -> DataFrame | None:
    """Returns the findings of all cases (`contract.FINDINGS`), or None where no detection can match any."""
    frames = case_frames(spark, detections)
    query = Query(
        frames["process_events"], frames["network_events"], detections, WINDOW, settings,
        dns_events=frames["dns_events"], flow_events=frames["flow_events"],
    )  # fmt: skip
    return evaluate(query).findings
