"""Late rows: find the windows whose findings they could change, run those again, and nothing else (2-semantics, 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pyspark.sql import SparkSession

from procnet.engine.events import OWN, changed_events, read_events, versions_of
from procnet.engine.late_data import CoveredRange, affected_times, affected_windows
from procnet.errors import DataError, PartlyDone
from procnet.lake.change_feed import readable
from procnet.lake.coverage import covered
from procnet.lake.ledger import late_data_checks, run_attempts
from procnet.lake.tables import Lake
from procnet.runs.detect import WindowReport
from procnet.runs.exclusions import run_fingerprints
from procnet.runs.recorder import Clock, record
from procnet.runs.retention import evaluable, first_evaluable
from procnet.runs.selection import Selection
from procnet.runs.windows import WindowProgress, detect_windows, no_progress
from procnet.settings import Settings

_LONGEST = timedelta(days=1)  # neighbours run as one window, up to this


@dataclass(frozen=True)
class CaughtUp:
    """The windows that ran again; `looked` is false where no table had changed and so nothing was read."""

    reports: tuple[WindowReport, ...]
    looked: bool

    @property
    def findings(self) -> int:
        return sum(r.counts.get("findings", 0) for r in self.reports)


def catch_up(
    spark: SparkSession,
    settings: Settings,
    chosen: Selection,
    *,
    tell: WindowProgress = no_progress,
) -> CaughtUp:
    """Run again what late rows could change, of all that runs of the chosen detections have covered.

    Of the lake's own tables and of Delta tables that are read in place, by their change data feed. What was never
    covered, or by another version of a detection, is a gap and not late: `procnet gaps`. Raises DataError where the
    feed does not go back far enough, PartlyDone where windows failed: the look is then not recorded, and the same
    command goes on.
    """
    lake, clock = Lake(spark, settings), Clock()
    told = run_fingerprints(chosen.detections, chosen.exclusions, settings)
    now = _now(lake)
    first = first_evaluable(lake, chosen.detections)
    seen = [replace(s, window=w) for s in _seen(lake, told, now) for w in evaluable([s.window], first)]
    if not seen:
        return CaughtUp((), looked=False)
    late = changed_events(lake, {t: min(s.read[t] for s in seen) for t in now}, now)
    with readable():
        events = read_events(lake)
        times = affected_times(
            late, events.processes, events.connections, lake.read("findings"), seen, chosen.detections, settings
        )
        cells = [] if times is None else affected_windows(times, seen, settings.window.length)
    windows = [c for w in cells for c in w.chunks(_LONGEST)]
    clock.lap("look")
    reports, failed = detect_windows(spark, settings, windows, chosen, kind="catch_up", tell=tell)
    if failed:
        raise PartlyDone(
            f"{len(failed)} of {len(windows)} windows failed; the first: {failed[0].message}",
            hint="procnet catch-up goes on with all of them",
        )
    clock.lap("runs")
    record(lake, clock, "catch_up", "succeeded", detections=told, table_versions=now, counts={"windows": len(windows)})
    return CaughtUp(tuple(reports), looked=True)


def _now(lake: Lake) -> dict[str, int]:
    """The versions of all tables that events come from. DataError where one has none."""
    told = versions_of(lake)
    if nobody := [t for t, v in told.items() if v is None] or ([] if told else list(OWN)):
        raise DataError(
            f"catch-up asks Delta what came when, and {', '.join(nobody)} is no Delta table, or not there",
            hint="run the windows of the last days again instead: procnet backfill",
        )
    return {t: v for t, v in told.items() if v is not None}


def _seen(lake: Lake, told: Mapping[str, str], now: Mapping[str, int]) -> Sequence[CoveredRange]:
    """What has been covered and not been looked at since: none where no table has changed."""
    before = late_data_checks(lake)
    found = []
    for stretch in covered(run_attempts(lake), told):
        read = [stretch.versions, *(v for at, of, v in before if at >= stretch.since and of.items() >= told.items())]
        newest = {t: max(v.get(t, -1) for v in read) for t in now}
        if any(newest[t] < now[t] for t in now):
            found.append(CoveredRange(stretch.window, newest))
    return found
