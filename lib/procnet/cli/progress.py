"""Progress of a command over many windows, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from procnet.cli.output import print_message, short_duration
from procnet.periods import Window
from procnet.runs.detect import WindowReport
from procnet.runs.windows import Outcome, WindowProgress


@contextmanager
def show_progress(command: str, *, quiet: bool) -> Iterator[WindowProgress]:
    """Yields the `WindowProgress` callback of a command.

    In a terminal it draws a bar with the time left, elsewhere it prints one line per window; nothing if `quiet`.
    """
    in_terminal = sys.stderr.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), disable=quiet or not in_terminal)
    task, started, skipped = bar.add_task(command, total=None), time.monotonic(), 0

    def report(done: int, total: int, window: Window, outcome: Outcome) -> None:
        nonlocal skipped
        skipped += outcome is None
        bar.update(task, completed=done - skipped, total=total - skipped)
        if quiet or in_terminal:
            return
        if outcome is None:
            print_message(f"{done}/{total} {window}: done already")
            return
        result = f"{outcome.counts['findings']} findings" if isinstance(outcome, WindowReport) else "failed"
        left = timedelta(seconds=(time.monotonic() - started) / (done - skipped) * (total - done))
        print_message(f"{done}/{total} {window}: {result}{f'; {short_duration(left)} left' if done < total else ''}")

    with bar:
        yield report
