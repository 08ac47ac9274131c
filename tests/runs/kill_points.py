"""A command of procnet that is killed at a point of its work: `python killed.py POINT LAKE COMMAND ...`.

The whole process group dies by SIGKILL, Python and the JVM, as when a machine goes: nobody cleans up. A process that
gets past its point ends with exit code 9.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# name -> what stands there: a function of a module, before or after its n-th call; or a table, see `_watch`.
POINTS: dict[str, tuple[str, str, str, int]] = {
    "ingest: one table of three is written": ("procnet.runs.ingest", "_add", "after", 1),
    "ingest: all is written, no ledger row": ("procnet.runs.ingest", "record", "before", 1),
    "detect: candidates are known": ("procnet.runs.detect", "evaluate", "after", 1),
    "detect: files are written, no commit": ("findings", "written", "", 0),
    "detect: findings are committed, no ledger row": ("procnet.runs.detect", "replace_findings", "after", 1),
    "detect: the ledger row is written": ("procnet.runs.detect", "record", "after", 1),
    "backfill: before the third chunk": ("procnet.runs.windows", "detect", "before", 3),
    "backfill: two chunks at once, one is committed": ("procnet.runs.detect", "replace_findings", "after", 1),
    "catch-up: late rows are known": ("procnet.runs.catch_up", "affected_windows", "after", 1),
    "catch-up: one window of two is run": ("procnet.runs.windows", "detect", "before", 2),
    "catch-up: all windows are run, no look recorded": ("procnet.runs.catch_up", "record", "before", 1),
    "maintain: some rows are deleted": ("procnet.lake.maintain", "delete_before", "after", 1),
    "maintain: files are put together, no commit": ("network_events", "written", "", 0),
    "maintain: some old files are deleted": ("findings", "deleted", "", 0),
    "maintain: all is kept, no ledger row": ("procnet.runs.maintain", "record", "before", 1),
}


def die() -> None:
    os.killpg(0, signal.SIGKILL)


def _wrap(module: str, name: str, when: str, nth: int) -> None:
    of, calls, lock = importlib.import_module(module), 0, threading.Lock()
    whole: Callable[..., Any] = getattr(of, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        told = None if when == "before" else whole(*args, **kwargs)
        with lock:  # a call that raised, as on a conflict, is none
            calls += 1
            if calls == nth:
                die()
        return whole(*args, **kwargs) if when == "before" else told

    setattr(of, name, wrapped)


def _watch(table: Path, what: str) -> None:
    """Die as soon as the table has a data file more than its log tells of (`written`), or one file less (`deleted`)."""

    def files() -> set[str]:
        return {str(p) for p in table.rglob("*.parquet") if "_delta_log" not in p.parts}

    def commits() -> int:
        return len(list((table / "_delta_log").glob("*.json")))

    def look() -> None:
        known, at = files(), commits()
        while True:
            now = files()
            if what == "deleted" and known - now:
                die()
            if what == "written" and now - known and commits() == at:
                die()
            known, at = (now | known if what == "written" else now), commits()
            time.sleep(0.001)

    threading.Thread(target=look, daemon=True).start()


if __name__ == "__main__":
    point, lake, *words = sys.argv[1:]
    where, name, when, nth = POINTS[point]
    from procnet.cli.main import main

    if nth:
        _wrap(where, name, when, nth)
    else:
        _watch(Path(lake) / where, name)
    main(words)
    sys.exit(9)
