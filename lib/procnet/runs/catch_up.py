"""Finds the windows whose findings late rows could change, and runs those windows again (docs/semantics.md, R5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from procnet.contract import REQUIRED_EVENT_TABLES
from procnet.engine.events import changed_events, read_events
from procnet.engine.late_data import CoveredRange, affected, affected_windows
from procnet.errors import DataError, PartlyDone
from procnet.lake.change_feed import missing_changes_as_data_error
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.coverage import CHECKED, CHECKED_NO_ROWS, Part, coverage, joined
from procnet.lake.ledger import FINDINGS_KEY
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import WindowReport
from procnet.runs.known_runs import KnownRuns, known_runs
from procnet.runs.recorder import RunRecorder
from procnet.runs.retention import evaluable, first_evaluable
from procnet.runs.selection import Selection, run_fingerprints
from procnet.runs.windows import WindowProgress, detect_windows, no_progress, progress_counter

_LONGEST_WINDOW = timedelta(days=1)  # affected neighbours run as one window, up to this length


@dataclass(frozen=True)
class CatchUpReport:
    """The windows that ran again. `looked` is false where no table had changed since the last check: no event was read
    then, and nothing was recorded."""

    reports: tuple[WindowReport, ...]
    looked: bool

    @property
    def findings(self) -> int:
        """Findings of the windows that ran again."""
        return sum(r.counts.get("findings", 0) for r in self.reports)


def catch_up(lake: Lake, selection: Selection, *, progress: WindowProgress = no_progress) -> CatchUpReport:
    """Of the windows that runs of the selection have covered, runs again those whose findings late rows could change,
    and those whose last run was killed after it had replaced findings.

    Late rows are found by the change data feed, of the lake's own tables and of Delta tables that are read in place. A
    period that never ran, or ran with another version of a detection, is a gap and not late: see `procnet gaps`.
    Raises DataError where a table has no version or its feed does not reach back far enough; PartlyDone where windows
    failed: the check is not recorded then, and the same command repeats it.
    """
    refuse_unsafe_commits(lake)
    fingerprints = run_fingerprints(selection, lake.settings)
    attempt = RunRecorder(lake, "catch_up", detections=fingerprints).attempt()
    known = known_runs(lake)
    _refuse_unversioned(known)
    parts = _evaluable_parts(lake, selection, fingerprints, known)
    current = known.now.versions
    unchecked = [p for p in parts if p.is_covered and any(p.versions.get(t, -1) < v for t, v in current.items())]
    ranges = [CoveredRange(p.window, {t: p.versions.get(t, -1) for t in current}) for p in unchecked]
    killed = [p.window for p in parts if p.reason == "killed"]
    if not ranges and not killed:
        return CatchUpReport((), looked=False)
    late, out_of_range = _affected_windows(lake, selection, ranges, current)
    windows = sorted([*late, *(c for w in killed for c in w.chunks(_LONGEST_WINDOW))], key=lambda w: w.start)
    attempt.stage("look")
    on_outcome = progress_counter(len(windows), progress)
    reports, failed = detect_windows(lake, selection, windows, kind="catch_up", on_outcome=on_outcome)
    if failed:
        raise PartlyDone(
            f"{len(failed)} of {len(windows)} windows failed; the first: {failed[0].message}",
            hint="procnet catch-up goes on with all of them",
        )
    attempt.stage("runs")
    # In `findings_version`, the findings of the ranges were those of the events at `current`: no change affects them,
    # or the windows that it affects have run since, and their rows count as later ones.
    by_status = {CHECKED: None, CHECKED_NO_ROWS: "source had no rows"}
    attempt.checked(
        [(w, s) for s, reason in by_status.items() for w in joined(p.window for p in unchecked if p.reason == reason)],
        table_versions={**current, FINDINGS_KEY: known.findings_version},
        inputs=known.now.table_ids,
        counts={"windows": len(windows)} | ({"times_out_of_range": out_of_range} if out_of_range else {}),
    )
    return CatchUpReport(tuple(reports), looked=True)


def _refuse_unversioned(known: KnownRuns) -> None:
    """Raises DataError where a table of events has no Delta version, or none exists."""
    if unversioned := [*known.unversioned] or ([] if known.now.versions else list(REQUIRED_EVENT_TABLES)):
        raise DataError(
            "catch-up reads the change data feed of Delta tables; "
            f"{', '.join(unversioned)} is no Delta table, or does not exist",
            hint="run the windows of the last days again instead: procnet backfill",
        )


def _evaluable_parts(lake: Lake, selection: Selection, fingerprints: Mapping[str, str], known: KnownRuns) -> list[Part]:
    """Returns the parts of the time from the first run to the last one that can still be evaluated."""
    if not known.attempts:
        return []
    period = Window(min(a.window.start for a in known.attempts), max(a.window.end for a in known.attempts))
    first, accepted = first_evaluable(lake, selection), lake.settings.events.period
    parts = coverage(period, known.attempts, fingerprints, known.now)
    return [replace(part, window=window) for part in parts for window in evaluable([part.window], first, accepted)]


def _affected_windows(
    lake: Lake, selection: Selection, ranges: Sequence[CoveredRange], current: Mapping[str, int]
) -> tuple[list[Window], int]:
    """Returns the windows of the ranges whose findings could change, at most a day each, and the number of changed rows
    whose time no run reads."""
    if not ranges:
        return [], 0
    late = changed_events(lake, {t: min(r.read[t] for r in ranges) for t in current}, current)
    with missing_changes_as_data_error():
        events = read_events(lake)
        found = affected(late, events, lake.read("findings"), ranges, selection.detections, lake.settings)
        windows = [] if found.times is None else affected_windows(found.times, ranges, lake.settings.window.length)
    return [c for w in windows for c in w.chunks(_LONGEST_WINDOW)], found.out_of_range
