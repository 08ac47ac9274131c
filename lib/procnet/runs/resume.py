"""Finds the windows that need no rerun: they succeeded with the same detections, and what they read is unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from procnet.contract import EVENT_TABLES
from procnet.engine.events import versions_of
from procnet.errors import DataError
from procnet.findings.related import PARENT_AGE
from procnet.lake.change_feed import changed_dates
from procnet.lake.coverage import RunAttempt
from procnet.lake.ledger import run_attempts
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.selection import Selection, run_fingerprints

_DAY = timedelta(days=1)  # longer than any tolerance reaches on either side of a window


@dataclass(frozen=True)
class _ChangedDates:
    """Table -> date -> the newest commit that changed rows of that date, since the oldest run in question."""

    tables: Mapping[str, Mapping[date, int]]

    def affect(self, attempt: RunAttempt, lookback: timedelta) -> bool:
        """Whether a date that the run could read has changed since the run."""
        reach_back = {"process_events": lookback + PARENT_AGE + _DAY, "network_events": _DAY}
        first = {t: (attempt.window.start - reach_back[t]).date() for t in EVENT_TABLES}
        last = (attempt.window.end + _DAY).date()
        return any(
            version > attempt.versions.get(table, -1) and first[table] <= day <= last
            for table, days in self.tables.items()
            for day, version in days.items()
        )


def done_windows(lake: Lake, selection: Selection, windows: Sequence[Window]) -> set[Window]:
    """Returns those of the windows that one run, with all run fingerprints of the selection, has done over the data
    that is there now. A window that several runs cover in parts is not done.

    Rows of other dates do not matter: a lake that grows by the hour leaves a backfill of last year done. A table
    without Delta versions, and a raw table that has changed at all, cannot be checked: its windows are not done.
    """
    versions = versions_of(lake)
    if None in versions.values():
        return set()
    current = {t: v for t, v in versions.items() if v is not None}
    wanted, fingerprints = set(windows), run_fingerprints(selection, lake.settings)
    attempts = [
        a
        for a in run_attempts(lake)
        if a.window in wanted
        and a.status != "failed"
        and a.detections.items() >= fingerprints.items()
        and a.versions.keys() >= current.keys()
    ]
    unchanged = {a.window for a in attempts if all(a.versions[t] == v for t, v in current.items())}
    others = [a for a in attempts if a.window not in unchanged and _has_dates_to_compare(a, current)]
    if not others:
        return unchanged
    try:
        oldest = {t: min(a.versions[t] for a in others) for t in EVENT_TABLES if t in current}
        changed = _ChangedDates({t: changed_dates(lake, t, v, current[t]) for t, v in oldest.items()})
    except DataError:  # the change data feed does not reach back that far
        return unchanged
    return unchanged | {a.window for a in others if not changed.affect(a, selection.longest_lookback)}


def _has_dates_to_compare(attempt: RunAttempt, current: Mapping[str, int]) -> bool:
    """Whether no own table was rewound since the run, and every raw table is at the version that the run read."""
    return all(attempt.versions[t] <= v if t in EVENT_TABLES else attempt.versions[t] == v for t, v in current.items())
