"""The Spark data source `evtx`: Windows event log files as a raw frame."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition

from procnet.readers.formats import SUFFIXES, read_records
from procnet.readers.record import RAW_SCHEMA

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


class EvtxDataSource(DataSource):
    """`spark.read.format("evtx").load(PATH)`: files, folders and globs; a file is in one partition; RAW_SCHEMA."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return "evtx"

    def schema(self) -> str:
        """That of all raw frames of files."""
        return RAW_SCHEMA

    def reader(self, schema: Any) -> DataSourceReader:
        """The reader of `path` or of `paths`, one a line; of each file `first` records at most, where it is given."""
        asked = self.options.get("paths") or self.options.get("path") or ""
        first = self.options.get("first")
        return _Reader([p for p in asked.split("\n") if p], int(first) if first else None)


class _Reader(DataSourceReader):
    def __init__(self, paths: list[str], first: int | None) -> None:
        self.paths, self.first = paths, first

    def partitions(self) -> list[InputPartition]:
        from procnet.readers.batches import in_shares
        from procnet.readers.discover import find_files

        return [InputPartition(share) for share in in_shares(find_files(self.paths, SUFFIXES["evtx"]))]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        from procnet.readers.batches import arrow_batches

        for file in partition.value:
            yield from arrow_batches(islice(read_records(file, "evtx"), self.first))
