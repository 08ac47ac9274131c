"""Many windows, one after the other: one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from pyspark.sql import SparkSession

from procnet.errors import WindowFailed
from procnet.runs.chosen import Chosen
from procnet.runs.detect import Report, detect
from procnet.settings import Settings
from procnet.types import Window

# Hears of every window: how many are done, of how many, which, and its report: None where it was skipped or failed.
Tell: TypeAlias = Callable[[int, int, Window, Report | None], None]


def tell_nobody(done: int, of: int, window: Window, report: Report | None) -> None:
    """The `Tell` of a caller that does not look on."""


def detect_each(
    spark: SparkSession,
    settings: Settings,
    windows: Sequence[Window],
    chosen: Chosen,
    *,
    kind: str,
    tell: Tell,
    skip: Collection[Window] = (),
) -> tuple[list[Report], list[WindowFailed]]:
    """Reports of the windows that ran, in order, and the errors of those that failed; `skip` are not run."""
    reports: list[Report] = []
    failed: list[WindowFailed] = []
    for i, window in enumerate(windows, start=1):
        report = None
        if window not in skip:
            try:
                report = detect(
                    spark, settings, window, chosen.detections, exclusions=chosen.exclusions, broken=chosen.broken,
                    kind=kind,
                )  # fmt: skip
                reports.append(report)
            except WindowFailed as e:
                failed.append(e)
        tell(i, len(windows), window, report)
    return reports, failed
