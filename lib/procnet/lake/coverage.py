"""Computes which parts of a period the ledger's runs cover, and how the last run of each part ended. Without Spark."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from procnet.periods import Window

Reason = Literal["never ran", "failed", "edited since", "tables rewound", "source had no rows"]

# The reason of a gap is the first that holds for one of the detections.
_REASONS: tuple[Reason, ...] = ("never ran", "failed", "tables rewound", "edited since", "source had no rows")


@dataclass(frozen=True)
class RunAttempt:
    """A run over a window, as the ledger has it."""

    window: Window
    started_at: datetime
    status: str
    detections: Mapping[str, str]  # detection id -> run fingerprint
    versions: Mapping[str, int]  # table -> Delta version that the run read


@dataclass(frozen=True)
class Segment:
    """A part of a period, and the run of it that started last; None where none has run."""

    window: Window
    last_run: RunAttempt | None


@dataclass(frozen=True)
class Gap:
    """A part of a period that needs a run, and why."""

    window: Window
    why: Reason


@dataclass(frozen=True)
class Covered:
    """A part of time that the last runs of all detections cover: the oldest version of each table among those runs
    (-1 where one did not read the table), and the start of the first of them."""

    window: Window
    versions: Mapping[str, int]
    since: datetime


def segments(period: Window, attempts: Iterable[RunAttempt]) -> list[Segment]:
    """Returns the period, cut where the last run changes; neighbours have different last runs."""
    overlapping = [a for a in attempts if a.window.start < period.end and period.start < a.window.end]
    newest_first = sorted(overlapping, key=lambda a: (a.started_at, a.window.start, a.window.end))[::-1]
    edges = {t for a in overlapping for t in (a.window.start, a.window.end) if period.start < t < period.end}
    found: list[Segment] = []
    for start, end in itertools.pairwise(sorted({period.start, period.end, *edges})):
        last = next((a for a in newest_first if a.window.start <= start and end <= a.window.end), None)
        if found and found[-1].last_run is last:
            found[-1] = Segment(Window(found[-1].window.start, end), last)
        else:
            found.append(Segment(Window(start, end), last))
    return found


def gaps(
    period: Window, attempts: Sequence[RunAttempt], fingerprints: Mapping[str, str], versions: Mapping[str, int]
) -> list[Gap]:
    """Returns the parts of a period that the last runs of the detections do not cover, with the gravest reason.

    `fingerprints` is detection id -> the run fingerprint that a run would have now. `versions` is table -> Delta
    version now; a run that read a later one read a table that was restored since.
    """
    found: list[Gap] = []
    for window, last_runs in _last_runs(period, attempts, sorted(fingerprints)):
        reasons = {
            _gap_reason(last_run, detection, fingerprint, versions)
            for (detection, fingerprint), last_run in zip(sorted(fingerprints.items()), last_runs, strict=True)
        }
        reason = next((r for r in _REASONS if r in reasons), None)
        if reason is None:
            continue
        if found and found[-1].why == reason and found[-1].window.end == window.start:
            found[-1] = Gap(Window(found[-1].window.start, window.end), reason)
        else:
            found.append(Gap(window, reason))
    return found


def _gap_reason(
    last_run: RunAttempt | None, detection: str, fingerprint: str, versions: Mapping[str, int]
) -> Reason | None:
    """Returns why a detection's last run does not cover its segment, or None where it does."""
    if last_run is None:
        return "never ran"
    if last_run.status == "failed":
        return "failed"
    if any(versions.get(table, version) < version for table, version in last_run.versions.items()):
        return "tables rewound"
    if last_run.detections[detection] != fingerprint:
        return "edited since"
    return "source had no rows" if last_run.status == "nothing_to_read" else None


def covered(attempts: Sequence[RunAttempt], fingerprints: Mapping[str, str]) -> list[Covered]:
    """Returns the parts of time, in order, whose last run of every detection did not fail and had its fingerprint.

    Table versions now do not matter, and a run that found no rows covers its window too.
    """
    if not attempts or not fingerprints:
        return []
    period = Window(min(a.window.start for a in attempts), max(a.window.end for a in attempts))
    found = []
    for window, last_runs in _last_runs(period, attempts, sorted(fingerprints)):
        runs = [a for a in last_runs if a is not None and a.status != "failed" and _is_current(a, fingerprints)]
        if len(runs) < len(last_runs):
            continue
        versions = {t: min(a.versions.get(t, -1) for a in runs) for t in {t for a in runs for t in a.versions}}
        found.append(Covered(window, versions, min(a.started_at for a in runs)))
    return found


def _is_current(attempt: RunAttempt, fingerprints: Mapping[str, str]) -> bool:
    """Whether all detections of the run that `fingerprints` has were of that fingerprint."""
    return all(fingerprints.get(d, fingerprint) == fingerprint for d, fingerprint in attempt.detections.items())


def _last_runs(
    period: Window, attempts: Sequence[RunAttempt], detections: Sequence[str]
) -> Iterator[tuple[Window, list[RunAttempt | None]]]:
    """Yields the period in parts, each with the last run of every detection, in the order of `detections`."""
    if not detections:
        return
    of_each = [segments(period, [a for a in attempts if d in a.detections]) for d in detections]
    edges = sorted({t for parts in of_each for s in parts for t in (s.window.start, s.window.end)})
    for start, end in itertools.pairwise(edges):
        yield (
            Window(start, end),
            [next(s.last_run for s in parts if s.window.start <= start < s.window.end) for parts in of_each],
        )
