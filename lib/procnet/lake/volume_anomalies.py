"""Counts that jump: a window that read or found much more or less than those of its length before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

# Nights and weekends differ from days by less; a sensor that fell silent, and a detection that broke, by more.
FACTOR = 4
BEFORE = 24  # windows before it that a window is compared with
ENOUGH = 6  # with fewer of them nobody knows what is usual
FEW = 10  # differences up to this many are no jump


def volume_anomalies(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Run id -> count (`connections`, `findings`) -> the median that it is far from. In: rows of `contract.RUNS`."""
    found: dict[str, dict[str, float]] = {}
    over = [r for r in runs if r["window_start"] is not None and r["status"] != "failed"]
    over.sort(key=lambda r: (r["window_start"], r["started_at"]))
    for i, run in enumerate(over):
        length = run["window_end"] - run["window_start"]
        # The last run over each earlier window: repeats must not outweigh the others.
        earlier = {
            r["window_start"]: r["counts"] or {}
            for r in over[:i]
            if r["window_end"] - r["window_start"] == length and r["window_start"] < run["window_start"]
        }
        usual = [earlier[start] for start in sorted(earlier)[-BEFORE:]]
        if len(usual) < ENOUGH:
            continue
        for name in ("connections", "findings"):
            is_now, was = (run["counts"] or {}).get(name, 0), median(c.get(name, 0) for c in usual)
            if abs(is_now - was) > FEW and not was / FACTOR <= is_now <= was * FACTOR:
                found.setdefault(run["run_id"], {})[name] = was
    return found
