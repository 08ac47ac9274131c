"""Rows that the driver holds: as a frame again, and as what a scan is told to read of a table."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.spark.sql import among, one_of

BY_VALUE = 20_000  # so many rows are told to a scan by value, more by a join
_LISTED = 200  # so many values reach the pages of a file (session.py), more only tell rows apart


def driver_frame(spark: SparkSession, table: pa.Table, schema: T.StructType) -> DataFrame:
    """Rows of the driver as a frame of one partition, so that nothing is exchanged to sort or group them: of exactly
    the schema's columns, null where the table has none."""
    there = [n for n in table.column_names if n in schema.names]
    frame = spark.createDataFrame(table.select(there), T.StructType([schema[n] for n in there])).coalesce(1)
    return frame.selectExpr(
        *[f.name if f.name in there else f"CAST(NULL AS {f.dataType.simpleString()}) AS {f.name}" for f in schema]
    )


def read_full_rows(rows: DataFrame, some: pa.Table, *told_by: str) -> DataFrame:
    """Those of the rows that are among some, by a hash of the columns `told_by` and their time: times alone are shared,
    13,228 connections of an hour by more than 100,000. Another that comes too does no harm: what could match is among
    some, and all is judged again.
    """
    known = sorted({*[c for c in told_by if c in some.column_names], "event_time"})
    hashed = f"xxhash64({', '.join(known)})"
    schema = T.StructType([rows.schema[n] for n in known])
    wanted = rows.sparkSession.createDataFrame(some.select(known), schema).selectExpr(f"{hashed} AS wanted")
    rows = rows.where(_first_asked(some))
    if some.num_rows <= BY_VALUE:  # by value, so that nothing must be sent before the scan
        return rows.where(one_of(hashed, sorted(set(wanted.toArrow()["wanted"].to_pylist()))))
    return rows.join(F.broadcast(wanted), on=F.expr(f"{hashed} = wanted"), how="left_semi")


def _first_asked(some: pa.Table) -> str:
    """What is asked before a row is hashed, and reaches the pages of a file: names, ports and ids; and of the names
    that few hosts have these hosts too. Files are sorted by both, so of a name that every host has, such as a
    browser's, not all is read for one finding."""
    hosts: dict[str | None, set[str | None]] = defaultdict(set)
    for name, host in zip(some["process_name"].to_pylist(), some["host"].to_pylist(), strict=True):
        hosts[name].add(host)
    rare, on = list[str | None](), set[str | None]()
    for name in sorted(hosts, key=lambda n: len(hosts[n])):
        # Each name is asked of all these hosts: one more must not cost more of them than it may save.
        more = on | hosts[name]
        if len(more) * (len(rare) + 1) - len(on) * len(rare) <= _LISTED:
            rare, on = [*rare, name], more
    is_rare = pa.array([name in rare for name in some["process_name"].to_pylist()], pa.bool_())
    return f"({_told(some.filter(pc.invert(is_rare)))}) OR ({_told(some.filter(is_rare), 'host')})"


def _told(some: pa.Table, *more: str) -> str:
    told_by = [c for c in ("process_name", "dest_port", "process_id", *more) if c in some.column_names]
    return " AND ".join(among(c, some[c].to_pylist()) for c in told_by)
