"""Periods and durations: what a person types becomes a value, or an error that says what to type."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from procnet.errors import UsageError
from procnet.periods import Duration, Offset, Window, format_duration, parse_duration, parse_time
from procnet.vocabulary import severity

UTC = timezone.utc
T0 = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", timedelta(days=1)),
        ("90m", timedelta(minutes=90)),
        ("1.5s", timedelta(seconds=1.5)),
        ("500ms", timedelta(milliseconds=500)),
        (2, timedelta(seconds=2)),
    ],
)
def test_a_duration_reads(text: object, expected: timedelta) -> None:
    assert parse_duration(text) == expected


def test_a_window_takes_times_as_text() -> None:
    hour: Any = ("2026-03-01T08:00Z", "2026-03-01T10:00+01:00")
    assert Window(*hour) == Window(T0 - timedelta(minutes=30), T0 + timedelta(minutes=30))


@pytest.mark.parametrize(
    ("start", "hint"),
    [
        ("2026-03-01T08:00", "write 2026-03-01T08:00:00Z"),
        ("soon", "2026-03-01T08:00:00Z"),
        (5, 'Window("2026-03-01T08'),
    ],
)
def test_a_time_of_a_window_that_cannot_be_read_says_what_to_write(start: Any, hint: str) -> None:
    with pytest.raises(UsageError) as e:
        Window(start, T0)
    assert hint in str(e.value)


@pytest.mark.parametrize("text", ["", "h", "1 fortnight", "-1h", True, None, float("nan")])
def test_what_is_no_duration_is_refused_by_its_value(text: object) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize("value", ["99999999999d", "36501d", 1e30, -1e30, float("inf"), timedelta(days=40_000)])
def test_a_duration_that_is_too_long_is_refused_by_its_value(value: object) -> None:
    with pytest.raises(ValueError, match="is too long"):
        parse_duration(value)


def test_a_duration_is_not_negative_and_an_offset_may_be() -> None:
    assert TypeAdapter(Offset).validate_python(-5) == timedelta(seconds=-5)
    for value in (-5, -0.001, timedelta(-1)):
        with pytest.raises(ValidationError, match="a duration is not negative"):
            TypeAdapter(Duration).validate_python(value)


@given(st.integers(1, 10**7))
def test_a_written_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_a_time_needs_a_zone_and_the_error_says_how_to_write_it() -> None:
    assert parse_time("2026-03-01T08:00:00+02:00") == datetime(2026, 3, 1, 6, tzinfo=UTC)
    with pytest.raises(UsageError, match="no time zone") as e:
        parse_time("2026-03-01T08:00:00")
    assert "2026-03-01T08:00:00Z" in str(e.value)
    with pytest.raises(UsageError, match="no time"):
        parse_time("yesterday")


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-14:00",
        "1969-12-31T00:00Z",
    ],
)
def test_a_time_that_no_record_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not between 1970 and 2200"):
        parse_time(text)


def test_a_long_text_that_is_no_time_is_cut() -> None:
    with pytest.raises(UsageError) as e:
        parse_time("9" * 5000)
    assert len(e.value.message) < 100


def test_a_window_must_have_width_and_a_zone() -> None:
    with pytest.raises(UsageError, match="no width"):
        Window(T0, T0)
    with pytest.raises(UsageError, match="before it starts"):
        Window(T0, T0 - timedelta(hours=1))
    with pytest.raises(UsageError, match="no time zone"):
        Window(T0.replace(tzinfo=None), T0)


@given(st.integers(1, 5000), st.integers(1, 3000))
def test_chunks_tile_the_period_exactly(minutes: int, size: int) -> None:
    period = Window(T0, T0 + timedelta(minutes=minutes))
    chunks = period.chunks(timedelta(minutes=size))
    assert chunks[0].start == period.start
    assert chunks[-1].end == period.end
    assert all(a.end == b.start for a, b in pairwise(chunks))


def test_a_period_may_have_the_last_time_that_there_is() -> None:
    last = Window(datetime(9999, 12, 31, 22, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC))
    assert last.chunks(timedelta(days=30_000)) == [last]


def test_a_period_of_too_many_chunks_is_refused_at_once() -> None:
    period = Window(T0, T0 + timedelta(days=36_500))
    for size in (timedelta(milliseconds=1), timedelta(minutes=1), timedelta(hours=1)):
        with pytest.raises(UsageError, match="at most 100000 are evaluated at once"):
            period.chunks(size)
    assert len(period.chunks(timedelta(days=1))) == 36_501


def test_chunks_are_cut_on_the_grid_so_that_a_later_backfill_has_the_same_ones() -> None:
    chunks = Window(T0, T0 + timedelta(hours=2)).chunks(timedelta(hours=1))
    assert [c.start.minute for c in chunks] == [30, 0, 0]


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (1, "informational"),
        (20, "informational"),
        (21, "low"),
        (35, "low"),
        (41, "medium"),
        (80, "high"),
        (81, "critical"),
    ],
)
def test_severity_follows_the_bands(score: int, band: str) -> None:
    assert severity(score) == band
