"""Which windows need no rerun: they succeeded with the same detections, and nothing they read has changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from procnet.engine.events import OWN, versions_of
from procnet.errors import DataError
from procnet.findings.related import PARENT_AGE
from procnet.lake.change_feed import changed_dates
from procnet.lake.coverage import RunAttempt
from procnet.lake.ledger import run_attempts
from procnet.lake.tables import Lake
from procnet.periods import Window

_DAY = timedelta(days=1)  # more than any tolerance reaches on either side of a window


@dataclass(frozen=True)
class _Changed:
    """Of each own table: dates that changed since some version, and the newest commit that did it."""

    dates: Mapping[str, Mapping[date, int]]

    def since(self, ran: RunAttempt, longest: timedelta) -> bool:
        """Whether a date that the run could read has changed since."""
        back = {"process_events": longest + PARENT_AGE + _DAY, "network_events": _DAY}
        first = {t: (ran.window.start - back[t]).date() for t in OWN}
        last = (ran.window.end + _DAY).date()
        return any(
            version > ran.versions.get(table, -1) and first[table] <= day <= last
            for table, days in self.dates.items()
            for day, version in days.items()
        )


def done_windows(lake: Lake, windows: Sequence[Window], told: Mapping[str, str], longest: timedelta) -> set[Window]:
    """Those of the windows, each as a whole, that a run with all of `told` (see `ran_as`) has done over what is there
    now. `longest` is the longest lookback of the detections.

    A lake that grows by the hour leaves a backfill of last year done: only commits that hold dates which a window reads
    undo it. Of a table without versions, and of a raw table that has changed at all, nobody can say that: run again.
    """
    wanted, versions = set(windows), versions_of(lake)
    if None in versions.values():
        return set()
    now = {t: v for t, v in versions.items() if v is not None}
    ran = [a for a in run_attempts(lake) if a.window in wanted and a.status != "failed"]
    ran = [a for a in ran if a.detections.items() >= told.items() and a.versions.keys() >= now.keys()]
    same = {a.window for a in ran if all(a.versions[t] == v for t, v in now.items())}
    other = [a for a in ran if a.window not in same and _may_be(a, now)]
    if not other:
        return same
    try:
        oldest = {t: min(a.versions[t] for a in other) for t in OWN if t in now}
        changed = _Changed({t: changed_dates(lake, t, v, now[t]) for t, v in oldest.items()})
    except DataError:  # no feed from there on: nobody knows
        return same
    return same | {a.window for a in other if not changed.since(a, longest)}


def _may_be(ran: RunAttempt, now: Mapping[str, int]) -> bool:
    """Not rewound, and every raw table as it was."""
    return all(ran.versions[t] <= v if t in OWN else ran.versions[t] == v for t, v in now.items())
