"""Finds the windows whose findings late rows could change, and runs those windows again (docs/semantics.md, R5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from procnet.contract import EVENT_TABLES
from procnet.engine.events import changed_events, read_events, versions_of
from procnet.engine.late_data import CoveredRange, affected_times, affected_windows
from procnet.errors import DataError, PartlyDone
from procnet.lake.change_feed import missing_changes_as_data_error
from procnet.lake.coverage import covered
from procnet.lake.ledger import late_data_checks, run_attempts
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import WindowReport
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
    """Of the windows that runs of the selection have covered, runs again those whose findings late rows could change.

    Late rows are found by the change data feed, of the lake's own tables and of Delta tables that are read in place. A
    period that never ran, or ran with another version of a detection, is a gap and not late: see `procnet gaps`.
    Raises DataError where a table has no version or its feed does not reach back far enough; PartlyDone where windows
    failed: the check is not recorded then, and the same command repeats it.
    """
    fingerprints = run_fingerprints(selection, lake.settings)
    attempt = RunRecorder(lake, "catch_up", detections=fingerprints).attempt()
    current = _current_versions(lake)
    ranges = _unchecked_ranges(lake, selection, fingerprints, current)
    if not ranges:
        return CatchUpReport((), looked=False)
    windows = _affected_windows(lake, selection, ranges, current)
    attempt.stage("look")
    on_outcome = progress_counter(len(windows), progress)
    reports, failed = detect_windows(lake, selection, windows, kind="catch_up", on_outcome=on_outcome)
    if failed:
        raise PartlyDone(
            f"{len(failed)} of {len(windows)} windows failed; the first: {failed[0].message}",
            hint="procnet catch-up goes on with all of them",
        )
    attempt.stage("runs")
    attempt.succeeded(table_versions=current, counts={"windows": len(windows)})
    return CatchUpReport(tuple(reports), looked=True)


def _current_versions(lake: Lake) -> dict[str, int]:
    """Returns the Delta version of every table that events come from. Raises DataError where a table has none."""
    versions = versions_of(lake)
    if unversioned := [t for t, v in versions.items() if v is None] or ([] if versions else list(EVENT_TABLES)):
        raise DataError(
            "catch-up reads the change data feed of Delta tables; "
            f"{', '.join(unversioned)} is no Delta table, or does not exist",
            hint="run the windows of the last days again instead: procnet backfill",
        )
    return {t: v for t, v in versions.items() if v is not None}


def _unchecked_ranges(
    lake: Lake, selection: Selection, fingerprints: Mapping[str, str], current: Mapping[str, int]
) -> list[CoveredRange]:
    """Returns the covered ranges that can still be evaluated and of which a table has changed since their runs and the
    last check, each with the table versions up to which it is checked."""
    checks = late_data_checks(lake)
    ranges = []
    for part in covered(run_attempts(lake), fingerprints):
        later = [c.versions for c in checks if c.time >= part.since and c.detections.items() >= fingerprints.items()]
        newest = {t: max(v.get(t, -1) for v in (part.versions, *later)) for t in current}
        if any(newest[t] < current[t] for t in current):
            ranges.append(CoveredRange(part.window, newest))
    first = first_evaluable(lake, selection)
    return [replace(r, window=w) for r in ranges for w in evaluable([r.window], first)]


def _affected_windows(
    lake: Lake, selection: Selection, ranges: Sequence[CoveredRange], current: Mapping[str, int]
) -> list[Window]:
    """Returns the windows of the ranges whose findings could change, at most a day each."""
    late = changed_events(lake, {t: min(r.read[t] for r in ranges) for t in current}, current)
    with missing_changes_as_data_error():
        events = read_events(lake)
        times = affected_times(late, events, lake.read("findings"), ranges, selection.detections, lake.settings)
        affected = [] if times is None else affected_windows(times, ranges, lake.settings.window.length)
    return [c for w in affected for c in w.chunks(_LONGEST_WINDOW)]
