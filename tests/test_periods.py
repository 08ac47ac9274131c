"""Periods and durations: what a person types becomes a value, or an error that says what to type."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procnet.errors import UsageError
from procnet.periods import Window, format_duration, parse_duration, parse_time
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


@pytest.mark.parametrize("text", ["", "h", "1 fortnight", "-1h", True, None])
def test_what_is_no_duration_is_refused_by_its_value(text: object) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize("value", ["99999999999d", 1e30, float("inf")])
def test_a_duration_that_is_too_long_is_refused_by_its_value(value: object) -> None:
    with pytest.raises(ValueError, match="is too long"):
        parse_duration(value)


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
