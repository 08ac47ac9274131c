"""Events, detections and findings of the model, and the rule that makes findings of events: a pure function.

Times are whole minutes since `BASE`. The rule is the project's in small: a connection belongs to the last process that
started on its key, if no event ended it since; a detection looks back as far as its lookback.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

from procnet.periods import Window

BASE = datetime(2026, 3, 1, tzinfo=timezone.utc)
DAY = 24 * 60
LONGEST_LOOKBACK = 8 * 60  # of `DETECTIONS`


class ProcessEvent(NamedTuple):
    """A start or an end on a key (host and process id). `detail` is a column that findings repeat."""

    minute: int
    key: int
    kind: str
    image: str
    detail: int


class Connection(NamedTuple):
    minute: int
    key: int
    port: int


Event = ProcessEvent | Connection


class Finding(NamedTuple):
    finding_id: str
    detection_id: str
    minute: int
    attribution: str
    excluded_by: str | None
    detail: int
    score: int


@dataclass(frozen=True)
class ModelDetection:
    """Matches connections of some images; with `ports`, those of unknown processes to these ports too."""

    id: str
    version: int
    images: frozenset[str]
    ports: frozenset[int]
    minutes: int
    name = "model"
    annotations = SimpleNamespace(mitre_attack=())
    risk = SimpleNamespace(model_dump=lambda mode: {})
    written = SimpleNamespace(budget=None)

    @property
    def fingerprint(self) -> str:
        return f"{sorted(self.images)} {sorted(self.ports)}"

    @property
    def lookback(self) -> timedelta:
        return timedelta(minutes=self.minutes)


@dataclass(frozen=True)
class ModelExclusion:
    """Excludes the findings of one detection on a port."""

    id: str
    detection: str
    port: int

    @property
    def fingerprint(self) -> str:
        return repr(self)

    def covers(self, detection: str, name: str) -> bool:
        return detection == self.detection


DETECTIONS = {
    "A": ModelDetection("A", 1, frozenset("xy"), frozenset(), 3 * 60),
    "B": ModelDetection("B", 1, frozenset("y"), frozenset({80}), LONGEST_LOOKBACK),
}
EXCLUSION = ModelExclusion("E", "A", 80)


def edited(detection: ModelDetection) -> ModelDetection:
    """Returns the next version of a detection: other images, then the first ones again."""
    images = frozenset("xyz") if detection.version % 2 else frozenset("y")
    return replace(detection, version=detection.version + 1, images=images)


def findings_of(
    processes: Iterable[ProcessEvent],
    connections: Iterable[Connection],
    detections: Sequence[ModelDetection],
    exclusions: Sequence[ModelExclusion],
) -> list[Finding]:
    """Returns the findings of the connections. Equal events are one event."""
    of_key = defaultdict[int, list[ProcessEvent]](list)
    for p in set(processes):
        of_key[p.key].append(p)
    found = []
    for c in set(connections):
        before = [p for p in of_key[c.key] if p.minute <= c.minute]
        start = max((p for p in before if p.kind == "start"), default=None)
        if start is not None and any(p.kind == "end" and p.minute >= start.minute for p in before):
            start = None
        for d in detections:
            known = start if start is not None and c.minute - start.minute <= d.minutes else None
            if (known is None or known.image not in d.images) and (known is not None or c.port not in d.ports):
                continue
            excluded = next((e.id for e in exclusions if e.covers(d.id, d.name) and e.port == c.port), None)
            identity = f"{d.id} {c.minute} {c.key} {c.port} {known.minute if known else '-'}"
            how, detail = ("host_pid", known.detail) if known else ("none", 0)
            found.append(Finding(identity, d.id, c.minute, how, excluded, detail, d.version))
    return found


@cache
def time_of(minute: int) -> datetime:
    return BASE + timedelta(minutes=minute)


@cache
def date_of(minute: int) -> date:
    return time_of(minute).date()


@cache
def minute_of(time: datetime) -> int:
    return (time - BASE) // timedelta(minutes=1)


@cache
def window_of(start: int, end: int) -> Window:
    return Window(time_of(start), time_of(end))


def in_window(rows: Iterable[Any], window: Window) -> list[Any]:
    """Returns the rows of a window, whose times are at whole minutes."""
    first, end = minute_of(window.start), minute_of(window.end)
    return [r for r in rows if first <= r.minute < end]
