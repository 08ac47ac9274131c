"""Rows that the driver holds: as a frame again, and as what a scan is told to read of a table."""

from __future__ import annotations

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.predicates.sql import among

TOLD = 10_000  # so many rows are told to a scan by value, more by a join


def local(spark: SparkSession, table: pa.Table, schema: T.StructType) -> DataFrame:
    """Rows of the driver as a frame of one partition, so that nothing is exchanged to sort or group them: of exactly
    the schema's columns, null where the table has none."""
    there = [n for n in table.column_names if n in schema.names]
    frame = spark.createDataFrame(table.select(there), T.StructType([schema[n] for n in there])).coalesce(1)
    return frame.selectExpr(
        *[f.name if f.name in there else f"CAST(NULL AS {f.dataType.simpleString()}) AS {f.name}" for f in schema]
    )


def read_again(rows: DataFrame, some: pa.Table, *told_by: str) -> DataFrame:
    """Those of the rows that are among some, by the columns `told_by` and their time. That others may come too, which
    agree in each, does no harm: what could match is among some, and all is judged again.

    A few are told by value, so that nothing must be sent before the scan, and of the rest only ids are looked at.
    """
    known = [c for c in told_by if c in some.column_names]
    rows = rows.where(" AND ".join(among(c, some[c].to_pylist()) for c in known))
    if some.num_rows <= TOLD:
        return rows.where(among("unix_micros(event_time)", some["event_time"].cast("int64").to_pylist()))
    known = sorted({*known, "event_time"})
    hashed = f"xxhash64({', '.join(known)})"
    schema = T.StructType([rows.schema[n] for n in known])
    wanted = rows.sparkSession.createDataFrame(some.select(known), schema).selectExpr(f"{hashed} AS wanted")
    return rows.join(F.broadcast(wanted), on=F.expr(f"{hashed} = wanted"), how="left_semi")
