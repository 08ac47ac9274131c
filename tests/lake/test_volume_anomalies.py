"""Which counts are anomalies, for several ledgers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from procnet.lake.volume_anomalies import volume_anomalies

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
USUAL = [1000, 1400, 700, 1100, 900, 1000]


def run(hour: int, connections: int, **values: Any) -> dict[str, Any]:
    at = START + hour * HOUR
    row = {"run_id": str(hour), "window_start": at, "window_end": at + HOUR, "started_at": at, "status": "succeeded"}
    return {**row, "counts": {"connections": connections, "findings": 3}, **values}


@pytest.mark.parametrize(
    ("counts", "last", "usual"),
    [
        (USUAL, {}, None),
        ([*USUAL, 300], {}, None),
        ([*USUAL, 200], {}, 1000),
        ([*USUAL, 5000], {}, 1000),
        ([*USUAL, 0], {"status": "nothing_to_read"}, 1000),
        ([*USUAL, 0], {"status": "failed", "counts": None}, None),
        ([*USUAL[:5], 0], {}, None),  # too few windows for a baseline
        ([*USUAL, 200], {"window_end": START + 8 * HOUR}, None),  # no earlier window of its length
        ([1, 2, 1, 2, 1, 2, 9], {}, None),  # a small difference is no anomaly
        ([0] * 6 + [500], {}, 0),
    ],
)
def test_a_window_is_compared_with_those_before_it(
    counts: list[int], last: dict[str, Any], usual: float | None
) -> None:
    runs = [run(hour, n) for hour, n in enumerate(counts)]
    runs[-1] |= last
    anomaly = volume_anomalies(runs).get(str(len(counts) - 1), {})
    assert anomaly.get("connections") == usual


def test_repeated_runs_of_one_window_count_once_in_the_baseline() -> None:
    repeats = [run(2, 90_000, run_id=f"repeat {n}") for n in range(20)]
    anomalies = volume_anomalies([*[run(hour, n) for hour, n in enumerate(USUAL)], *repeats, run(9, 1000)])
    assert "9" not in anomalies
