"""Computes from the runs which parts of a period are done, and which need a run. Pure functions of rows and versions.

Every command decides by `coverage`: gaps lists the parts with a reason, catch-up compares the versions of the others
with those of the tables now, and a backfill skips what neither of them would run (docs/semantics.md, R8).
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeVar

from procnet.periods import Window

_T = TypeVar("_T")

Reason = Literal["never ran", "failed", "killed", "edited since", "tables rewound", "source had no rows"]

# The reason of a part is the first that holds for one of the detections.
_REASONS: tuple[Reason, ...] = ("never ran", "failed", "killed", "tables rewound", "edited since", "source had no rows")


CHECKED, CHECKED_NO_ROWS = "checked", "checked_no_rows"  # by catch-up, as the runs of the window before had found it
UNRECORDED = "unrecorded"  # a run that has committed findings is still working, or was killed before its ledger row


@dataclass(frozen=True)
class RunAttempt:
    """A run over a window, or a check by catch-up that the findings of a window are still right.

    `findings_version` is a version of the findings table in which the findings of the window and the detections are
    those that the run computed: that of its commit or, where it had nothing to change, one that it compared with. It is
    -1 of a failed run and of one that an older procnet recorded. `status` is that of the ledger's row, or `UNRECORDED`
    where only the commit is known.
    """

    window: Window
    started_at: datetime
    status: str
    detections: Mapping[str, str]  # detection id -> run fingerprint
    versions: Mapping[str, int]  # table of events -> Delta version that the run read
    findings_version: int = -1
    run_id: str = ""
    table_ids: Mapping[str, str] = field(default_factory=dict)  # own table -> its id, which no other table has

    @property
    def order(self) -> tuple[int, bool, datetime]:
        """Sorts runs by the commits of the findings table. A clock decides only between runs with the same findings,
        and between runs of older lakes."""
        return self.findings_version, self.status != UNRECORDED, self.started_at


@dataclass(frozen=True)
class Restored:
    """A RESTORE of the findings table: the commits after version `to`, up to its own, have no effect any more."""

    version: int
    to: int


@dataclass(frozen=True)
class TableState:
    """The tables now: table of events -> Delta version, the version and restores of the findings table, own table ->
    its id."""

    versions: Mapping[str, int]
    findings_version: int | None = None
    restores: Sequence[Restored] = ()
    table_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A part of a period with the same last runs: why it needs a run, or None. `versions`: table -> the oldest version
    among those that the last runs of the detections read, -1 where one did not read the table."""

    window: Window
    reason: Reason | None
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_covered(self) -> bool:
        """Whether the findings are those of the events at `versions`; a part without rows needs no run until it has."""
        return self.reason in (None, "source had no rows")


@dataclass(frozen=True)
class Segment:
    """A part of time, and the last run over it; None where none has run."""

    window: Window
    last_run: RunAttempt | None


def coverage(
    period: Window, attempts: Iterable[RunAttempt], fingerprints: Mapping[str, str], now: TableState
) -> list[Part]:
    """Returns the period in parts, in order of time; neighbours differ in their reason or versions.

    `fingerprints` is detection id -> the run fingerprint that a run would have now. The last run over a part, of a
    detection, is that with the last commit of its findings. A failed run changed nothing, so it is the reason only
    where no other run covers the part and it is the newest one.
    """
    if not fingerprints:
        return []
    overlapping = [
        _of_table_now(a, now) for a in attempts if a.window.start < period.end and period.start < a.window.end
    ]
    groups = _grouped_by_runs(overlapping, fingerprints)
    per_group = [_segments_of_group(period, [overlapping[i] for i in runs]) for runs in groups]
    parts: list[Part] = []
    for window, last in _aligned(per_group):
        reasons = set[Reason | None]()
        for (done, newest), detections in zip(last, groups.values(), strict=True):
            reasons |= {_reason(done, newest, d, fingerprints[d], now) for d in detections}
        reason = next((r for r in _REASONS if r in reasons), None)
        runs = [done for done, _ in last if done is not None]
        tables = {t for a in runs for t in a.versions}
        part = Part(window, reason, {t: min(a.versions.get(t, -1) for a in runs) for t in tables})
        if parts and (parts[-1].reason, parts[-1].versions) == (part.reason, part.versions):
            part = replace(part, window=Window(parts.pop().window.start, window.end))
        parts.append(part)
    return parts


def is_overtaken(run: RunAttempt, others: Iterable[RunAttempt]) -> bool:
    """Whether one of the other runs wrote findings of the same time and detection from newer events than `run` read."""
    return any(
        o.run_id != run.run_id
        and o.window.start < run.window.end
        and run.window.start < o.window.end
        and not o.detections.keys().isdisjoint(run.detections)
        and any(version > run.versions.get(table, -1) for table, version in o.versions.items())
        for o in others
    )


def joined(windows: Iterable[Window]) -> list[Window]:
    """Returns windows in order of time, where one ends as the next one starts joined to one."""
    found: list[Window] = []
    for window in windows:
        if found and found[-1].end == window.start:
            window = Window(found.pop().start, window.end)
        found.append(window)
    return found


