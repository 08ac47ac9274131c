"""Late rows: find the windows whose findings they could change, run those again, and nothing else (2-semantics, 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from procnet.errors import DataError, PartlyDone
from procnet.lake.coverage import covered
from procnet.lake.ledger import attempts, looks
from procnet.lake.tables import Lake
from procnet.runs.chosen import Chosen
from procnet.runs.detect import Report
from procnet.runs.each import Tell, detect_each, tell_nobody
from procnet.runs.events import OWN, versions_of
from procnet.runs.exclusions import ran_as
from procnet.runs.late import Changes, Seen, disturbed, windows_of
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

    Of the lake's own tables, by their change data feed. What was never covered, or by another version of a detection,
    is a gap and not late: `procnet gaps`. Raises DataError where the feed does not go back far enough, PartlyDone where
    windows failed: the look is then not recorded, and the same command goes on.
    """
    lake, clock = Lake(spark, settings), Clock()
    told = ran_as(chosen.detections, chosen.exclusions, settings)
    now = {t: v for t, v in versions_of(lake).items() if v is not None}
    seen = _seen(lake, told, now)
    if not seen:
        return CaughtUp((), looked=False)
    changes = Changes(*(_changes(lake, t, min(getattr(s, of) for s in seen), now[t]) for t, of in _TABLES))
    times = disturbed(
        changes, lake.read("process_events"), lake.read("network_events"), lake.read("findings"), seen,
        chosen.detections, settings,
    )  # fmt: skip
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


_TABLES = (("process_events", "processes"), ("network_events", "connections"))


def _seen(lake: Lake, told: Mapping[str, str], now: Mapping[str, int]) -> Sequence[Seen]:
    """What has been covered and not been looked at since: none where no table has changed."""
    if not all(t in now for t in OWN):
        raise DataError(
            f"catch-up works on the lake's own tables, and {', '.join(t for t in OWN if t not in now)} is not there",
            hint="run the windows of the last days again where events are read in place: procnet backfill",
        )
    before = looks(lake)
    found = []
    for stretch in covered(attempts(lake), told):
        read = [stretch.versions, *(v for at, of, v in before if at >= stretch.since and of.items() >= told.items())]
        newest = {t: max(v.get(t, -1) for v in read) for t in OWN}
        if any(newest[t] < now[t] for t in OWN):
            found.append(Seen(stretch.window, newest["process_events"], newest["network_events"]))
    return found


def _changes(lake: Lake, table: str, since: int, now: int) -> DataFrame | None:
    if since >= now:
        return None
    try:
        read = lake.spark.read.option("readChangeFeed", "true").option("startingVersion", since + 1)
        return read.option("endingVersion", now).table(lake.ref(table))
    except AnalysisException as e:
        raise DataError(
            f"table {table} has no change data feed from version {since + 1} on: {str(e).splitlines()[0]}",
            hint="procnet init switches it on for what comes; what came before: procnet backfill over the period",
        ) from None
