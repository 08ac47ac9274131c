"""Presents a raw table as canonical events in place: a lazy frame whose predicates still reach the table's files.

normalize.py serves a lake that stores the events; this module serves one that reads them where they are. The view reads
only its own table's columns: rows of other events are filtered out first, and an expression that all events share is
no CASE. So a raw column that has the canonical type (a timestamp, an integer) or is declared to have the canonical
spelling (`as_is`) passes through unchanged, and Spark pushes predicates on it into the scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial, reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import TABLES
from procnet.sources.alternatives import EVENT, RawValues, event_number, raw_values
from procnet.sources.columns import TYPED, Step, as_read, cleaned, known, stripped, with_derived
from procnet.sources.mapping import COLUMNS, EventMapping, SourceMapping
from procnet.sources.parse_records import parse_records, with_given
from procnet.sources.schema_drift import missing_columns
from procnet.spark.filters import in_change_feed
from procnet.vocabulary import ADDRESS_LIKE


@dataclass(frozen=True)
class InPlace:
    """How a raw table is presented.

    name: value of `source` (default: the mapping's name).
    host: host of records that name none.
    short_hosts: host names are cut at the first dot.
    clock_ahead: how far the sensors' clocks are ahead; it is subtracted from event_time.
    keep: raw columns that are added unchanged, such as those of the change data feed.
    """

    name: str | None = None
    host: str | None = None
    short_hosts: bool = False
    clock_ahead: timedelta = timedelta(0)
    keep: Sequence[str] = ()


_DEFAULT = InPlace()


def canonical_view(raw: DataFrame, source: SourceMapping, table: str, options: InPlace = _DEFAULT) -> DataFrame | None:
    """Returns a raw frame as the canonical `table`, such as `contract.PROCESS_EVENTS`, with `options.keep` added.

    None if the source maps no such events, or the raw frame has no column for what they require (mapping.REQUIRED). No
    row is quarantined: one without a time or a host stays, and joins nothing. ingest_time is null.
    """
    schema, _ = TABLES[table]
    options = replace(options, name=options.name or source.name)
    events = [e for e in source.all_events.values() if e.table == table]
    if not events:
        return None
    values = raw_values(source, events, all_rows_match=True)
    # A column in `as_is` is not cleaned, and only its first alternative is used.
    unchanged = {c: next(iter(several.values())) for c, several in values.items() if c in source.as_is and several}
    to_clean = {c: several for c, several in values.items() if c not in unchanged}
    rows = _event_rows(raw, source, events, options)
    frame = _raw_value_columns(rows, source, unchanged, to_clean, options.keep)
    types = {f.name: f.dataType for f in frame.schema}
    if missing_columns(events, {c: [c] if c in unchanged else list(to_clean[c]) for c in values}, types):
        return None
    canonical = {c: F.col(c) for c in unchanged}
    canonical |= {c: _cleaned(c, list(several), types) for c, several in to_clean.items()}
    columns = {f.name: canonical[f.name].cast(f.dataType) for f in schema if f.name in canonical}
    if options.clock_ahead:
        frame = frame.where(in_change_feed(columns["event_time"]))  # the corrected time reaches no feed
        columns["event_time"] = _apply_once(columns["event_time"], partial(_earlier_by, options.clock_ahead))
    date = ["_date"] if source.event_date else []
    frame = frame.select(EVENT, *date, *(v.alias(c) for c, v in columns.items()), *options.keep)
    return _conformed(frame, schema, events, set(unchanged), options)


def _event_rows(raw: DataFrame, source: SourceMapping, events: Sequence[EventMapping], options: InPlace) -> DataFrame:
    """Returns the columns that the mapping's expressions may use, and EVENT; for a table only the rows of `events`."""
    frame = with_given(parse_records(raw, source, options.host, options.keep), source)
    if not _is_parsed(frame):  # conditions on columns may reach the files too
        frame = frame.where(reduce(or_, [F.expr(e.when) for e in events]))
    return frame.withColumn(EVENT, event_number(events))


def _raw_value_columns(
    rows: DataFrame, source: SourceMapping, unchanged: dict[str, Column], to_clean: RawValues, keep: Sequence[str]
) -> DataFrame:
    """Returns EVENT, `_date` if the source has one, the unchanged columns, and each raw value to clean by its name."""
    event = _computed_once(F.col(EVENT)) if _is_parsed(rows) else F.col(EVENT)
    date = [F.expr(source.event_date).alias("_date")] if source.event_date else []
    values = [v.alias(n) for several in to_clean.values() for n, v in several.items()]
    frame = rows.select(event.alias(EVENT), *date, *(v.alias(c) for c, v in unchanged.items()), *values, *keep)
    return frame.where(F.col(EVENT).isNotNull())


def _is_parsed(frame: DataFrame) -> bool:
    """Returns whether the rows were parsed from texts."""
    return "record" in frame.columns


def _cleaned(column: str, names: list[str], types: dict[str, T.DataType]) -> Column:
    """Returns the canonical value of a column, written so that each raw value occurs once in the expression.

    Spark replaces a filter on a column by a filter on its expression. Nested steps that name their argument several
    times made filters on which the optimizer did not finish.
    """
    values = []
    for name in names:
        kind = types[name]
        if isinstance(kind, T.NullType):  # the table has no such column
            continue
        value = as_read(column, F.col(name), kind)
        if isinstance(kind, T.StringType) or column not in TYPED:
            value = _apply_once(_apply_once(value, partial(stripped, column)), partial(known, column))
            values.append(_apply_once(value, lambda v: cleaned(column, [(v, T.StringType())])))
        else:
            values.append(cleaned(column, [(value, kind)]))
    return F.coalesce(*values) if values else F.lit(None)


def _apply_once(value: Column, step: Step) -> Column:
    """Returns `step(value)` as a lambda over an array of one element: `value` occurs once, however often it is used."""
    return F.get(F.transform(F.array(value), step), F.lit(0))


def _earlier_by(length: timedelta, time: Column) -> Column:
    """Returns the time less the length; one so near the ends of Spark's timestamps that it has none stays as it is."""
    return F.coalesce(F.try_subtract(time, F.lit(length)), time)


def _first_label(host: Column) -> Column:
    """Returns the host name up to its first dot; an address, by which a network sensor names a client, as it is."""
    return F.when(host.rlike(ADDRESS_LIKE), host).otherwise(F.substring_index(host, ".", 1))


def _computed_once(value: Column) -> Column:
    """Returns the value in a nondeterministic expression, which Spark does not copy into the filters above it.

    The record of a row is then parsed once, and not again for each filter.
    """
    return F.when(F.rand() < 2, value)


def _conformed(
    frame: DataFrame, schema: T.StructType, events: Sequence[EventMapping], unchanged: set[str], options: InPlace
) -> DataFrame:
    """Returns the columns of `schema` and `options.keep`: derived columns and stamps are set, missing ones are null."""
    found = {c: F.col(c) for c in schema.names if c in frame.columns}
    all_columns = {c: found.get(c, F.lit(None).cast("string")) for c in COLUMNS}
    columns = {c: v for c, v in with_derived(all_columns, _apply_once).items() if c in found}
    columns |= {c: found[c] for c in unchanged if c in found}
    if options.short_hosts and "host" in columns:
        columns["host"] = _apply_once(columns["host"], _first_label)
    columns["event_date"] = F.col("_date").cast("date") if "_date" in frame.columns else F.to_date("event_time")
    columns["source"] = F.lit(options.name)
    if "event_kind" in schema.names:
        kinds = [F.lit(e.kind) for e in events]
        same = len({e.kind for e in events}) == 1
        columns["event_kind"] = kinds[0] if same else F.get(F.array(*kinds), F.col(EVENT))
    missing = {f.name: F.lit(None) for f in schema if f.name not in columns}
    return frame.select(*({**columns, **missing}[f.name].cast(f.dataType).alias(f.name) for f in schema), *options.keep)
