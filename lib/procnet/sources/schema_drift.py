"""A table's columns as a mapping knows them: what it lacks is null, at any depth; what it has more is left alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.errors import DataError
from procnet.sources.mapping import ASKED_HOST, FILE, SourceMapping

REQUIRED = ("event_time", "host")


def conformed(wanted: T.StructField, there: T.StructField | None) -> Column:
    """The column that `wanted` names, so that every field of its type can be asked for; null where it is not there.

    A scalar keeps the table's own type, since the clean-up reads each type as what it is. Structs are rebuilt by
    field, which Spark's optimizer sees through: a field that is asked for is still the only one read.
    """
    if there is None:
        # Of no type, where fields are not asked for: so it is seen that the table has no such column (see view.py).
        nested = isinstance(wanted.dataType, T.StructType | T.ArrayType | T.MapType)
        return (F.lit(None).cast(wanted.dataType) if nested else F.lit(None)).alias(wanted.name)
    return _as(F.col(f"`{there.name}`"), there.dataType, wanted.dataType).alias(wanted.name)


def _as(value: Column, there: T.DataType, wanted: T.DataType) -> Column:
    if isinstance(wanted, T.StructType):
        if isinstance(there, T.StructType):
            return _struct(value, there, wanted)
        if isinstance(there, T.StringType):  # JSON in a text column, as exports flatten what is nested
            return F.from_json(value, wanted)
        return F.lit(None).cast(wanted)
    if isinstance(wanted, T.ArrayType) and isinstance(there, T.ArrayType):
        if isinstance(wanted.elementType, T.StructType) and isinstance(there.elementType, T.StructType):
            inner, outer = there.elementType, wanted.elementType
            return F.transform(value, lambda x: _struct(x, inner, outer))
        return value
    if isinstance(wanted, T.MapType | T.ArrayType) and there.typeName() != wanted.typeName():
        return (
            F.from_json(value, wanted.simpleString()) if isinstance(there, T.StringType) else F.lit(None).cast(wanted)
        )
    return value


def _struct(value: Column, there: T.StructType, wanted: T.StructType) -> Column:
    has = {f.name.lower(): f for f in there}
    fields = [
        _as(value.getField(has[f.name.lower()].name), has[f.name.lower()].dataType, f.dataType).alias(f.name)
        if f.name.lower() in has
        else F.lit(None).cast(f.dataType).alias(f.name)
        for f in wanted
    ]
    return F.when(value.isNotNull(), F.struct(*fields))


def lacking(asked: Mapping[str, Iterable[str]], kinds: Mapping[str, T.DataType]) -> list[str]:
    """What every event must have and a table has no column at all for.

    `asked` are the names of a canonical column's raw values, `kinds` their types.
    """
    return [c for c in REQUIRED if all(isinstance(kinds[name], T.NullType) for name in asked[c])]


def not_there(raw: DataFrame, source: SourceMapping, columns: Sequence[str]) -> DataError:
    """The error that says what was looked for, under every spelling, and what the table has."""
    problems = []
    for column in columns:
        told = [x for e in source.all_events.values() for x in source.columns_of(e)[column] if x != ASKED_HOST]
        problems.append(f"no column for {column}: looked for {', '.join(dict.fromkeys(told))}")
    there = ", ".join(c for c in raw.columns if c != FILE)
    return DataError(
        "\n".join([*problems, f"the table has {there}"]),
        hint=f"map them: like: {source.name}, with columns of your own; --host NAME gives all rows a host",
    )
