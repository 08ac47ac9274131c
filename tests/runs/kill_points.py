"""Runs a command of procnet and kills it at a point: `python kill_points.py POINT LAKE COMMAND ...`.

The whole process group dies by SIGKILL, Python and the JVM, as when a machine fails: nothing is cleaned up. A process
that never reaches its point ends with exit code 9.
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

# point -> (module, function, before or after, number of its call), or (table, written or deleted, "", 0): see _watch.
POINTS: dict[str, tuple[str, str, str, int]] = {
    "ingest: one table of three is written": ("procnet.runs.ingest", "_add", "after", 1),
    "ingest: all is written, no ledger row": ("procnet.runs.recorder", "append_runs", "before", 1),
    "detect: candidates are known": ("procnet.runs.detect", "evaluate", "after", 1),
    "detect: files are written, no commit": ("findings", "written", "", 0),
    "detect: findings are committed, no ledger row": ("procnet.runs.detect", "replace_findings", "after", 1),
    "detect: the state is saved, no ledger row": ("procnet.runs.detect", "save_state", "after", 1),
    "detect: the ledger row is written": ("procnet.runs.recorder", "append_runs", "after", 1),
    "backfill: before the third chunk": ("procnet.runs.windows", "detect", "before", 3),
    "backfill: two chunks at once, one is committed": ("procnet.runs.detect", "replace_findings", "after", 1),
    "catch-up: late rows are known": ("procnet.runs.catch_up", "affected_windows", "after", 1),
    "catch-up: one window of two is run": ("procnet.runs.windows", "detect", "before", 2),
    "catch-up: all windows are run, no check recorded": ("procnet.runs.recorder", "append_runs", "before", 3),
    "maintain: some rows are deleted": ("procnet.lake.table_upkeep", "delete_before", "after", 1),
    "maintain: files are merged, no commit": ("network_events", "written", "", 0),
    "maintain: some old files are deleted": ("findings", "deleted", "", 0),
    "maintain: all is done, no ledger row": ("procnet.runs.recorder", "append_runs", "before", 1),
}


def die() -> None:
    os.killpg(0, signal.SIGKILL)


def _wrap(module: str, name: str, when: str, nth: int) -> None:
    """Replaces a function of a module by one that dies before or after its n-th call."""
    target, calls, lock = importlib.import_module(module), 0, threading.Lock()
    original: Callable[..., Any] = getattr(target, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        result = None if when == "before" else original(*args, **kwargs)
        with lock:  # a call that raised, as on a conflict, does not count
            calls += 1
            if calls == nth:
                die()
        return original(*args, **kwargs) if when == "before" else result

    setattr(target, name, wrapped)


def _watch(table: Path, what: str) -> None:
    """Dies as soon as the table has a data file that no commit has (`written`), or has lost a file (`deleted`)."""

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
