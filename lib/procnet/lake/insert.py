"""Adds the rows that a table lacks. Comparison and append are one commit, so no concurrent writer's row is repeated."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import date

from pyspark.sql import DataFrame

from procnet.contract import TABLES
from procnet.lake.retry import retry_on_conflict
from procnet.lake.tables import Lake
from procnet.spark.sql import column, literal


def insert_missing(
    lake: Lake, table: str, rows: DataFrame, *, dates: Collection[date] | None = None, not_compared: Iterable[str] = ()
) -> int:
    """Adds the `rows` that the table lacks, each once, and returns their number.

    In: `rows` with the contract's columns. Equal are rows with equal values, nulls included, in all columns but
    `not_compared`; of `rows` themselves in all columns. Only the partitions of `dates` are compared, which must be
    those of all rows; None means the whole table.

    The commit conflicts with any that added rows to these partitions since the comparison, and all is compared again,
    as often as `retry_on_conflict` says. Other writers' plain appends never fail for it. (Where a table's isolation is
    WriteSerializable, they are no conflict either, and are not compared if they come during the comparison.)
    """
    lake.read(table)  # DataError if the table lacks a column
    # All rows of one run have one ingest_time, so `distinct` is right; `dropDuplicates` would sort all columns.
    with _view(rows.select(*TABLES[table][0].names).distinct()) as view:
        merge = _merge_sql(lake.ref(table), table, view, dates, frozenset(not_compared))
        (counts,) = retry_on_conflict(lambda _: lake.spark.sql(merge).collect())
    return int(counts["num_inserted_rows"])


def _merge_sql(ref: str, table: str, view: str, dates: Collection[date] | None, not_compared: Collection[str]) -> str:
    """MERGE of a view with the contract's columns, by rules that only insert."""
    types = {f.name: f.dataType.simpleString() for f in TABLES[table][0]}
    compared = [n for n in types if n not in not_compared]
    new = [column(n, "new") for n in compared]
    stored = [f"CAST({column(n, 'stored')} AS {types[n]})" for n in compared]  # a table may have smaller integers
    # Structs are equal where their fields are, nulls included, which columns are not. The join is by the hash: one
    # number, where the struct would be forty columns to sort.
    is_same = f"xxhash64({', '.join(new)}) = xxhash64({', '.join(stored)}) AND {_struct(new, compared)} = "
    is_same += _struct(stored, compared)
    if dates is not None:
        is_same += f" AND {column('event_date', 'stored')} IN ({', '.join(map(literal, sorted(dates)))})"
    columns, values = ", ".join(map(column, types)), ", ".join(column(n, "new") for n in types)
    return (
        f"MERGE INTO {ref} AS stored USING {column(view)} AS new ON {is_same} "
        f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
    )


def _struct(values: Iterable[str], names: Iterable[str]) -> str:
    return f"struct({', '.join(f'{v} AS {column(n)}' for v, n in zip(values, names, strict=True))})"


@contextmanager
def _view(frame: DataFrame) -> Iterator[str]:
    """Registers a frame as a temporary view, and removes it; yields its name."""
    name = f"procnet_rows_{uuid.uuid4().hex}"
    frame.createTempView(name)
    try:
        yield name
    finally:
        frame.sparkSession.catalog.dropTempView(name)
