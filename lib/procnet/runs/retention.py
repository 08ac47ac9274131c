"""Records which events `maintain` has deleted, and refuses windows that would need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from functools import partial

from procnet.contract import REQUIRED_EVENT_TABLES
from procnet.errors import UsageError
from procnet.findings.related import PARENT_AGE
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.selection import Selection
from procnet.spark.concurrent import run_concurrently

# Beginning of a table property that ends with the first UTC date whose events are all there. A date has a property of
# its own, so that of two writers at once neither takes back what the other has recorded. An older procnet has written
# one without a date in its name, whose value is the date.
_FIRST_DAY = "procnet.keptFrom"
_DAY = timedelta(days=1)


def record_deletion(lake: Lake, table: str, day: date) -> None:
    """Records the table's first complete day, before earlier rows are deleted.

    The day never moves back: a longer retention does not bring back what a shorter one has deleted.
    """
    properties = lake.properties(table)
    recorded = first_day(properties)
    if recorded is None or recorded < day:
        lake.set_properties(table, {f"{_FIRST_DAY}.{day.isoformat()}": "true"})
        lake.unset_properties(table, [key for key in properties if key.startswith(_FIRST_DAY)])


def first_evaluable(lake: Lake, selection: Selection) -> datetime | None:
    """Returns the start of the first window whose connections and their processes' events are all there; None where
    retention has deleted no event yet.

    The tables decide, not the settings: events stay deleted where a configuration has no retention any more. Names and
    flows expire with the connections, on the same day.
    """
    recorded = run_concurrently(lake.spark, *(partial(_first_day, lake, t) for t in REQUIRED_EVENT_TABLES))
    days = [day for day in recorded if day is not None]
    if not days:
        return None
    first = datetime.combine(max(days), datetime.min.time(), timezone.utc)
    return first + selection.longest_lookback + PARENT_AGE + _DAY  # a day: longer than all tolerances


def first_day(properties: Mapping[str, str]) -> date | None:
    """Returns the first date whose events are all there, by the properties of a table; None: no event was deleted."""
    days = [v if k == _FIRST_DAY else k.rpartition(".")[2] for k, v in properties.items() if k.startswith(_FIRST_DAY)]
    return max(map(date.fromisoformat, days), default=None)


def _first_day(lake: Lake, table: str) -> date | None:
    return first_day(lake.properties(table)) if lake.exists(table) else None


def refuse_deleted_period(lake: Lake, selection: Selection, window: Window) -> None:
    """Raises UsageError where the window starts before `first_evaluable`: its run would remove findings whose events
    are deleted."""
    first = first_evaluable(lake, selection)
    if first is not None and window.start < first:
        raise UsageError(
            f"window {window} needs events that maintain has deleted (maintenance.keep_events): a run would take "
            "away the findings that it has",
            hint=f"the first window that can be run starts at {first.isoformat()}",
        )


def evaluable(windows: Sequence[Window], first: datetime | None, accepted: Window) -> list[Window]:
    """Returns the parts of the windows from `first` on (all where it is None), inside the accepted range of times."""
    start = accepted.start if first is None else max(first, accepted.start)
    bounded = [(max(w.start, start), min(w.end, accepted.end)) for w in windows]
    return [Window(start, end) for start, end in bounded if start < end]