def segments(period: Window, attempts: Iterable[RunAttempt], *, by_start: bool = False) -> list[Segment]:
    """Returns the period, cut where the last run changes; neighbours have different last runs.

    The last run is by `RunAttempt.order`, or with `by_start` by the time of its start. In n log n of the attempts.
    """
    ranked = sorted(attempts, key=lambda a: (a.started_at if by_start else a.order, a.window.start, a.window.end))
    starts = sorted((max(a.window.start, period.start), rank) for rank, a in enumerate(ranked))
    edges = {t for a in ranked for t in (a.window.start, a.window.end) if period.start < t < period.end}
    found: list[Segment] = []
    newest_first: list[int] = []  # a heap of -rank of the runs that have begun; those that have ended leave at the top
    next_start = iter(starts)
    upcoming = next(next_start, None)
    for start, end in itertools.pairwise(sorted({period.start, period.end, *edges})):
        while upcoming is not None and upcoming[0] <= start:
            heapq.heappush(newest_first, -upcoming[1])
            upcoming = next(next_start, None)
        while newest_first and ranked[-newest_first[0]].window.end <= start:
            heapq.heappop(newest_first)
        last = ranked[-newest_first[0]] if newest_first else None
        if found and found[-1].last_run is last:
            found[-1] = Segment(Window(found[-1].window.start, end), last)
        else:
            found.append(Segment(Window(start, end), last))
    return found


_LastRuns = tuple["RunAttempt | None", "RunAttempt | None"]


def _grouped_by_runs(
    attempts: Sequence[RunAttempt], fingerprints: Mapping[str, str]
) -> dict[tuple[int, ...], list[str]]:
    """Returns the indices of attempts -> the detections that exactly these attempts ran: most share them all."""
    of_each: dict[str, list[int]] = {d: [] for d in fingerprints}
    for i, attempt in enumerate(attempts):
        for d in attempt.detections:
            if d in of_each:
                of_each[d].append(i)
    groups: dict[tuple[int, ...], list[str]] = {}
    for d, indices in of_each.items():
        groups.setdefault(tuple(indices), []).append(d)
    return groups


def _segments_of_group(period: Window, attempts: Sequence[RunAttempt]) -> list[tuple[Window, _LastRuns]]:
    """Returns the period in parts, with the last run that did not fail, and the newest run where any failed."""
    done = segments(period, [a for a in attempts if a.status != "failed"])
    if all(a.status != "failed" for a in attempts):
        return [(s.window, (s.last_run, None)) for s in done]
    newest = segments(period, attempts, by_start=True)
    both = [[(s.window, s.last_run) for s in done], [(s.window, s.last_run) for s in newest]]
    return [(window, (last[0], last[1])) for window, last in _aligned(both)]


def _aligned(tilings: Sequence[Sequence[tuple[Window, _T]]]) -> Iterator[tuple[Window, tuple[_T, ...]]]:
    """Yields several tilings of one period as one: cut at every edge, with the value of each."""
    edges = sorted({t for parts in tilings for window, _ in parts for t in (window.start, window.end)})
    at = [0] * len(tilings)
    for start, end in itertools.pairwise(edges):
        for i, parts in enumerate(tilings):
            at[i] += parts[at[i]][0].end <= start
        yield Window(start, end), tuple(parts[at[i]][1] for i, parts in enumerate(tilings))


def _reason(
    done: RunAttempt | None, newest: RunAttempt | None, detection: str, fingerprint: str, now: TableState
) -> Reason | None:
    """Returns why a detection's last run does not cover its part, or None where it does."""
    reason: Reason | None
    if done is None:
        reason = "never ran"
    elif _is_rewound(done, now):
        reason = "tables rewound"
    elif done.status == UNRECORDED:
        reason = "killed"
    elif done.detections[detection] != fingerprint:
        reason = "edited since"
    else:
        return "source had no rows" if done.status in ("nothing_to_read", CHECKED_NO_ROWS) else None
    is_failed = newest is not None and newest.status == "failed" and reason != "killed"
    return "failed" if is_failed else reason


def _of_table_now(run: RunAttempt, now: TableState) -> RunAttempt:
    """Returns the run, before all runs over the findings table that there is now if it committed to one made earlier:
    the versions of two tables do not compare."""
    table_id = now.table_ids.get("findings")
    is_other = table_id is not None and run.table_ids.get("findings", table_id) != table_id
    return replace(run, findings_version=-1) if is_other else run


def _is_rewound(run: RunAttempt, now: TableState) -> bool:
    """Whether a table was made anew since the run or has a lower version than the run read, or the findings that the
    run left were taken back."""
    if any(now.table_ids.get(table, table_id) != table_id for table, table_id in run.table_ids.items()):
        return True
    if any(now.versions.get(table, version) < version for table, version in run.versions.items()):
        return True
    is_gone = now.findings_version is not None and run.findings_version > now.findings_version
    return is_gone or any(r.to < run.findings_version < r.version for r in now.restores)
