"""What of a period needs a run, and why: the ledger's account of it, without a look at any event."""

from __future__ import annotations

from datetime import datetime

from procnet.engine.events import versions_of
from procnet.lake.coverage import Gap, gaps
from procnet.lake.ledger import run_attempts
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import last_complete
from procnet.runs.exclusions import run_fingerprints
from procnet.runs.retention import evaluable, first_evaluable
from procnet.runs.selection import Selection


def gaps_of(lake: Lake, chosen: Selection, period: Window | None, now: datetime) -> list[Gap]:
    """Gaps of a period; None means from the first window that ever ran to the last complete one.

    A detection or exclusion that was edited since makes a gap of all that ran before. A table without versions is never
    told to be rewound.
    """
    ran = run_attempts(lake)
    last = last_complete(now, lake.settings)
    if period is None:
        first = min((a.window.start for a in ran), default=last.start)
        period = Window(min(first, last.start), last.end)
    parts = evaluable([period], first_evaluable(lake, chosen.detections))  # what cannot be run again is no gap
    if not parts:
        return []
    versions = {t: v for t, v in versions_of(lake).items() if v is not None}
    return gaps(parts[0], ran, run_fingerprints(chosen.detections, chosen.exclusions, lake.settings), versions)
