"""A table's columns as a mapping knows them: what it lacks is null, at any depth; what it has more is left alone."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T


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
