"""A period, chunk by chunk: disjoint, resumable from the ledger, and one failed chunk does not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import SparkSession

from procnet.detections.detection import Detection
from procnet.errors import PartlyDone, UsageError
from procnet.findings.exclusions import Exclusion
from procnet.lake.tables import Lake
from procnet.periods import Window, format_duration
from procnet.runs.detect import WindowReport
from procnet.runs.exclusions import enabled_exclusions, run_fingerprints
from procnet.runs.resume import done_windows
from procnet.runs.selection import Selection
from procnet.runs.windows import WindowProgress, detect_windows, no_progress
from procnet.settings import Settings


@dataclass(frozen=True)
class Backfilled:
    """What a backfill came to: the chunks run now, and those that an earlier run had done over the same data."""

    reports: tuple[WindowReport, ...]
    skipped: tuple[Window, ...]

    @property
    def findings(self) -> int:
        return sum(r.counts.get("findings", 0) for r in self.reports)


def backfill(
    spark: SparkSession,
    settings: Settings,
    period: Window,
    detections: Sequence[Detection],
    *,
    exclusions: Sequence[Exclusion] | None = None,
    broken: Sequence[str] = (),
    within: Sequence[Window] | None = None,
    chunk: timedelta = timedelta(days=1),
    parallel: int = 1,
    tell: WindowProgress = no_progress,
) -> Backfilled:
    """Evaluate a period in disjoint chunks, in order or `parallel` at once.

    A chunk is skipped where the ledger says that it succeeded with the same detections and exclusions, and no commit
    since holds a date that it reads. `tell` hears of every chunk. `exclusions` and `broken` are those of `detect`;
    `within` are the parts of the period to look at, all of it by default.
    Raises UsageError for `parallel` below 1; PartlyDone, with the command that goes on, where chunks failed; all others
    are done then.
    """
    if parallel < 1:
        raise UsageError(f"{parallel} chunks at once are none", hint="write --parallel 2, or leave it out")
    lake = Lake(spark, settings)
    if exclusions is None:
        exclusions = enabled_exclusions(settings, spark)
    chunks = [c for part in ([period] if within is None else within) for c in part.chunks(chunk)]
    longest = max((d.lookback for d in detections), default=timedelta(0))
    done = done_windows(lake, chunks, run_fingerprints(detections, exclusions, settings), longest)
    chosen = Selection(tuple(detections), tuple(exclusions), tuple(broken))
    reports, failed = detect_windows(
        spark, settings, chunks, chosen, kind="backfill", tell=tell, skip=done, parallel=parallel
    )
    if failed:
        raise PartlyDone(
            f"{len(failed)} of {len(chunks)} chunks failed; the first: {failed[0].message}",
            hint=f"procnet backfill --start {period.start.isoformat()} --end {period.end.isoformat()} "
            f"--chunk {format_duration(chunk)} goes on with what is left",
        )
    return Backfilled(tuple(reports), tuple(c for c in chunks if c in done))
