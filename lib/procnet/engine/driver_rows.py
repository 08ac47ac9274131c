"""Rows that the driver has collected: as a frame again, and as a condition that finds their full rows in a table."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.spark.sql import among, one_of

BY_VALUE = 20_000  # up to so many rows are found by a list of values, more by a join
_PAGE_FILTER_VALUES = 200  # so many values of an IN list are pushed down to pages (spark/session.py)


def driver_frame(spark: SparkSession, table: pa.Table, schema: T.StructType) -> DataFrame:
    """Collected rows as a frame of one partition, so that nothing is exchanged to sort or group them: exactly the
    schema's columns, null where the table has none."""
    names = [n for n in table.column_names if n in schema.names]
    frame = spark.createDataFrame(table.select(names), T.StructType([schema[n] for n in names])).coalesce(1)
    return frame.selectExpr(
        *[f.name if f.name in names else f"CAST(NULL AS {f.dataType.simpleString()}) AS {f.name}" for f in schema]
    )


def read_full_rows(rows: DataFrame, collected: pa.Table, *key_columns: str) -> DataFrame:
    """The rows of a frame that are among the collected ones, with all columns.

    They are found by a hash of `key_columns` and their time: times are not unique, 13,228 connections of an hour shared
    theirs with more than 100,000. A row that is found by accident does no harm: what could match is among the collected
    rows, and all rows are judged again.
    """
    names = sorted({*[c for c in key_columns if c in collected.column_names], "event_time"})
    hashed = f"xxhash64({', '.join(names)})"
    schema = T.StructType([rows.schema[n] for n in names])
    keys = rows.sparkSession.createDataFrame(collected.select(names), schema).selectExpr(f"{hashed} AS key_hash")
    rows = rows.where(_page_filter(collected))
    if collected.num_rows <= BY_VALUE:  # by value: then nothing must be broadcast before the scan
        return rows.where(one_of(hashed, sorted(set(keys.toArrow()["key_hash"].to_pylist()))))
    return rows.join(F.broadcast(keys), on=F.expr(f"{hashed} = key_hash"), how="left_semi")


def _page_filter(collected: pa.Table) -> str:
    """The condition that is pushed down to the pages of a file, before rows are hashed: names, ports and ids; for names
    that few hosts have, these hosts too. Files are sorted by both, so a name that every host has, such as a browser's,
    is not read on all hosts for one finding."""
    hosts: dict[str | None, set[str | None]] = defaultdict(set)
    for name, host in zip(collected["process_name"].to_pylist(), collected["host"].to_pylist(), strict=True):
        hosts[name].add(host)
    rare_names, rare_hosts = list[str | None](), set[str | None]()
    for name in sorted(hosts, key=lambda n: len(hosts[n])):
        # Every rare name is looked for on all rare hosts: one more name must not add more pairs than it may save.
        with_name = rare_hosts | hosts[name]
        if len(with_name) * (len(rare_names) + 1) - len(rare_hosts) * len(rare_names) <= _PAGE_FILTER_VALUES:
            rare_names, rare_hosts = [*rare_names, name], with_name
    is_rare = pa.array([name in rare_names for name in collected["process_name"].to_pylist()], pa.bool_())
    common, rare = collected.filter(pc.invert(is_rare)), collected.filter(is_rare)
    return f"({_values_of(common)}) OR ({_values_of(rare, 'host')})"


def _values_of(collected: pa.Table, *more: str) -> str:
    columns = [c for c in ("process_name", "dest_port", "process_id", *more) if c in collected.column_names]
    return " AND ".join(among(c, collected[c].to_pylist()) for c in columns)
