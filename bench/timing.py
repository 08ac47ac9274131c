"""Seconds of several steps that are run in turn, so that a slow minute of the machine affects all of them alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Step = Callable[[], object]
Log = Callable[[str], None]


@dataclass(frozen=True)
class Seconds:
    """Warm seconds of one step, and those of its first call."""

    warm: tuple[float, ...]
    cold: float

    @property
    def median(self) -> float:
        return statistics.median(self.warm)

    def summary(self) -> dict[str, float]:
        """Median, least and most of the warm rounds, and the cold one."""
        return {"median": self.median, "least": min(self.warm), "most": max(self.warm), "cold": self.cold}


def interleaved(steps: Mapping[str, Step], rounds: int, log: Log) -> dict[str, Seconds]:
    """Seconds of every step: one cold round, then `rounds` warm ones, the steps in turn within each round.

    With `rounds` 0 the cold seconds stand for the warm ones too.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            started = time.monotonic()
            step()
            seconds[name].append(time.monotonic() - started)
        log(f"round {turn} of {rounds}: " + ", ".join(f"{n} {s[-1]:.1f}" for n, s in seconds.items()))
    return {name: Seconds(tuple(some[1:] or some), some[0]) for name, some in seconds.items()}


def growth_exponent(points: Mapping[int, float]) -> float | None:
    """The slope of log seconds over log size by least squares; None for fewer than two sizes. 1 is linear."""
    logs = [(math.log(size), math.log(seconds)) for size, seconds in points.items()]
    if len(logs) < 2:
        return None
    x, y = (statistics.fmean(v) for v in zip(*logs, strict=True))
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)
