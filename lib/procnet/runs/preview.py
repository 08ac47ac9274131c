"""Compares the findings of two selections over a past period. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import functions as F

from procnet.engine.evaluate import evaluate
from procnet.engine.events import read_events
from procnet.engine.query import Query
from procnet.errors import UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.selection import Selection
from procnet.spark.collect import TooMany, collect_at_most

_MAX_FINDINGS = 100_000  # live findings that one side may have; some 1 KB each in the driver


@dataclass(frozen=True)
class Preview:
    """Findings (rows of `contract.FINDINGS`) that a change adds and removes, in order of time; `unchanged` counts
    those that both selections have."""

    added: tuple[Mapping[str, Any], ...]
    removed: tuple[Mapping[str, Any], ...]
    unchanged: int


def preview(lake: Lake, before: Selection, after: Selection, period: Window) -> Preview:
    """Returns the difference of the live findings of two selections over one state of the lake.

    Raises DataError where a table is missing, UsageError where a side has more than 100 000 live findings.
    """
    old, new = (_live_findings(lake, selection, period) for selection in (before, after))
    return Preview(
        added=tuple(new[i] for i in new if i not in old),
        removed=tuple(old[i] for i in old if i not in new),
        unchanged=len(old.keys() & new.keys()),
    )


def _live_findings(lake: Lake, selection: Selection, period: Window) -> dict[str, Mapping[str, Any]]:
    """Returns finding id -> row of `contract.FINDINGS`, ordered by time and id, without excluded findings."""
    if not selection.detections:
        return {}
    events = read_events(lake)
    findings = evaluate(
        Query.of(events, selection.detections, period, lake.settings),
        selection.exclusions,
    ).findings
    if findings is None:
        return {}
    collected = collect_at_most(findings.where(F.col("excluded_by").isNull()), _MAX_FINDINGS)
    if isinstance(collected, TooMany):
        raise UsageError(
            f"more than {_MAX_FINDINGS} findings in {period}", hint="preview a shorter period, or fewer detections"
        )
    rows = sorted(collected.table.to_pylist(), key=lambda r: (r["event_time"], r["finding_id"]))
    return {r["finding_id"]: r for r in rows}
