"""Runs many windows, one after the other or some at once. A window that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeAlias

from procnet.errors import WindowFailed
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import WindowReport, detect
from procnet.runs.selection import Selection

# How a window ended; None: it was skipped, since an earlier run has done it.
Outcome: TypeAlias = WindowReport | WindowFailed | None
# Called once a window: windows done so far, of how many, the window, its outcome.
WindowProgress: TypeAlias = Callable[[int, int, Window, Outcome], None]


def no_progress(done: int, total: int, window: Window, outcome: Outcome) -> None:
    """The `WindowProgress` that does nothing."""


def progress_counter(total: int, progress: WindowProgress) -> Callable[[Window, Outcome], None]:
    """Returns a callback that counts the windows it is called with, and passes the count on to `progress`."""
    done = 0

    def count(window: Window, outcome: Outcome) -> None:
        nonlocal done
        done += 1
        progress(done, total, window, outcome)

    return count


def detect_windows(
    lake: Lake,
    selection: Selection,
    windows: Sequence[Window],
    *,
    kind: str,
    on_outcome: Callable[[Window, Outcome], None],
    parallel: int = 1,
) -> tuple[list[WindowReport], list[WindowFailed]]:
    """Runs the windows and returns their reports, and the errors of those that failed, both in order of time.

    `kind` is that of the ledger's rows. `on_outcome` is called in the caller's thread as each window ends. `parallel`
    windows run at once, in threads of one Spark session. Raises any error that is not a WindowFailed at once.
    """

    def run(window: Window) -> WindowReport | WindowFailed:
        try:
            return detect(lake, selection, window, kind=kind)
        except WindowFailed as e:
            return e

    outcomes: dict[Window, WindowReport | WindowFailed] = {}
    for window, outcome in _as_completed(run, windows, parallel):
        outcomes[window] = outcome
        on_outcome(window, outcome)
    ordered = [outcomes[w] for w in sorted(outcomes, key=lambda w: w.start)]
    return [o for o in ordered if isinstance(o, WindowReport)], [o for o in ordered if isinstance(o, WindowFailed)]


def _as_completed(
    run: Callable[[Window], WindowReport | WindowFailed], windows: Sequence[Window], parallel: int
) -> Iterator[tuple[Window, WindowReport | WindowFailed]]:
    """Yields windows with their outcomes as they end. An error of `run` cancels the windows that have not started."""
    if parallel == 1:  # in the caller's own thread, as a notebook expects
        yield from ((w, run(w)) for w in windows)
        return
    with ThreadPoolExecutor(parallel, "procnet-window") as pool:
        submitted = {pool.submit(run, w): w for w in windows}
        try:
            yield from ((submitted[future], future.result()) for future in as_completed(submitted))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
