"""Turns a mapping's expressions into Spark columns: one CASE over the events for each alternative of a column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from procnet.sources.mapping import COLUMNS, EventMapping, SourceMapping

EVENT = "_event"  # the number of a row's event among the events of the mapping; null: the row is another event

# Canonical column -> name of each of its raw values -> expression; the first alternative comes first.
RawValues = dict[str, dict[str, Column]]


def event_number(events: Iterable[EventMapping]) -> Column:
    """Returns the number of the first event whose `when` is true: the CASE of every column compares this number."""
    return case_when((F.expr(e.when), F.lit(i)) for i, e in enumerate(events))


def raw_values(source: SourceMapping, events: Sequence[EventMapping], *, all_rows_match: bool = False) -> RawValues:
    """Returns the raw values of every canonical column, each as one CASE over EVENT, the event's number in `events`.

    One CASE for all events puts each cleaning function into the plan once, and not once an event. `all_rows_match`:
    every row is one of the events; an expression that all events share is then no CASE.
    """
    by_event = [source.columns_of(event) for event in events]
    values: RawValues = {}
    for column in COLUMNS:
        most = max(len(columns.get(column, ())) for columns in by_event)
        values[column] = {}
        for i in range(most):
            events_of: dict[str, list[int]] = {}
            for number, columns in enumerate(by_event):
                if i < len(columns.get(column, ())):
                    events_of.setdefault(columns[column][i], []).append(number)
            shared = all_rows_match and [len(numbers) for numbers in events_of.values()] == [len(events)]
            values[column][f"{column}_{i}"] = (
                F.expr(next(iter(events_of)))
                if shared
                else case_when((F.col(EVENT).isin(numbers), F.expr(text)) for text, numbers in events_of.items())
            )
    return values


def case_when(branches: Iterable[tuple[Column, Column]]) -> Column:
    """Returns CASE over (condition, value) pairs; null where no condition is true."""
    pairs = list(branches)
    case = F.when(*pairs[0])
    for condition, value in pairs[1:]:
        case = case.when(condition, value)
    return case
