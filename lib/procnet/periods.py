"""Small frozen values that every part shares: periods of time, tolerances, how hosts are compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from procnet.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # where every grid of time begins
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(value: object) -> timedelta:
    """`24h`, `90m`, `1d`, `500ms` (or a number of seconds) as a timedelta; anything else is a ValueError."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if isinstance(value, str) and (m := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", value.strip())):
        return timedelta(**{_UNITS[m[2]]: float(m[1])})
    raise ValueError(f"{value!r} is no duration: write a number and one of ms, s, m, h, d, w, such as 24h")


def format_duration(value: timedelta) -> str:
    """The shortest spelling that `parse_duration` reads back."""
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:f}".rstrip("0").rstrip(".") + "s"


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str, when_used="json")
]


@dataclass(frozen=True)
class Window:
    """A half-open period `[start, end)` in UTC; connections are judged in it, processes come from further back."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("end", self.end)):
            if value.tzinfo is None:
                raise UsageError(
                    f"{name} {value.isoformat()} has no time zone", hint=f"write {value.isoformat()}Z for UTC"
                )
            object.__setattr__(self, name, value.astimezone(timezone.utc))
        if self.start == self.end:
            raise UsageError(
                f"the window [{self}) has no width: start equals end",
                hint="give a later --end; in Airflow use CronDataIntervalTimetable, whose interval has a length",
            )
        if self.end < self.start:
            raise UsageError(f"the window ends before it starts: {self}", hint="swap --start and --end")

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%SZ} .. {self.end:%Y-%m-%dT%H:%M:%SZ}"

    def chunks(self, size: timedelta) -> list[Window]:
        """Disjoint windows that tile this one, cut on the UTC grid of `size`, in order."""
        if size <= timedelta(0):
            raise UsageError(f"a chunk of {size} has no width", hint="write --chunk 1d or --chunk 1h")
        cuts, at = [self.start], EPOCH + ((self.start - EPOCH) // size + 1) * size
        while at < self.end:
            cuts.append(at)
            at += size
        return [Window(a, b) for a, b in zip(cuts, [*cuts[1:], self.end], strict=True)]


def as_utc(value: datetime) -> datetime:
    """An aware time in UTC; a naive one is UTC already, as the command line has Spark hand times out."""
    return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def micros(length: timedelta) -> int:
    """A duration in whole microseconds, the unit of all times."""
    return length // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """A time by its microseconds since 1970, as `unix_micros` gives them: exact, and of no session's zone."""
    return EPOCH + timedelta(microseconds=micros)


def parse_time(text: str) -> datetime:
    """An ISO 8601 time with a zone, as UTC; a naive or unreadable one is a UsageError that says what to write."""
    try:
        value = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        raise UsageError(f"{text!r} is no time", hint="write it as 2026-03-01T08:00:00Z") from None
    if value.tzinfo is None:
        naive = value.isoformat()
        raise UsageError(f"{text!r} has no time zone", hint=f"write {naive}Z for UTC, or an offset as in {naive}+02:00")
    return value.astimezone(timezone.utc)
