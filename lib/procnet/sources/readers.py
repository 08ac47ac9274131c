"""Paths -> raw frames. The only I/O of the sources: JSON files (see text.py), tables by name or folder.

A raw frame of files has RAW_SCHEMA: `file` and `line` say where a record was read, `raw` is its text, `problem` is null
or says why the file could not be read further. Files are read by Python workers, streaming, one task a file: that gives
line numbers, arrays, byte order marks and all rows before the cut of a damaged gzip in ONE pass, none of which Spark's
own text and JSON readers do. Tables are scanned in place.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.errors import DataError, UsageError
from procnet.sources.mapping import SourceMapping
from procnet.sources.text import Record, read_records

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

RAW_SCHEMA = "file string, line bigint, raw string, problem string"
SUFFIXES = (".json", ".jsonl", ".ndjson", ".log", ".txt")  # what is taken from a folder, also with .gz behind it

_BATCH_ROWS, _BATCH_CHARS = 8192, 4 << 20
_MAX_TASKS = 512


def read_raw(spark: SparkSession, source: SourceMapping, paths: Sequence[str | Path]) -> DataFrame:
    """The raw frame of a source: of files, folders and globs, or of tables. DataError for what is not there; lazy."""
    if not paths:
        raise UsageError(f"nothing to read for source {source.name}", hint="name files, folders, globs or tables")
    if source.reader == "table":
        frames = [read_table(spark, str(p)) for p in paths]
        whole = frames[0]
        for frame in frames[1:]:
            whole = whole.unionByName(frame, allowMissingColumns=True)
        return whole
    return read_files(spark, find_files(paths))


def find_files(paths: Iterable[str | Path]) -> list[str]:
    """Absolute paths of the files that `paths` mean, sorted, each once. A folder means its JSON files, at any depth."""
    found: set[str] = set()
    for given in map(str, paths):
        if "://" in given:
            raise DataError(
                f"{given} is no path of a file system",
                hint="mount it (on Databricks: /Volumes/...), or read it into a table and map that",
            )
        # A name may hold [ or * itself: what exists is meant as it stands.
        hits = [given] if os.path.exists(given) else glob.glob(given, recursive=True)
        files = [f for hit in hits for f in (_in_folder(Path(hit)) if os.path.isdir(hit) else [hit])]
        if not files:
            raise _nothing_there(given, hits)
        found.update(os.path.abspath(f) for f in files)
    return sorted(found)


def _in_folder(folder: Path) -> list[str]:
    return [
        str(f)
        for f in folder.rglob("*")
        if f.is_file() and f.name[0] not in "._" and f.name.lower().removesuffix(".gz").endswith(SUFFIXES)
    ]


def _nothing_there(given: str, hits: list[str]) -> DataError:
    wanted = f"files named *{', *'.join(SUFFIXES)} (or .gz of them)"
    if hits:
        names = sorted(p.name for hit in hits for p in Path(hit).iterdir())
        found = f"it holds {len(names)} entries: {', '.join(names[:5])}{', ...' if names[5:] else ''}" if names else ""
        return DataError(
            f"no records in folder {given}: looked for {wanted}; {found or 'it is empty'}",
            hint="name the files themselves if they are called otherwise",
        )
    parent = next(p for p in Path(given).absolute().parents if p.is_dir())
    near = sorted(p.name for p in parent.iterdir())[:5]
    return DataError(
        f"{given} does not exist; the nearest folder there is {parent} ({', '.join(near) or 'empty'})",
        hint="check the path; quote a glob so that it reaches procnet as it is",
    )


def read_files(spark: SparkSession, files: Sequence[str]) -> DataFrame:
    """The records of files as a raw frame. Lazy: files are opened by the tasks."""
    # Large files first, so that the last task to start is a short one.
    ordered = sorted(files, key=os.path.getsize, reverse=True)
    tasks = min(len(ordered), _MAX_TASKS)
    shares = [ordered[i::tasks] for i in range(tasks)]
    return spark.range(0, tasks, 1, tasks).mapInArrow(_reader(shares), RAW_SCHEMA)


def _reader(shares: list[list[str]]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for share in batch.column(0).to_pylist():
                for file in shares[share]:
                    yield from _arrow(file, read_records(file))

    return read


def _arrow(file: str, records: Iterator[Record]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    def batch(rows: list[Record]) -> pa.RecordBatch:
        lines, texts, problems = zip(*rows, strict=True)
        columns = [
            pa.array([file] * len(rows), pa.string()),
            pa.array(lines, pa.int64()),
            pa.array(texts, pa.string()),
            pa.array(problems, pa.string()),
        ]
        return pa.RecordBatch.from_arrays(columns, names=["file", "line", "raw", "problem"])

    rows: list[Record] = []
    chars = 0
    for record in records:
        rows.append(record)
        chars += len(record.text)
        if len(rows) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield batch(rows)
            rows, chars = [], 0
    if rows:
        yield batch(rows)


def read_table(spark: SparkSession, name: str) -> DataFrame:
    """A table by catalog name, or a folder of Delta or Parquet; `file` is added: the name. DataError if not there."""
    try:
        if "/" not in name and not os.path.exists(name):
            frame = spark.table(name)
        elif os.path.isdir(os.path.join(name, "_delta_log")):
            frame = spark.read.format("delta").load(name)
        else:
            frame = spark.read.parquet(name)
        return frame.withColumn("file", F.lit(name))
    except AnalysisException as e:
        raise DataError(
            f"no table {name}: looked for a catalog table, a Delta folder and Parquet files ({e.getCondition()})",
            hint="give catalog.schema.table, or the folder of a Delta or Parquet table",
        ) from None
