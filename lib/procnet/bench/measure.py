"""Seconds of several steps, taken in turn, so that a slow minute of the machine is everybody's."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Step = Callable[[], object]


@dataclass(frozen=True)
class Took:
    """Warm seconds of one step, and those of its first call."""

    warm: tuple[float, ...]
    cold: float

    @property
    def median(self) -> float:
        return statistics.median(self.warm)


def interleaved(steps: Mapping[str, Step], rounds: int, tell: Callable[[str], None]) -> dict[str, Took]:
    """Every step once to warm up, then `rounds` times each, in turn; of no rounds the first call is all there is."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            mark = time.monotonic()
            step()
            seconds[name].append(time.monotonic() - mark)
        tell(f"round {turn} of {rounds}: " + ", ".join(f"{n} {s[-1]:.1f}" for n, s in seconds.items()))
    return {name: Took(tuple(some[1:] or some), some[0]) for name, some in seconds.items()}


def growth_exponent(points: Mapping[int, float]) -> float | None:
    """The slope of log seconds over log size by least squares; None of fewer than two sizes. 1 is linear."""
    logs = [(math.log(size), math.log(seconds)) for size, seconds in points.items()]
    if len(logs) < 2:
        return None
    x, y = (statistics.fmean(v) for v in zip(*logs, strict=True))
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)
