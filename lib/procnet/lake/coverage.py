"""Which part of a period the ledger's runs cover, and how its last run there stands: plain values, no Spark."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from procnet.periods import Window

Why = Literal["never ran", "failed", "edited since", "tables rewound", "source had no rows"]


@dataclass(frozen=True)
class RunAttempt:
    """A run as coverage sees it: its window, when it started, what of, over which table versions, and how it ended."""

    window: Window
    started_at: datetime
    status: str
    detections: Mapping[str, str]  # id -> what the run knew it by
    versions: Mapping[str, int]


@dataclass(frozen=True)
class Stretch:
    """A part of a period between two edges of runs, and the last run of it that counts; None where none ran there."""

    window: Window
    last: RunAttempt | None


def stretches(period: Window, attempts: Iterable[RunAttempt]) -> list[Stretch]:
    """The period cut at every edge of a run in it; of each part the last run by its start, later ones painted over
    earlier ones. Neighbours with one last run are one."""
    ordered = sorted(attempts, key=lambda a: (a.started_at, a.window.start, a.window.end))
    inside = [a for a in ordered if a.window.start < period.end and period.start < a.window.end]
    edges = sorted(
        {period.start, period.end, *(_cut(period, t) for a in inside for t in (a.window.start, a.window.end))}
    )
    found: list[Stretch] = []
    for start, end in itertools.pairwise(edges):
        last = next((a for a in reversed(inside) if a.window.start <= start and end <= a.window.end), None)
        if found and found[-1].last is last:
            found[-1] = Stretch(Window(found[-1].window.start, end), last)
        else:
            found.append(Stretch(Window(start, end), last))
    return found


def _cut(period: Window, time: datetime) -> datetime:
    return min(max(time, period.start), period.end)


@dataclass(frozen=True)
class Gap:
    """A part of a period that needs a run, and why."""

    window: Window
    why: Why


def gaps(
    period: Window, attempts: Sequence[RunAttempt], wanted: Mapping[str, str], versions: Mapping[str, int]
) -> list[Gap]:
    """What of a period the last runs of every wanted detection (id -> what a run now would know it by) do not cover.

    `versions`: the tables' versions now; a run that read a later one read a table that was restored since.
    """
    of_each = [
        stretches(period, [a for a in attempts if detection in a.detections]) for detection in sorted(wanted)
    ] or [[]]
    edges = sorted({t for parts in of_each for s in parts for t in (s.window.start, s.window.end)})
    found: list[Gap] = []
    for start, end in itertools.pairwise(edges):
        whys = [_why(detection, parts, start, wanted, versions) for detection, parts in
                zip(sorted(wanted), of_each, strict=True)]  # fmt: skip
        why = next((w for w in _WORST if w in whys), None)
        if why is None:
            continue
        if found and found[-1].why == why and found[-1].window.end == start:
            found[-1] = Gap(Window(found[-1].window.start, end), why)
        else:
            found.append(Gap(Window(start, end), why))
    return found


_WORST: tuple[Why, ...] = ("never ran", "failed", "tables rewound", "edited since", "source had no rows")


def _why(
    detection: str, parts: Sequence[Stretch], at: datetime, wanted: Mapping[str, str], versions: Mapping[str, int]
) -> Why | None:
    last = next(s.last for s in parts if s.window.start <= at < s.window.end)
    if last is None:
        return "never ran"
    if last.status == "failed":
        return "failed"
    if any(versions.get(table, v) < v for table, v in last.versions.items()):
        return "tables rewound"
    if last.detections[detection] != wanted[detection]:
        return "edited since"
    return "source had no rows" if last.status == "nothing_to_read" else None


@dataclass(frozen=True)
class Covered:
    """A part of time that runs of all wanted detections have covered: the oldest table versions among the last of them,
    and when the first of those began."""

    window: Window
    versions: Mapping[str, int]
    since: datetime


def covered(attempts: Sequence[RunAttempt], wanted: Mapping[str, str]) -> list[Covered]:
    """All that is no gap, in order, whatever the tables' versions are now: what found no rows is covered too."""
    if not attempts or not wanted:
        return []
    period = Window(min(a.window.start for a in attempts), max(a.window.end for a in attempts))
    of_each = [stretches(period, [a for a in attempts if d in a.detections]) for d in sorted(wanted)]
    edges = sorted({t for parts in of_each for s in parts for t in (s.window.start, s.window.end)})
    found = []
    for start, end in itertools.pairwise(edges):
        last = [next(s.last for s in parts if s.window.start <= start < s.window.end) for parts in of_each]
        runs = [a for a in last if a is not None and a.status != "failed" and a.detections.items() >= _of(a, wanted)]
        if len(runs) < len(last):
            continue
        tables = {t for a in runs for t in a.versions}
        versions = {t: min(a.versions.get(t, -1) for a in runs) for t in tables}
        found.append(Covered(Window(start, end), versions, min(a.started_at for a in runs)))
    return found


def _of(attempt: RunAttempt, wanted: Mapping[str, str]) -> set[tuple[str, str]]:
    """Those of the wanted that it ran."""
    return {(d, f) for d, f in wanted.items() if d in attempt.detections}
