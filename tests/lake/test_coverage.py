"""Coverage of generated runs against a count minute by minute."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procnet.lake.coverage import RunAttempt, gaps, segments
from procnet.periods import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
FINGERPRINTS = {"a": "1", "b": "1"}
VERSIONS = {"t": 5}


def minute(n: int) -> datetime:
    return NOON + timedelta(minutes=n)


def window(start: int, end: int) -> Window:
    return Window(minute(start), minute(end))


PERIOD = window(0, 12)


@st.composite
def runs(draw: st.DrawFn) -> list[RunAttempt]:
    found = []
    for at in draw(st.permutations(range(draw(st.integers(0, 6))))):
        start = draw(st.integers(-3, 11))
        found.append(
            RunAttempt(
                window(start, start + draw(st.integers(1, 8))),
                NOON + timedelta(days=1, minutes=at),
                draw(st.sampled_from(("succeeded", "succeeded", "failed", "nothing_to_read"))),
                draw(st.sampled_from(({"a": "1", "b": "1"}, {"a": "1"}, {"b": "0"}, {"a": "1", "b": "0"}))),
                draw(st.sampled_from(({"t": 5}, {"t": 3}, {"t": 6}, {}))),
            )
        )
    return found


def expected_reason(at: datetime, attempts: list[RunAttempt]) -> str | None:
    reasons = []
    for detection, fingerprint in FINGERPRINTS.items():
        ran = [a for a in attempts if detection in a.detections and a.window.start <= at < a.window.end]
        last = max(ran, key=lambda a: a.started_at, default=None)
        if last is None:
            reasons.append("never ran")
        elif last.status == "failed":
            reasons.append("failed")
        elif last.versions.get("t", 0) > VERSIONS["t"]:
            reasons.append("tables rewound")
        elif last.detections[detection] != fingerprint:
            reasons.append("edited since")
        elif last.status == "nothing_to_read":
            reasons.append("source had no rows")
    order = ("never ran", "failed", "tables rewound", "edited since", "source had no rows")
    return next((w for w in order if w in reasons), None)


@settings(deadline=None)
@given(runs())
def test_gaps_are_those_of_each_minute(attempts: list[RunAttempt]) -> None:
    found = gaps(PERIOD, attempts, FINGERPRINTS, VERSIONS)
    for n in range(12):
        reasons = [g.why for g in found if g.window.start <= minute(n) < g.window.end]
        assert reasons == ([] if (w := expected_reason(minute(n), attempts)) is None else [w])
    for one, two in itertools.pairwise(found):
        assert one.window.end < two.window.start or one.why != two.why, "neighbours with one reason are one gap"


@settings(deadline=None)
@given(runs())
def test_segments_tile_the_period(attempts: list[RunAttempt]) -> None:
    parts = segments(PERIOD, attempts)
    assert [s.window.start for s in parts[1:]] == [s.window.end for s in parts[:-1]]
    assert (parts[0].window.start, parts[-1].window.end) == (PERIOD.start, PERIOD.end)
    assert all(a.last_run is not b.last_run for a, b in itertools.pairwise(parts))


@pytest.mark.parametrize("fingerprints", [{}, {"c": "1"}])
def test_without_detections_there_is_no_gap_and_a_new_detection_never_ran(fingerprints: dict[str, str]) -> None:
    attempts = [RunAttempt(PERIOD, NOON, "succeeded", FINGERPRINTS, VERSIONS)]
    found = gaps(PERIOD, attempts, fingerprints, VERSIONS)
    assert [(g.window, g.why) for g in found] == ([(PERIOD, "never ran")] if fingerprints else [])
