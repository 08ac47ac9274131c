"""Coverage of generated runs against a count minute by minute."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procnet.lake.coverage import Part, Restored, RunAttempt, TableState, coverage, is_overtaken, joined, segments
from procnet.periods import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
FINGERPRINTS = {"a": "1", "b": "1"}
VERSIONS = {"t": 5}


def minute(n: int) -> datetime:
    return NOON + timedelta(minutes=n)


def window(start: int, end: int) -> Window:
    return Window(minute(start), minute(end))


PERIOD = window(0, 12)


NOW = TableState({"t": 5}, findings_version=9)
STATUSES = ("succeeded", "checked", "failed", "nothing_to_read", "checked_no_rows", "unrecorded")


@st.composite
def runs(draw: st.DrawFn) -> list[RunAttempt]:
    found = []
    for at in draw(st.permutations(range(draw(st.integers(0, 6))))):
        start = draw(st.integers(-3, 11))
        status = draw(st.sampled_from(STATUSES))
        found.append(
            RunAttempt(
                window(start, start + draw(st.integers(1, 8))),
                NOON + timedelta(days=1, minutes=at),
                status,
                draw(st.sampled_from(({"a": "1", "b": "1"}, {"a": "1"}, {"b": "0"}, {"a": "1", "b": "0"}))),
                draw(st.sampled_from(({"t": 5}, {"t": 3}, {"t": 6}, {}))),
                -1 if status == "failed" else draw(st.integers(-1, 10)),
                table_ids=draw(st.sampled_from(({}, {"t": "id"}, {"t": "another"}))),
            )
        )
    return found


def expected_reason(at: datetime, attempts: list[RunAttempt], now: TableState) -> str | None:
    reasons = []
    for detection, fingerprint in FINGERPRINTS.items():
        ran = [a for a in attempts if detection in a.detections and a.window.start <= at < a.window.end]
        done = [a for a in ran if a.status != "failed"]
        last = max(done, key=lambda a: (a.findings_version, a.status != "unrecorded", a.started_at), default=None)
        newest = max(ran, key=lambda a: a.started_at, default=None)
        if last is None:
            reason: str | None = "never ran"
        elif (
            last.versions.get("t", 0) > 5
            or last.findings_version > 9
            or last.table_ids.get("t", "id") != "id"
            or any(r.to < last.findings_version < r.version for r in now.restores)
        ):
            reason = "tables rewound"
        elif last.status == "unrecorded":
            reason = "killed"
        elif last.detections[detection] != fingerprint:
            reason = "edited since"
        else:
            reasons.append("source had no rows" if last.status in ("nothing_to_read", "checked_no_rows") else "")
            continue
        is_failed = newest is not None and newest.status == "failed" and reason != "killed"
        reasons.append("failed" if is_failed else reason)
    order = ("never ran", "failed", "killed", "tables rewound", "edited since", "source had no rows")
    return next((w for w in order if w in reasons), None)


@settings(deadline=None)
@given(runs(), st.sampled_from([(), (Restored(8, 3),)]))
def test_the_reason_of_each_part_is_that_of_each_minute(attempts: list[RunAttempt], restores: tuple[Restored]) -> None:
    now = TableState(NOW.versions, NOW.findings_version, restores, {"t": "id"})
    parts = coverage(PERIOD, attempts, FINGERPRINTS, now)
    for n in range(12):
        (part,) = [p for p in parts if p.window.start <= minute(n) < p.window.end]
        assert part.reason == expected_reason(minute(n), attempts, now)
        if part.is_covered:
            of_minute = [a for a in attempts if a.status != "failed" and a.window.start <= minute(n) < a.window.end]
            last = [max((a for a in of_minute if d in a.detections), key=lambda a: a.order) for d in FINGERPRINTS]
            assert part.versions.get("t", -1) == min(a.versions.get("t", -1) for a in last)
    for one, two in itertools.pairwise(parts):
        assert one.window.end == two.window.start
        assert (one.reason, one.versions) != (two.reason, two.versions), "equal neighbours are one part"


@settings(deadline=None)
@given(runs())
def test_segments_tile_the_period(attempts: list[RunAttempt]) -> None:
    parts = segments(PERIOD, attempts)
    assert [s.window.start for s in parts[1:]] == [s.window.end for s in parts[:-1]]
    assert (parts[0].window.start, parts[-1].window.end) == (PERIOD.start, PERIOD.end)
    assert all(a.last_run is not b.last_run for a, b in itertools.pairwise(parts))


@pytest.mark.parametrize("fingerprints", [{}, {"c": "1"}])
def test_without_detections_there_is_no_part_and_a_new_detection_never_ran(fingerprints: dict[str, str]) -> None:
    attempts = [RunAttempt(PERIOD, NOON, "succeeded", FINGERPRINTS, VERSIONS)]
    found = coverage(PERIOD, attempts, fingerprints, NOW)
    assert found == ([Part(PERIOD, "never ran")] if fingerprints else [])


def test_the_last_run_is_that_of_the_last_commit_whatever_the_clocks_say() -> None:
    """A slow run, started before, committed after the run that read newer events: its older events count."""
    slow = RunAttempt(PERIOD, NOON, "succeeded", FINGERPRINTS, {"t": 3}, findings_version=7)
    newer = RunAttempt(PERIOD, NOON + timedelta(hours=1), "succeeded", FINGERPRINTS, {"t": 5}, findings_version=6)
    assert coverage(PERIOD, [slow, newer], FINGERPRINTS, NOW) == [Part(PERIOD, None, {"t": 3})]


def test_a_run_over_the_findings_table_of_now_is_later_than_those_over_an_earlier_one() -> None:
    """The table was dropped and made anew: its versions start at 0 again."""
    old = RunAttempt(PERIOD, NOON, "succeeded", FINGERPRINTS, VERSIONS, 90, "old", {"findings": "1"})
    new = replace(old, findings_version=3, run_id="new", table_ids={"findings": "2"})
    now = TableState(VERSIONS, findings_version=3, table_ids={"findings": "2"})
    assert coverage(PERIOD, [old], FINGERPRINTS, now) == [Part(PERIOD, "tables rewound", VERSIONS)]
    assert coverage(PERIOD, [old, new], FINGERPRINTS, now) == [Part(PERIOD, None, VERSIONS)]


@pytest.mark.parametrize(
    ("over", "detections", "versions", "expected"),
    [
        (window(0, 12), {"a": "1"}, {"t": 6}, True),
        (window(11, 30), {"a": "2", "c": "1"}, {"t": 6}, True),
        (window(0, 12), {"a": "1"}, {"t": 5}, False),
        (window(0, 12), {"a": "1"}, {"t": 4}, False),
        (window(0, 12), {"a": "1"}, {"t": 4, "other": 0}, True),
        (window(12, 13), {"a": "1"}, {"t": 6}, False),
        (window(0, 12), {"c": "1"}, {"t": 6}, False),
    ],
)
def test_a_run_is_overtaken_by_newer_events_of_the_same_time_and_detection(
    over: Window, detections: dict[str, str], versions: dict[str, int], expected: bool
) -> None:
    run = RunAttempt(PERIOD, NOON, "succeeded", FINGERPRINTS, VERSIONS, run_id="mine")
    other = RunAttempt(over, NOON, "succeeded", detections, versions, 3, "other")
    assert is_overtaken(run, [run, other]) is expected


def test_a_year_of_hours_is_judged_in_linear_time() -> None:
    """The number of comparisons that the sweep makes grows with n log n: counted, not timed."""
    calls = 0

    class Counted(datetime):
        def __lt__(self, other: object) -> bool:
            nonlocal calls
            calls += 1
            return super().__lt__(other)  # type: ignore[operator]

        def __le__(self, other: object) -> bool:
            nonlocal calls
            calls += 1
            return super().__le__(other)  # type: ignore[operator]

    def attempts(n: int) -> list[RunAttempt]:
        hours = [Counted.fromtimestamp(3600 * i, timezone.utc) for i in range(n + 1)]
        return [
            RunAttempt(Window(a, b), a, "succeeded", FINGERPRINTS, {"t": i})
            for i, (a, b) in enumerate(itertools.pairwise(hours))
        ]

    counts = []
    for n in (200, 2000):
        of_year = attempts(n)
        calls = 0
        coverage(Window(of_year[0].window.start, of_year[-1].window.end), of_year, FINGERPRINTS, NOW)
        counts.append(calls)
    assert 0 < counts[1] < 20 * counts[0], "ten times the runs, hardly more than ten times the comparisons"


def test_windows_that_touch_are_joined() -> None:
    assert joined([window(0, 1), window(1, 3), window(4, 5)]) == [window(0, 3), window(4, 5)]
