"""Evaluates a period in disjoint chunks; resumable from the ledger, and a chunk that fails does not stop the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from procnet.errors import PartlyDone, UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window, format_duration
from procnet.runs.detect import WindowReport
from procnet.runs.resume import done_windows
from procnet.runs.selection import Selection
from procnet.runs.windows import WindowProgress, detect_windows, no_progress, progress_counter


@dataclass(frozen=True)
class BackfillReport:
    """The chunks that a backfill ran, and those it skipped: an earlier run had done them over the same data."""

    reports: tuple[WindowReport, ...]
    skipped: tuple[Window, ...]

    @property
    def findings(self) -> int:
        """Findings of the chunks that ran."""
        return sum(r.counts.get("findings", 0) for r in self.reports)


def backfill(
    lake: Lake,
    selection: Selection,
    *periods: Window,
    chunk: timedelta = timedelta(days=1),
    parallel: int = 1,
    progress: WindowProgress = no_progress,
) -> BackfillReport:
    """Evaluates one or more periods, in order of time, in chunks: one after the other, or `parallel` at once.

    A chunk is skipped where the ledger has a run of it that succeeded with the same run fingerprints, and no commit
    since has a date that the chunk reads. `progress` is called for every chunk, for the skipped ones first.
    Raises UsageError for `parallel` below 1; PartlyDone, with the command that goes on, where chunks failed: all others
    are done then.
    """
    if parallel < 1:
        raise UsageError(f"{parallel} chunks at once are none", hint="write --parallel 2, or leave it out")
    chunks = [c for period in periods for c in period.chunks(chunk)]
    done = done_windows(lake, selection, chunks)
    skipped = tuple(c for c in chunks if c in done)
    on_outcome = progress_counter(len(chunks), progress)
    for window in skipped:
        on_outcome(window, None)
    left = [c for c in chunks if c not in done]
    reports, failed = detect_windows(lake, selection, left, kind="backfill", on_outcome=on_outcome, parallel=parallel)
    if failed:
        raise PartlyDone(
            f"{len(failed)} of {len(chunks)} chunks failed; the first: {failed[0].message}",
            hint=f"procnet backfill --start {periods[0].start.isoformat()} --end {periods[-1].end.isoformat()} "
            f"--chunk {format_duration(chunk)} goes on with what is left",
        )
    return BackfillReport(tuple(reports), skipped)
