"""Reads a table as its mapping declares it: columns and fields that it lacks are null, additional ones are ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.errors import DataError
from procnet.sources import mapping
from procnet.sources.mapping import FILE, HOST_OPTION, EventMapping, SourceMapping
from procnet.spark import sql

# All columns that some kind of event requires.
REQUIRED = tuple(dict.fromkeys(column for columns in mapping.REQUIRED.values() for column in columns))


def conformed(declared: T.StructField, actual: T.StructField | None) -> Column:
    """Returns the declared column of a table, so that every declared field can be selected; null if it is missing.

    A scalar keeps the table's own type, because cleaning depends on it. Structs are rebuilt by field; Spark's optimizer
    prunes them, so only the selected fields are read.
    """
    if actual is None:
        # A missing scalar is null of no type (void), by which `missing_columns` recognizes it.
        nested = isinstance(declared.dataType, T.StructType | T.ArrayType | T.MapType)
        return (_null(declared.dataType) if nested else F.lit(None)).alias(declared.name)
    return _conformed_value(F.col(sql.column(actual.name)), actual.dataType, declared.dataType).alias(declared.name)


def _conformed_value(value: Column, actual: T.DataType, declared: T.DataType) -> Column:
    if isinstance(declared, T.StructType):
        if isinstance(actual, T.StructType):
            return _conformed_struct(value, actual, declared)
        # JSON in a text column: exports flatten nested columns to that.
        return F.from_json(value, declared) if isinstance(actual, T.StringType) else _null(declared)
    if isinstance(declared, T.ArrayType) and isinstance(actual, T.ArrayType):
        if isinstance(declared.elementType, T.StructType) and isinstance(actual.elementType, T.StructType):
            inner, outer = actual.elementType, declared.elementType
            return F.transform(value, lambda x: _conformed_struct(x, inner, outer))
        return value
    if isinstance(declared, T.MapType | T.ArrayType) and actual.typeName() != declared.typeName():
        return F.from_json(value, declared.simpleString()) if isinstance(actual, T.StringType) else _null(declared)
    return value


def _conformed_struct(value: Column, actual: T.StructType, declared: T.StructType) -> Column:
    by_name = {f.name.lower(): f for f in actual}
    fields = []
    for field in declared:
        found = by_name.get(field.name.lower())
        column = (
            _null(field.dataType)
            if found is None
            else _conformed_value(value.getField(found.name), found.dataType, field.dataType)
        )
        fields.append(column.alias(field.name))
    return F.when(value.isNotNull(), F.struct(*fields))


def _null(kind: T.DataType) -> Column:
    return F.lit(None).cast(kind)


def missing_columns(
    events: Iterable[EventMapping], raw_values: Mapping[str, Iterable[str]], types: Mapping[str, T.DataType]
) -> list[str]:
    """Returns the required columns that a table lacks, of the events that lack fewest; none if one event lacks none.

    It lacks a column for which it has none of the raw values. `raw_values` are the names of each canonical column's raw
    values, `types` their types.
    """
    absent = [c for c in REQUIRED if all(isinstance(types[name], T.NullType) for name in raw_values[c])]
    of_events = [[c for c in mapping.REQUIRED[e.kind] if c in absent] for e in events]
    fewest = [columns for columns in of_events if len(columns) == min(map(len, of_events))]
    return [c for c in absent if any(c in columns for columns in fewest)]


def missing_columns_error(raw: DataFrame, source: SourceMapping, columns: Sequence[str]) -> DataError:
    """Returns the error that names every expression the mapping looked for, and the columns that the table has."""
    problems = []
    for column in columns:
        events = [e for e in source.all_events.values() if column in mapping.REQUIRED[e.kind]]
        if texts := [x for e in events for x in source.columns_of(e)[column] if x != HOST_OPTION]:
            problems.append(f"no column for {column}: looked for {', '.join(dict.fromkeys(texts))}")
    found = ", ".join(c for c in raw.columns if c != FILE)
    return DataError(
        "\n".join([*problems, f"the table has {found}"]),
        hint=f"map them: like: {source.name}, with columns of your own; --host NAME gives all rows a host",
    )
