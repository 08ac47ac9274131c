"""Files and tables -> raw frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.errors import DataError
from procnet.readers.batches import arrow_batches, in_shares
from procnet.readers.formats import read_records
from procnet.readers.record import RAW_SCHEMA

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


def read_files(spark: SparkSession, files: Sequence[str], kind: str = "json", first: int | None = None) -> DataFrame:
    """The records of files as a raw frame; `kind` is a key of records.SUFFIXES. Lazy: files are opened by the tasks.

    `first`: no more than so many records of each file.
    """
    if kind == "evtx":
        from procnet.readers.evtx_source import EvtxDataSource

        spark.dataSource.register(EvtxDataSource)
        reader = spark.read.format("evtx").option("paths", "\n".join(files))
        return (reader if first is None else reader.option("first", str(first))).load()
    shares = in_shares(files)
    return spark.range(0, len(shares), 1, len(shares)).mapInArrow(_reader(shares, kind, first), RAW_SCHEMA)


def _reader(
    shares: list[list[str]], kind: str, first: int | None
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for share in batch.column(0).to_pylist():
                for file in shares[share]:
                    yield from arrow_batches(islice(read_records(file, kind), first))

    return read


def read_table(spark: SparkSession, name: str, table_format: str | None = None) -> DataFrame:
    """A table by catalog name, or a folder of Delta, Parquet or of `table_format`; `file` is added: the name.

    DataError if it is not there.
    """
    try:
        if "/" not in name and not os.path.exists(name):
            frame = spark.table(name)
        elif table_format is not None:
            frame = spark.read.format(table_format).load(name)
        elif os.path.isdir(os.path.join(name, "_delta_log")):
            frame = spark.read.format("delta").load(name)
        else:
            frame = spark.read.parquet(name)
        frame = frame.withColumn("file", F.lit(name))
        _ = frame.schema  # Spark Connect looks for the table no sooner
    except AnalysisException as e:
        raise DataError(
            f"no table {name}: looked for a catalog table, a Delta folder and Parquet files ({e.getCondition()})",
            hint="give catalog.schema.table, or the folder of a Delta or Parquet table",
        ) from None
    return frame
