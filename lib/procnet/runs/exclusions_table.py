"""Reads the table of exclusions that `exclusions.table` of the settings names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from procnet.errors import DataError
from procnet.readers.frames import read_table

_COLUMNS = ("id", "detections", "reason", "owner", "valid_from", "valid_until", "findings")
_OPTIONAL_COLUMNS = ("dest_name_by",)


def read_exclusions_table(spark: SparkSession, table: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Returns each row as (place for error messages, entry of an exclusion file).

    Columns: `id`, `detections` (array; null means all), `reason`, `owner`, `valid_from` and `valid_until` (UTC), and
    `findings`, the predicate as YAML text; optionally `dest_name_by` (array; null means the default). Raises DataError
    where the table or a column is missing.
    """
    frame = read_table(spark, table).drop("file")
    if missing := [c for c in _COLUMNS if c not in frame.columns]:
        raise DataError(
            f"exclusions.table {table} lacks {', '.join(missing)}; it has {', '.join(frame.columns)}",
            hint="page exclusions of the documentation has its CREATE TABLE",
        )
    entries: list[tuple[str, Mapping[str, Any]]] = []
    columns = [*_COLUMNS, *(c for c in _OPTIONAL_COLUMNS if c in frame.columns)]
    for row in frame.select(*columns).toArrow().to_pylist():
        times = {c: row[c].isoformat() for c in ("valid_from", "valid_until") if row[c] is not None}
        scope = {"detections": tuple(row["detections"] or ()) or "all"}
        entries.append((f"{table}: {row['id']}", {**row, **times, **scope}))
    return entries
