"""Reads files and tables as raw frames.

Files are read by Python workers that stream them, whole files per task. One pass gives line numbers, archives, arrays,
byte order marks and all rows before the cut of a damaged gzip; Spark's own text and JSON readers give none of these.
Tables are scanned in place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.errors import DataError
from procnet.readers.batches import arrow_batches, in_shares
from procnet.readers.evtx_source import EvtxDataSource
from procnet.readers.formats import read_records
from procnet.readers.record import MAX_RECORD, RAW_SCHEMA


def read_files(
    spark: SparkSession,
    files: Sequence[str],
    file_format: str = "json",
    first: int | None = None,
    max_record: int = MAX_RECORD,
) -> DataFrame:
    """Returns the records of files as a raw frame (RAW_SCHEMA). Lazy: the tasks open the files.

    `file_format` is a key of formats.SUFFIXES. `first` limits the records of each file, `max_record` the
    characters of a record (see formats.read_records).
    """
    if file_format == "evtx":
        spark.dataSource.register(EvtxDataSource)
        reader = spark.read.format("evtx").option("paths", "\n".join(files)).option("maxRecord", str(max_record))
        return (reader if first is None else reader.option("first", str(first))).load()
    shares = in_shares(files)
    batches = _batch_reader(shares, file_format, first, max_record)
    return spark.range(0, len(shares), 1, len(shares)).mapInArrow(batches, RAW_SCHEMA)


def _batch_reader(
    shares: list[list[str]], file_format: str, first: int | None, max_record: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Returns a function from batches of share numbers to batches of the records in the files of those shares."""

    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for share in batch.column(0).to_pylist():
                for file in shares[share]:
                    yield from arrow_batches(islice(read_records(file, file_format, max_record), first))

    return read


def read_table(spark: SparkSession, name: str, table_format: str | None = None) -> DataFrame:
    """Returns a table with its name as the added column `file`.

    `name` is a catalog name, or a folder of Delta, of Parquet or of `table_format`. DataError if there is none.
    """
    try:
        if "/" not in name and not os.path.exists(name):
            frame = spark.table(name)
        elif table_format is not None:
            frame = spark.read.format(table_format).load(name)
        else:
            frame = _read_folder(spark, name)
        frame = frame.withColumn("file", F.lit(name))
        _ = frame.schema  # Spark Connect resolves the table only now
    except AnalysisException as e:
        raise DataError(
            f"no table {name}: looked for a catalog table, a Delta folder and Parquet files ({e.getCondition()})",
            hint="give catalog.schema.table, or the folder of a Delta or Parquet table",
        ) from None
    return frame


# Spark's conditions for a place that has no Delta table: nothing is there or it is a glob, and other files are there.
_NO_DELTA_TABLE = {
    "PATH_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "DELTA_PATH_DOES_NOT_EXIST", "DELTA_MISSING_DELTA_TABLE"
}  # fmt: skip


def _read_folder(spark: SparkSession, path: str) -> DataFrame:
    """Returns the Delta table in a folder, or the rows of its Parquet files where there is no Delta table.

    Delta decides, by the session's file systems: the folder may be in an object store, or on the server of Spark
    Connect. Parquet's reader would return a Delta table's deleted rows too, and compacted rows twice.
    """
    try:
        frame = spark.read.format("delta").load(path)
        _ = frame.schema
    except AnalysisException as e:
        if e.getCondition() not in _NO_DELTA_TABLE:
            raise
        return spark.read.parquet(path)
    return frame
