"""What one run of the window's benchmark measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """What was measured, on which machine and how many rows; `ratios` of medians, null where not measured."""

    day: str
    machine: str
    size: dict[str, Any]
    rows: dict[str, int]
    findings: int
    rounds: int
    seconds: dict[str, dict[str, float]]
    ratios: dict[str, float | None]
    not_measured: dict[str, str]
    growth: dict[int, float]
