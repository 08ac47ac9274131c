"""Many windows, one after the other or some at once: one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeAlias

from pyspark.sql import SparkSession

from procnet.errors import WindowFailed
from procnet.periods import Window
from procnet.runs.detect import WindowReport, detect
from procnet.runs.selection import Selection
from procnet.settings import Settings

# What became of a window; None: it was done already.
Outcome: TypeAlias = WindowReport | WindowFailed | None
# Hears of every window: how many are done, of how many, which, and its outcome.
WindowProgress: TypeAlias = Callable[[int, int, Window, Outcome], None]


def no_progress(done: int, of: int, window: Window, outcome: Outcome) -> None:
    """The `WindowProgress` of a caller that does not look on."""


def detect_windows(
    spark: SparkSession,
    settings: Settings,
    windows: Sequence[Window],
    chosen: Selection,
    *,
    kind: str,
    tell: WindowProgress,
    skip: Collection[Window] = (),
    parallel: int = 1,
) -> tuple[list[WindowReport], list[WindowFailed]]:
    """Reports of the windows that ran, in order of time, and the errors of those that failed; `skip` are not run, and
    told first. `parallel` windows run at once, in threads of one session."""

    def run(window: Window) -> Outcome:
        try:
            return detect(
                spark, settings, window, chosen.detections, exclusions=chosen.exclusions, broken=chosen.broken,
                kind=kind,
            )  # fmt: skip
        except WindowFailed as e:
            return e

    skipped = [w for w in windows if w in skip]
    for i, window in enumerate(skipped, start=1):
        tell(i, len(windows), window, None)
    outcomes: dict[Window, Outcome] = {}
    for window, outcome in _ended(run, [w for w in windows if w not in skip], parallel):
        outcomes[window] = outcome
        tell(len(skipped) + len(outcomes), len(windows), window, outcome)
    ordered = [outcomes[w] for w in sorted(outcomes, key=lambda w: w.start)]
    return [o for o in ordered if isinstance(o, WindowReport)], [o for o in ordered if isinstance(o, WindowFailed)]


def _ended(
    run: Callable[[Window], Outcome], windows: Sequence[Window], parallel: int
) -> Iterator[tuple[Window, Outcome]]:
    """Windows with their outcomes, as they end. An error that is no window's stops what has not begun."""
    if parallel == 1:  # in the caller's own thread, as a notebook expects
        yield from ((w, run(w)) for w in windows)
        return
    with ThreadPoolExecutor(parallel, "procnet-window") as pool:
        asked = {pool.submit(run, w): w for w in windows}
        try:
            yield from ((asked[ended], ended.result()) for ended in as_completed(asked))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
