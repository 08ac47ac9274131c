"""The Spark data source `evtx`: Windows event log files as a raw frame."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from procnet.readers.batches import arrow_batches, in_shares
from procnet.readers.discover import find_files
from procnet.readers.formats import SUFFIXES, read_records
from procnet.readers.record import MAX_RECORD, RAW_SCHEMA


class EvtxDataSource(DataSource):
    """`spark.read.format("evtx").load(PATH)` reads files, folders and globs as RAW_SCHEMA; no file is split.

    Options: `path`, or `paths` with one path a line; `first` limits the records of each file, `maxRecord`
    the characters of a record.
    """

    @classmethod
    def name(cls) -> str:
        """Returns the format's name."""
        return "evtx"

    def schema(self) -> str:
        """Returns RAW_SCHEMA, as for all raw frames of files."""
        return RAW_SCHEMA

    def reader(self, schema: Any) -> DataSourceReader:
        """Returns a reader of the paths in the options."""
        paths = self.options.get("paths") or self.options.get("path") or ""
        first = self.options.get("first")
        max_record = int(self.options.get("maxRecord") or MAX_RECORD)
        return _Reader([p for p in paths.split("\n") if p], int(first) if first else None, max_record)


class _Reader(DataSourceReader):
    def __init__(self, paths: list[str], first: int | None, max_record: int) -> None:
        self.paths, self.first, self.max_record = paths, first, max_record

    def partitions(self) -> list[InputPartition]:
        return [InputPartition(share) for share in in_shares(find_files(self.paths, SUFFIXES["evtx"]))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        for file in partition.value:
            yield from arrow_batches(islice(read_records(file, "evtx", self.max_record), self.first))
