"""Lists the parts of a period that need a run, and why, from the ledger and the commits of findings; reads no event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from procnet.lake.coverage import Reason, coverage
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import last_complete
from procnet.runs.known_runs import known_runs
from procnet.runs.retention import evaluable, first_evaluable
from procnet.runs.selection import Selection, run_fingerprints


@dataclass(frozen=True)
class Gap:
    """A part of a period that needs a run, and why."""

    window: Window
    why: Reason


def gaps_of(lake: Lake, selection: Selection, period: Window | None, now: datetime) -> list[Gap]:
    """Returns the gaps of a period; None means from the first window that ever ran to the last complete one.

    A change of a detection or exclusion makes a gap of every earlier run. What retention has deleted cannot run again,
    and is no gap. A table without Delta versions never counts as rewound.
    """
    known = known_runs(lake)
    if period is None:
        last = last_complete(now, lake.settings)
        first = min((a.window.start for a in known.attempts), default=last.start)
        period = Window(min(first, last.start), last.end)
    gaps: list[Gap] = []
    for evaluable_period in evaluable([period], first_evaluable(lake, selection), lake.settings.events.period):
        for part in coverage(evaluable_period, known.attempts, run_fingerprints(selection, lake.settings), known.now):
            if part.reason is None:
                continue
            window = part.window
            if gaps and (gaps[-1].window.end, gaps[-1].why) == (window.start, part.reason):
                window = Window(gaps.pop().window.start, window.end)
            gaps.append(Gap(window, part.reason))
    return gaps
