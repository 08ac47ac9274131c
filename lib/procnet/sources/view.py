"""A raw table as canonical events, in place: a lazy frame through which predicates still reach the files.

What normalize.py gives for a lake that takes the rows in, this gives for one that leaves them where they are. It reads
only what its table asks for: rows of other events are left out first, and a column that all of its events fill alike is
that expression and no CASE. So where the raw column has the canonical type (a timestamp, an integer) or is said to hold
the canonical spelling (`as_is`), it passes through as it stands, and Spark pushes predicates on it into the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial, reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import TABLES
from procnet.sources.columns import TYPED, as_read, cleaned, completed, known, stripped
from procnet.sources.mapping import COLUMNS, SourceMapping
from procnet.sources.normalize import alternatives, case
from procnet.sources.parse_records import records_of, with_given
from procnet.sources.schema_drift import lacking


def canonical_view(
    raw: DataFrame,
    source: SourceMapping,
    table: str,
    *,
    name: str | None = None,
    host: str | None = None,
    short_hosts: bool = False,
    clock_ahead: timedelta = timedelta(0),
    keep: Sequence[str] = (),
) -> DataFrame | None:
    """`contract.PROCESS_EVENTS` or `NETWORK_EVENTS`, as `table` says, of a raw frame; None where it can hold none.

    `name` is what the rows call their source (default: the mapping's). `host` is taken where a record names none,
    `short_hosts` cuts domains off, `clock_ahead` is how far the sensors' clocks run ahead: it is taken off event_time.
    Nothing is put aside here: a row without time or host stays and joins nothing. ingest_time is null. `keep` are raw
    columns that come along, as the change data feed's are.
    """
    schema, _ = TABLES[table]
    events = [e for e in source.all_events.values() if (e.kind == "network") == (table == "network_events")]
    if not events:
        return None
    frame = with_given(records_of(raw, source, host, keep), source)
    number = case((F.expr(e.when), F.lit(i)) for i, e in enumerate(events))
    parsed = "record" in frame.columns
    if not parsed:  # where columns are asked, `when` may reach the files too
        frame = frame.where(reduce(or_, [F.expr(e.when) for e in events]))
    frame = frame.withColumn("_event", number)
    asked = alternatives(source, events, whole=True)
    # What is written in the canonical spelling is not cleaned; only its first expression counts.
    plain = {c: next(iter(values.values())) for c, values in asked.items() if c in source.as_is and values}
    rest = {c: several for c, several in asked.items() if c not in plain}
    values = [v.alias(n) for several in rest.values() for n, v in several.items()]
    day = [F.expr(source.event_date).alias("_date")] if source.event_date else []
    event = _once(F.col("_event")) if parsed else F.col("_event")
    frame = frame.select(event.alias("_event"), *day, *(v.alias(c) for c, v in plain.items()), *values, *keep)
    frame = frame.where(F.col("_event").isNotNull())
    kinds = {f.name: f.dataType for f in frame.schema}
    if lacking({c: [c] if c in plain else list(rest[c]) for c in asked}, kinds):
        return None
    typed = {f.name: f.dataType for f in schema}
    done = {c: F.col(c) for c in plain} | {c: _cleaned(c, list(several), kinds) for c, several in rest.items()}
    columns = {c: done[c].cast(typed[c]) for c in typed if c in done}
    if clock_ahead:
        columns["event_time"] = columns["event_time"] - F.lit(clock_ahead)
    first = frame.select("_event", *(["_date"] if day else []), *(v.alias(c) for c, v in columns.items()), *keep)
    return _finished(
        first, schema, plain=set(plain), events=[e.kind for e in events], name=name or source.name, short=short_hosts,
        keep=keep,
    )  # fmt: skip


def _cleaned(column: str, names: list[str], kinds: dict[str, T.DataType]) -> Column:
    """A column's clean-up in which each raw value stands once.

    Spark writes a filter on a column out in the column's own expressions; steps that name their argument several times,
    one on top of the other, made filters that no optimizer came to the end of.
    """
    values = []
    for n in names:
        kind = kinds[n]
        if isinstance(kind, T.NullType):  # a column that the table has not got
            continue
        value = as_read(column, F.col(n), kind)
        if isinstance(kind, T.StringType) or column not in TYPED:
            value = _in_one(_in_one(value, partial(stripped, column)), partial(known, column))
            values.append(_in_one(value, lambda v: cleaned(column, [(v, T.StringType())])))
        else:
            values.append(cleaned(column, [(value, kind)]))
    return F.coalesce(*values) if values else F.lit(None)


def _in_one(value: Column, step: Callable[[Column], Column]) -> Column:
    return F.get(F.transform(F.array(value), step), F.lit(0))


def _once(value: Column) -> Column:
    """A value that Spark computes where it stands: what is parsed is parsed once a row, not once a filter above it."""
    return F.when(F.rand() < 2, value)


def _finished(
    frame: DataFrame,
    schema: T.StructType,
    *,
    plain: set[str],
    events: list[str],
    name: str,
    short: bool,
    keep: Sequence[str],
) -> DataFrame:
    there = {c: F.col(c) for c in schema.names if c in frame.columns}
    of_all = {c: there.get(c, F.lit(None).cast("string")) for c in COLUMNS}
    columns = {c: v for c, v in completed(of_all, _in_one).items() if c in there}
    columns |= {c: there[c] for c in plain if c in there}
    if short:
        columns["host"] = F.substring_index("host", ".", 1)
    columns["event_date"] = F.col("_date").cast("date") if "_date" in frame.columns else F.to_date("event_time")
    columns["source"] = F.lit(name)
    kinds = [F.lit(k) for k in events]
    if "event_kind" in schema.names:
        columns["event_kind"] = kinds[0] if len(set(events)) == 1 else F.get(F.array(*kinds), F.col("_event"))
    rest = {f.name: F.lit(None) for f in schema if f.name not in columns}
    return frame.select(*({**columns, **rest}[f.name].cast(f.dataType).alias(f.name) for f in schema), *keep)
