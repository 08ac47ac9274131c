"""Late rows: find the windows whose findings they could change, run those again, and nothing else (2-semantics, 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pyspark.sql import SparkSession

from procnet.errors import DataError, PartlyDone
from procnet.lake.changes import readable
from procnet.lake.coverage import covered
from procnet.lake.ledger import attempts, looks
from procnet.lake.tables import Lake
from procnet.runs.chosen import Chosen
from procnet.runs.detect import Report
from procnet.runs.each import Tell, detect_each, tell_nobody
from procnet.runs.events import OWN, changed_events, read_events, versions_of
from procnet.runs.exclusions import ran_as
from procnet.runs.kept import first_possible, possible
from procnet.runs.late import Seen, disturbed, windows_of
from procnet.runs.record import Clock, record
from procnet.settings import Settings

_LONGEST = timedelta(days=1)  # neighbours run as one window, up to this


@dataclass(frozen=True)
class CaughtUp:
    """The windows that ran again; `looked` is false where no table had changed and so nothing was read."""

    reports: tuple[Report, ...]
    looked: bool

    @property
    def findings(self) -> int:
        return sum(r.counts.get("findings", 0) for r in self.reports)


def catch_up(
    spark: SparkSession,
    settings: Settings,
    chosen: Chosen,
    *,
    tell: Tell = tell_nobody,
) -> CaughtUp:
    """Run again what late rows could change, of all that runs of the chosen detections have covered.

    Of the lake's own tables and of Delta tables that are read in place, by their change data feed. What was never
    covered, or by another version of a detection, is a gap and not late: `procnet gaps`. Raises DataError where the
    feed does not go back far enough, PartlyDone where windows failed: the look is then not recorded, and the same
    command goes on.
    """
    lake, clock = Lake(spark, settings), Clock()
    told = ran_as(chosen.detections, chosen.exclusions, settings)
    now = _now(lake)
    first = first_possible(lake, chosen.detections)
    seen = [replace(s, window=w) for s in _seen(lake, told, now) for w in possible([s.window], first)]
    if not seen:
        return CaughtUp((), looked=False)
    late = changed_events(lake, {t: min(s.read[t] for s in seen) for t in now}, now)
    with readable():
        events = read_events(lake)
        times = disturbed(
            late, events.processes, events.connections, lake.read("findings"), seen, chosen.detections, settings
        )
        cells = [] if times is None else windows_of(times, seen, settings.window.length)
    windows = [c for w in cells for c in w.chunks(_LONGEST)]
    clock.lap("look")
    reports, failed = detect_each(spark, settings, windows, chosen, kind="catch_up", tell=tell)
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


def _seen(lake: Lake, told: Mapping[str, str], now: Mapping[str, int]) -> Sequence[Seen]:
    """What has been covered and not been looked at since: none where no table has changed."""
    before = looks(lake)
    found = []
    for stretch in covered(attempts(lake), told):
        read = [stretch.versions, *(v for at, of, v in before if at >= stretch.since and of.items() >= told.items())]
        newest = {t: max(v.get(t, -1) for v in read) for t in now}
        if any(newest[t] < now[t] for t in now):
            found.append(Seen(stretch.window, newest))
    return found
