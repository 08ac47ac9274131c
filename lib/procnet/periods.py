"""Durations, windows and times in UTC: parsed from text, formatted, and converted to the microseconds of the tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from procnet.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # the origin of every grid of windows
LATEST = datetime(2200, 1, 1, tzinfo=timezone.utc)  # of the times that a person may write; none is before EPOCH
_LONGEST = timedelta(days=36_500)  # so that no sum with such a time is one that datetime does not have
_MOST_CHUNKS = 100_000  # of a period; eleven years of hours
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(value: object) -> timedelta:
    """The timedelta of `24h`, `90m`, `1d`, `500ms` or a number of seconds; ValueError for anything else."""
    try:
        length = _length(value)
    except OverflowError:
        length = timedelta.max
    if length is None:
        raise ValueError(f"{value!r} is no duration: write a number and one of ms, s, m, h, d, w, such as 24h")
    if abs(length) > _LONGEST:
        raise ValueError(f"{value!r} is too long: a duration has at most {_LONGEST.days} days")
    return length


def _length(value: object) -> timedelta | None:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:  # nan differs from itself
        return timedelta(seconds=value)
    if isinstance(value, str) and (m := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", value.strip())):
        return timedelta(**{_UNITS[m[2]]: float(m[1])})
    return None


def _not_negative(value: timedelta) -> timedelta:
    if value < timedelta(0):
        raise ValueError("a duration is not negative")
    return value


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads as the same duration."""
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:f}".rstrip("0").rstrip(".") + "s"


Offset = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str, when_used="json")
]  # a duration that may be negative
Duration = Annotated[Offset, AfterValidator(_not_negative)]


@dataclass(frozen=True)
class Window:
    """A half-open period `[start, end)` in UTC: its connections are evaluated, their processes may be older.

    A time may be given as text, such as `2026-03-01T08:00Z`. Raises UsageError for times without a zone, and for a
    period that is empty or ends before it starts.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            given: Any = getattr(self, name)
            value = parse_time(given) if isinstance(given, str) else given
            if not isinstance(value, datetime):
                raise UsageError(
                    f"{name} {repr(value)[:60]} is no time",
                    hint='write Window("2026-03-01T08:00Z", "2026-03-01T09:00Z")',
                )
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
        """Disjoint windows that cover this one without a gap, cut on the UTC grid of `size`, in order of time.

        The grid does not depend on `start`, so overlapping periods have the same windows where they overlap.
        """
        if size <= timedelta(0):
            raise UsageError(f"a chunk of {size} has no width", hint="write --chunk 1d or --chunk 1h")
        first = size - (self.start - EPOCH) % size  # from the start to the end of the first chunk
        count = -((self.start + first - self.end) // size) + 1 if first < self.end - self.start else 1
        if count > _MOST_CHUNKS:
            raise UsageError(
                f"{self} has {count} chunks of {format_duration(size)}; at most {_MOST_CHUNKS} are evaluated at once",
                hint="give a longer --chunk, or a shorter period",
            )
        starts = [self.start, *(self.start + first + size * n for n in range(count - 1))]
        return [Window(a, b) for a, b in zip(starts, [*starts[1:], self.end], strict=True)]


def as_utc(value: datetime) -> datetime:
    """A time in UTC. One without a zone is taken as UTC.

    `collect` returns times without a zone, in the zone of the process, which the command line sets to UTC.
    """
    return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def micros(length: timedelta) -> int:
    """A duration in whole microseconds, the unit of all times in the tables."""
    return length // timedelta(microseconds=1)


def floor_to_grid(time: datetime, size: timedelta) -> datetime:
    """The last multiple of `size` since 1970 that is not after `time`."""
    return time - (time - EPOCH) % size


def from_micros(micros: int) -> datetime:
    """The time of microseconds since 1970, as `unix_micros` in Spark returns them, without rounding."""
    return EPOCH + timedelta(microseconds=micros)


def parse_time(text: str) -> datetime:
    """An ISO 8601 time with a zone, in UTC; UsageError for other text, with what to write instead."""
    shown = repr(text if len(text) <= 60 else f"{text[:57]}...")
    try:
        value = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        raise UsageError(f"{shown} is no time", hint="write it as 2026-03-01T08:00:00Z") from None
    if value.tzinfo is None:
        naive = value.isoformat()
        raise UsageError(f"{shown} has no time zone", hint=f"write {naive}Z for UTC, or an offset as in {naive}+02:00")
    try:
        return checked_time(value).astimezone(timezone.utc)
    except ValueError as e:
        raise UsageError(str(e), hint="write a time of your records") from None


def checked_time(value: datetime) -> datetime:
    """A time with a zone that a person wrote; ValueError where it is not from 1970 to 2200, which no record is."""
    if not EPOCH <= value <= LATEST:
        raise ValueError(f"{value.isoformat()} is not between {EPOCH.year} and {LATEST.year}")
    return value
