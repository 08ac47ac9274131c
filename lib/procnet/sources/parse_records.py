"""Parses a raw frame into the columns that a mapping's expressions refer to, with the place of each record."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.readers.record import RAW_SCHEMA
from procnet.sources.mapping import FILE, HOST_OPTION, SourceMapping
from procnet.sources.schema_drift import conformed
from procnet.spark.sql import column as quoted

CORRUPT = "corrupt"  # whether the text could not be parsed as the source's record
PLACE = ("line", "raw", "problem")


def parse_records(raw: DataFrame, source: SourceMapping, host: str | None, keep: Sequence[str] = ()) -> DataFrame:
    """Returns the columns that expressions may use, beside `file`, PLACE, CORRUPT and `keep` (raw columns, unchanged).

    Expressions use the declared columns of a table, or `record`, the parsed text; both for a source of tables whose
    records are texts. The name of `host` in expressions is `asked_host`.
    """
    is_text = source.reader != "table" or {"raw", "problem"} <= {c.lower() for c in raw.columns}
    # Null of no type where no host is given: schema_drift.missing_columns then reports a missing host.
    host_option = F.lit(host).alias(HOST_OPTION)
    return _parsed_texts(raw, source, host_option, keep) if is_text else _table_rows(raw, source, host_option, keep)


def _table_rows(raw: DataFrame, source: SourceMapping, host_option: Column, keep: Sequence[str]) -> DataFrame:
    """Returns the declared columns of a table; `raw`, the text of a record, is the row as JSON."""
    actual = {f.name.lower(): f for f in raw.schema}
    columns = [conformed(f, actual.get(f.name.lower())) for f in struct_of(f"{source.table}, {FILE} string")]
    place = {
        "raw": F.to_json(F.struct(*(F.col(quoted(c)) for c in raw.columns))),
        "line": F.lit(None).cast("bigint"),
        "problem": F.lit(None).cast("string"),
    }
    return raw.select(
        *columns, *keep, host_option, *(c.alias(n) for n, c in place.items()), F.lit(False).alias(CORRUPT)
    )


def _parsed_texts(raw: DataFrame, source: SourceMapping, host_option: Column, keep: Sequence[str]) -> DataFrame:
    """Returns `record`, parsed from the text in `raw`; for a source of tables also its fields as columns."""
    names = {c.lower() for c in raw.columns}
    place = struct_of(RAW_SCHEMA)
    columns = [F.col(f.name) if f.name in names else F.lit(None).cast(f.dataType).alias(f.name) for f in place]
    ddl = source.record or source.table or ""
    kind = T.DataType.fromDDL(ddl)
    frame = raw.select(*columns, *keep, host_option, _parsed(source, ddl, kind).alias("record"))
    broken = F.col("record").isNull()
    if isinstance(kind, T.StructType):
        broken = broken | F.col(f"record.{CORRUPT}").isNotNull()
    if source.reader == "table":
        fields = [F.col("record")[f.name].alias(f.name) for f in struct_of(ddl) if f.name != FILE]
        frame = frame.select(*(f.name for f in place), *keep, HOST_OPTION, "record", *fields)
    return frame.withColumn(CORRUPT, broken)


def _parsed(source: SourceMapping, ddl: str, kind: T.DataType) -> Column:
    schema: T.StructType | str = ddl
    if isinstance(kind, T.StructType):
        schema = T.StructType([*kind, T.StructField(CORRUPT, T.StringType())])
    options = {"columnNameOfCorruptRecord": CORRUPT}
    if source.reader == "xml":  # blanks at the end of a command line are evidence
        return F.from_xml("raw", schema, {**options, "ignoreSurroundingSpaces": "false"})
    return F.from_json("raw", schema, options)


def with_given(frame: DataFrame, source: SourceMapping) -> DataFrame:
    """Adds the columns that `given` of the source and of its shared file defines to a frame of `parse_records`."""
    for name, text in source.all_given.items():
        frame = frame.withColumn(name, F.expr(text))
    return frame


def struct_of(ddl: str) -> T.StructType:
    """Returns the columns of a DDL text."""
    kind = T.DataType.fromDDL(ddl)
    assert isinstance(kind, T.StructType)
    return kind
