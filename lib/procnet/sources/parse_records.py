"""A raw frame as the mapping's expressions see it: its columns or its parsed record, and where each record was read."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.readers.record import RAW_SCHEMA
from procnet.sources.mapping import ASKED_HOST, FILE, SourceMapping
from procnet.sources.schema_drift import conformed

CORRUPT = "corrupt"
PLACE = ("line", "raw", "problem")


def records_of(raw: DataFrame, source: SourceMapping, host: str | None, keep: Sequence[str] = ()) -> DataFrame:
    """The raw frame as the mapping's expressions see it, and beside it place, text and what is wrong with a record;
    `keep` are raw columns that stay as they are."""
    there = {f.name.lower(): f for f in raw.schema}
    parsed = source.reader != "table" or {"raw", "problem"} <= set(there)
    place = struct_of(RAW_SCHEMA)
    asked_host = F.lit(host).alias(ASKED_HOST)  # of no type where nobody asked: see drift.lacking
    if not parsed:
        columns = [conformed(f, there.get(f.name.lower())) for f in struct_of(f"{source.table}, {FILE} string")]
        none = F.lit(None).cast("string")
        extra = {"raw": F.to_json(F.struct(*raw.columns)), "line": none.cast("bigint"), "problem": none}
        return raw.select(
            *columns, *keep, asked_host, *(c.alias(n) for n, c in extra.items()), F.lit(False).alias(CORRUPT)
        )
    columns = [F.col(f.name) if f.name in there else F.lit(None).cast(f.dataType).alias(f.name) for f in place]
    ddl = source.record or source.table or ""
    kind = T.DataType.fromDDL(ddl)
    schema: T.StructType | str = ddl
    if isinstance(kind, T.StructType):
        schema = T.StructType([*kind, T.StructField(CORRUPT, T.StringType())])
    corrupt = {"columnNameOfCorruptRecord": CORRUPT}
    if source.reader == "xml":  # blanks at the end of a command line are evidence
        record = F.from_xml("raw", schema, {**corrupt, "ignoreSurroundingSpaces": "false"})
    else:
        record = F.from_json("raw", schema, corrupt)
    frame = raw.select(*columns, *keep, asked_host, record.alias("record"))
    broken = F.col("record").isNull()
    if isinstance(kind, T.StructType):
        broken = broken | F.col(f"record.{CORRUPT}").isNotNull()
    if source.reader == "table":  # its expressions name columns: the fields of a record in a file
        fields = [F.col("record")[f.name].alias(f.name) for f in struct_of(ddl) if f.name != FILE]
        frame = frame.select(*(f.name for f in place), *keep, ASKED_HOST, "record", *fields)
    return frame.withColumn(CORRUPT, broken)


def with_given(frame: DataFrame, source: SourceMapping) -> DataFrame:
    """The frame of `records_of` with what `given` names, of the source and then of its shared file."""
    for name, text in {**source.given, **source.shared.given}.items():
        frame = frame.withColumn(name, F.expr(text))
    return frame


def struct_of(ddl: str) -> T.StructType:
    """The columns that a DDL text names."""
    kind = T.DataType.fromDDL(ddl)
    assert isinstance(kind, T.StructType)
    return kind
