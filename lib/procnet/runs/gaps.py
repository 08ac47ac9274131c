"""What of a period needs a run, and why: the ledger's account of it, without a look at any event."""

from __future__ import annotations

from datetime import datetime

from procnet.lake.coverage import Gap, gaps
from procnet.lake.ledger import attempts
from procnet.lake.tables import Lake
from procnet.runs.chosen import Chosen
from procnet.runs.detect import last_complete
from procnet.runs.events import versions_of
from procnet.runs.exclusions import ran_as
from procnet.runs.kept import first_possible, possible
from procnet.types import Window


def gaps_of(lake: Lake, chosen: Chosen, period: Window | None, now: datetime) -> list[Gap]:
    """Gaps of a period; None means from the first window that ever ran to the last complete one.

    A detection or exclusion that was edited since makes a gap of all that ran before. A table without versions is never
    told to be rewound.
    """
    ran = attempts(lake)
    last = last_complete(now, lake.settings)
    if period is None:
        first = min((a.window.start for a in ran), default=last.start)
        period = Window(min(first, last.start), last.end)
    parts = possible([period], first_possible(lake, chosen.detections))  # what cannot be run again is no gap
    if not parts:
        return []
    versions = {t: v for t, v in versions_of(lake).items() if v is not None}
    return gaps(parts[0], ran, ran_as(chosen.detections, chosen.exclusions, lake.settings), versions)
