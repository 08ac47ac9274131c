"""What of the past can still be run: events deleted by `maintain` are not there for a window to be evaluated again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone

from procnet.detections.detection import Detection
from procnet.engine.events import OWN
from procnet.errors import UsageError
from procnet.findings.related import PARENT_AGE
from procnet.lake.tables import Lake
from procnet.periods import Window

_PROPERTY = "procnet.keptFrom"
_DAY = timedelta(days=1)


def record_deletion(lake: Lake, table: str, day: date) -> None:
    """Say that the table has no events of earlier days, before they are deleted. What a shorter retention has deleted
    before does not come back with a longer one: the later day stays."""
    told = lake.properties(table).get(_PROPERTY, "")
    lake.set_properties(table, {_PROPERTY: max(told, day.isoformat())})


def first_evaluable(lake: Lake, detections: Sequence[Detection]) -> datetime | None:
    """The start of the first window that may be evaluated: its connections are there, and all that could be asked of
    their processes. None: no event was ever deleted by retention."""
    if lake.settings.maintenance.keep_events is None:
        return None
    told = [lake.properties(t).get(_PROPERTY) for t in OWN if lake.exists(t)]
    days = [date.fromisoformat(t) for t in told if t is not None]
    if not days:
        return None
    longest = max((d.lookback for d in detections), default=timedelta(0))
    first = datetime.combine(max(days), datetime.min.time(), timezone.utc)
    return first + longest + PARENT_AGE + _DAY  # a day: more than all tolerances


def refuse_deleted_period(lake: Lake, detections: Sequence[Detection], window: Window) -> None:
    """UsageError where the window is earlier than that: a run would take away what was found while the events were
    there."""
    first = first_evaluable(lake, detections)
    if first is not None and window.start < first:
        raise UsageError(
            f"window {window} asks for events that maintain has deleted (maintenance.keep_events): a run of it would "
            "take away the findings that it had",
            hint=f"the first window that can be run starts at {first.isoformat()}",
        )


def evaluable(windows: Sequence[Window], first: datetime | None) -> list[Window]:
    """The parts of windows that may be run."""
    if first is None:
        return list(windows)
    return [Window(max(w.start, first), w.end) for w in windows if w.end > first]
