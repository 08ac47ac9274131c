"""Finds the windows that need no run: their findings are those of the events that are there now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from procnet.contract import EVENT_TABLES, REQUIRED_EVENT_TABLES
from procnet.errors import DataError
from procnet.findings.related import PARENT_AGE
from procnet.lake.change_feed import changed_dates
from procnet.lake.coverage import Part, coverage
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.known_runs import known_runs
from procnet.runs.selection import Selection, run_fingerprints

_DAY = timedelta(days=1)  # longer than any tolerance reaches on either side of a window


@dataclass(frozen=True)
class ChangedDates:
    """Table -> date -> the newest commit that changed rows of that date, since the oldest run in question."""

    tables: Mapping[str, Mapping[date, int]]

    def affect(self, part: Part, lookback: timedelta, name_age: timedelta) -> bool:
        """Whether a date that a run over the part could read has changed since the versions of the part."""
        reach_back = {"process_events": lookback + PARENT_AGE + _DAY, "dns_events": name_age + _DAY}
        first = {t: (part.window.start - reach_back.get(t, _DAY)).date() for t in EVENT_TABLES}
        last = (part.window.end + _DAY).date()
        return any(
            version > part.versions.get(table, -1) and first[table] <= day <= last
            for table, days in self.tables.items()
            for day, version in days.items()
        )


def done_windows(lake: Lake, selection: Selection, windows: Sequence[Window]) -> set[Window]:
    """Returns those of the windows that `coverage` has covered whole, by one run or by several, where no commit since
    has a date that the window reads.

    Rows of other dates do not matter: a lake that grows by the hour leaves a backfill of last year done. A table
    without Delta versions, and a raw table that has changed at all, cannot be checked: its windows are not done.
    """
    known = known_runs(lake)
    if known.unversioned or not windows:
        return set()
    period = Window(min(w.start for w in windows), max(w.end for w in windows))
    parts = coverage(period, known.attempts, run_fingerprints(selection, lake.settings), known.now)
    current = known.now.versions
    of_window = {w: _overlapping(parts, w) for w in windows}
    covered = {w: p for w, p in of_window.items() if p and all(_can_be_compared(part, current) for part in p)}
    changed_since = [part for p in covered.values() for part in p if part.versions != current]
    if not changed_since:
        return set(covered)
    try:
        oldest = {t: min(part.versions.get(t, -1) for part in changed_since) for t in EVENT_TABLES if t in current}
        changed = ChangedDates({t: changed_dates(lake, t, v, current[t]) for t, v in oldest.items()})
    except DataError:  # the change data feed does not reach back that far
        return {w for w, p in covered.items() if all(part.versions == current for part in p)}
    lookback, name_age = selection.longest_lookback, lake.settings.attribution.name_age
    return {w for w, p in covered.items() if not any(changed.affect(part, lookback, name_age) for part in p)}


def _overlapping(parts: Sequence[Part], window: Window) -> list[Part]:
    """Returns the parts, in order of time and without a gap between them, that overlap a window."""
    first = bisect_right(parts, window.start, key=lambda p: p.window.end)
    last = bisect_right(parts, window.end, key=lambda p: p.window.start)
    return [p for p in parts[first:last] if p.window.start < window.end]


def _can_be_compared(part: Part, current: Mapping[str, int]) -> bool:
    """Whether a part is covered, and each raw table is at the version that its runs read. The lake may have got its
    tables of names and flows since."""
    read, names_and_flows = part.versions, {*EVENT_TABLES} - {*REQUIRED_EVENT_TABLES}
    return (
        part.is_covered
        and read.keys() >= current.keys() - names_and_flows
        and all(read[t] == current[t] for t in current.keys() - {*EVENT_TABLES})
    )
