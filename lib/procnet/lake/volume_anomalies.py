"""Runs whose counts are far from usual: many more or fewer connections or findings than in the windows before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

# Nights and weekends differ from days by less than this factor; a silent sensor or a broken detection by more.
FACTOR = 4
BASELINE_WINDOWS = 24  # earlier windows of the same length that a window is compared with
MIN_BASELINE_WINDOWS = 6  # with fewer of them there is no baseline
MIN_DIFFERENCE = 10  # a difference of up to this many is no anomaly


def volume_anomalies(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Run id -> count (`connections`, `findings`) -> the baseline's median that the run is far from.

    In: rows of `contract.RUNS`; runs without a window, failed runs and checks of windows are left out.
    """
    anomalies: dict[str, dict[str, float]] = {}
    windows = [r for r in runs if r["window_start"] is not None and r["status"] in ("succeeded", "nothing_to_read")]
    windows.sort(key=lambda r: (r["window_start"], r["started_at"]))
    for i, run in enumerate(windows):
        baseline = _baseline(run, windows[:i])
        if len(baseline) < MIN_BASELINE_WINDOWS:
            continue
        for name in ("connections", "findings"):
            count, usual = (run["counts"] or {}).get(name, 0), median(c.get(name, 0) for c in baseline)
            if abs(count - usual) > MIN_DIFFERENCE and not usual / FACTOR <= count <= usual * FACTOR:
                anomalies.setdefault(run["run_id"], {})[name] = usual
    return anomalies


def _baseline(run: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> list[Mapping[str, int]]:
    """Counts of the last runs over the latest windows that start before the run's and have its length."""
    length = run["window_end"] - run["window_start"]
    counts = {
        r["window_start"]: r["counts"] or {}
        for r in earlier
        if r["window_end"] - r["window_start"] == length and r["window_start"] < run["window_start"]
    }
    return [counts[start] for start in sorted(counts)[-BASELINE_WINDOWS:]]
