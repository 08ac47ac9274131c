"""Lists the parts of a period that need a run, and why, from the ledger alone: no event is read."""

from __future__ import annotations

from datetime import datetime

from procnet.engine.events import versions_of
from procnet.lake.coverage import Gap, gaps
from procnet.lake.ledger import run_attempts
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import last_complete
from procnet.runs.retention import evaluable, first_evaluable
from procnet.runs.selection import Selection, run_fingerprints


def gaps_of(lake: Lake, selection: Selection, period: Window | None, now: datetime) -> list[Gap]:
    """Returns the gaps of a period; None means from the first window that ever ran to the last complete one.

    A change of a detection or exclusion makes a gap of every earlier run. What retention has deleted cannot run again,
    and is no gap. A table without Delta versions never counts as rewound.
    """
    attempts = run_attempts(lake)
    if period is None:
        last = last_complete(now, lake.settings)
        first = min((a.window.start for a in attempts), default=last.start)
        period = Window(min(first, last.start), last.end)
    parts = evaluable([period], first_evaluable(lake, selection))
    if not parts:
        return []
    versions = {t: v for t, v in versions_of(lake).items() if v is not None}
    return gaps(parts[0], attempts, run_fingerprints(selection, lake.settings), versions)
