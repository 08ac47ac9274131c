"""A period, chunk by chunk: disjoint, resumable from the ledger, and one failed chunk does not stop the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import SparkSession

from procnet.detections.detection import Detection
from procnet.errors import PartlyDone
from procnet.findings.exclusions import Exclusion
from procnet.lake.ledger import done_windows
from procnet.lake.tables import Lake
from procnet.runs.chosen import Chosen
from procnet.runs.detect import Report
from procnet.runs.each import Tell, detect_each, tell_nobody
from procnet.runs.events import versions_of
from procnet.runs.exclusions import enabled_exclusions, ran_as
from procnet.settings import Settings
from procnet.types import Window, format_duration


@dataclass(frozen=True)
class Backfilled:
    """What a backfill came to: the chunks run now, and those that an earlier run had done over the same data."""

    reports: tuple[Report, ...]
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
    tell: Tell = tell_nobody,
) -> Backfilled:
    """Evaluate a period in disjoint chunks, in order.

    A chunk is skipped where the ledger says that it succeeded with the same detections and exclusions over the same
    versions of the tables. `tell(done, of, window, report)` hears of every chunk; its report is None where it was
    skipped or failed. `exclusions` and `broken` are those of `detect`; `within` are the parts of the period to look at,
    all of it by default.
    Raises PartlyDone, with the command that goes on, where chunks failed; all others are done then.
    """
    lake = Lake(spark, settings)
    if exclusions is None:
        exclusions = enabled_exclusions(settings, spark)
    done = _done(lake, ran_as(detections, exclusions, settings))
    chunks = [c for part in ([period] if within is None else within) for c in part.chunks(chunk)]
    skipped = tuple(c for c in chunks if (c.start, c.end) in done)
    chosen = Chosen(tuple(detections), tuple(exclusions), tuple(broken))
    reports, failed = detect_each(spark, settings, chunks, chosen, kind="backfill", tell=tell, skip=skipped)
    if failed:
        raise PartlyDone(
            f"{len(failed)} of {len(chunks)} chunks failed; the first: {failed[0].message}",
            hint=f"procnet backfill --start {period.start.isoformat()} --end {period.end.isoformat()} "
            f"--chunk {format_duration(chunk)} goes on with what is left",
        )
    return Backfilled(tuple(reports), skipped)


def _done(lake: Lake, detections: Mapping[str, str]) -> set[tuple[datetime, datetime]]:
    if not lake.exists("runs"):
        return set()
    told = versions_of(lake)
    versions = {t: v for t, v in told.items() if v is not None}
    if len(versions) < len(told):  # of a table without versions nobody can say that it has not changed
        return set()
    return done_windows(lake, detections, versions)
