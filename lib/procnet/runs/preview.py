"""What a change of detections or exclusions would add and remove over a past period. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.events import read_events
from procnet.engine.query import Query
from procnet.errors import UsageError
from procnet.findings.exclusions import Exclusion
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.settings import Settings
from procnet.spark.collect import collect_at_most

_MOST = 100_000  # live findings of a period that are compared, some 1 KB each


@dataclass(frozen=True)
class Setup:
    """What runs, and what is excluded."""

    detections: tuple[Detection, ...]
    exclusions: tuple[Exclusion, ...]


@dataclass(frozen=True)
class Preview:
    """Findings (rows of `contract.FINDINGS`) that would come to an analyst anew or no more; how many would stay."""

    added: tuple[Mapping[str, Any], ...]
    removed: tuple[Mapping[str, Any], ...]
    kept: int


def preview(spark: SparkSession, settings: Settings, period: Window, before: Setup, after: Setup) -> Preview:
    """Live findings after a change against those before it, over one state of the lake.

    Raises DataError where a table is missing, UsageError where there are more findings than can be compared.
    """
    lake = Lake(spark, settings)
    was, will = (_live(lake, period, setup) for setup in (before, after))
    return Preview(
        added=tuple(will[i] for i in will if i not in was),
        removed=tuple(was[i] for i in was if i not in will),
        kept=len(was.keys() & will.keys()),
    )


def _live(lake: Lake, period: Window, setup: Setup) -> dict[str, Mapping[str, Any]]:
    if not setup.detections:
        return {}
    events = read_events(lake)
    found = evaluate(
        Query(events.processes, events.connections, setup.detections, period, lake.settings), setup.exclusions
    ).findings
    if found is None:
        return {}
    rows = collect_at_most(found.where(F.col("excluded_by").isNull()), _MOST)
    if rows is None:
        raise UsageError(
            f"more than {_MOST} findings in {period}", hint="preview a shorter period, or fewer detections"
        )
    told = sorted(rows.to_pylist(), key=lambda r: (r["event_time"], r["finding_id"]))
    return {r["finding_id"]: r for r in told}


def with_detection(setup: Setup, changed: Sequence[Detection]) -> Setup:
    """The setup after detections of the same ids were put in the place of those that run."""
    by_id = {d.id: d for d in setup.detections} | {d.id: d for d in changed}
    return Setup(tuple(by_id[i] for i in sorted(by_id)), setup.exclusions)


def with_exclusion(setup: Setup, changed: Sequence[Exclusion]) -> Setup:
    """The setup after exclusions of the same ids were put in the place of those that hold."""
    by_id = {e.id: e for e in setup.exclusions} | {e.id: e for e in changed}
    return Setup(setup.detections, tuple(by_id[i] for i in sorted(by_id)))
