"""Paths -> raw frames. The only I/O of the sources: files (see records.py), tables by name or folder.

A raw frame of files has RAW_SCHEMA: `file` and `line` say where a record was read, `raw` is its text, `problem` is null
or says why the file could not be read further. Files are read by Python workers, streaming, whole files a task: that
gives line numbers, archives, arrays, byte order marks and all rows before the cut of a damaged gzip in ONE pass, none
of which Spark's own text and JSON readers do. Tables are scanned in place.
"""

from __future__ import annotations

import glob
import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.errors import DataError, UsageError
from procnet.sources.files import has_suffix
from procnet.sources.mapping import SourceMapping
from procnet.sources.records import RAW_SCHEMA, SUFFIXES, Record, read_records

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

ARCHIVES = (".zip", ".tar", ".tgz")  # taken from a folder too, whatever the format

_BATCH_ROWS, _BATCH_CHARS = 8192, 4 << 20
# Every task is sent the whole plan, wide as it is, and a young JVM takes 0.2 to 0.3 s to read it (stacks sampled over
# many small files: more than the reading). So tasks are made by size and not by file. Packed text grows tenfold.
_TASK_BYTES, _MIN_TASKS, _MAX_TASKS = 16 << 20, 8, 512
_PACKED, _UNPACKED = (".gz", ".zip", ".tgz"), 10


def read_raw(
    spark: SparkSession,
    source: SourceMapping,
    paths: Sequence[str | Path],
    *,
    table_format: str | None = None,
    sample: int | None = None,
) -> DataFrame:
    """The raw frame of a source: of files, folders and globs, or of tables. DataError for what is not there; lazy.

    A source of tables reads files too: JSON, or CSV by the file's name. `table_format` is Spark's name of the tables'
    format where it is neither Delta nor Parquet, such as iceberg. `sample`: no more records than that, from every file
    alike, since the first of a folder may hold nothing that matters.
    """
    if not paths:
        raise UsageError(f"nothing to read for source {source.name}", hint="name files, folders, globs or tables")
    files, tables = sort_out(source, paths)
    if files and tables:
        raise UsageError(f"{tables[0]} is a table and {files[0]} a file", hint="name them in two calls")
    if files:
        first = None if sample is None else max(1, sample // len(files))
        frame = read_files(spark, files, kind_of(source, files), first)
        return frame if sample is None else frame.limit(sample)
    frames = [read_table(spark, t, table_format) for t in tables]
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.unionByName(frame, allowMissingColumns=True)
    return whole if sample is None else whole.limit(sample)


def sort_out(source: SourceMapping, paths: Sequence[str | Path]) -> tuple[list[str], list[str]]:
    """Which files and which tables `paths` mean."""
    tables = [str(p) for p in paths if source.reader == "table" and not _holds_files(str(p))]
    files = [p for p in paths if str(p) not in tables]
    return find_files(files, SUFFIXES[kind_of(source, files)]) if files else [], tables


def kind_of(source: SourceMapping, files: Sequence[str | Path]) -> str:
    """Which of records.SUFFIXES the files of a source are."""
    if source.reader != "table":
        return source.reader
    return "csv" if all(has_suffix(str(f), SUFFIXES["csv"]) for f in files) else "json"


def _holds_files(path: str) -> bool:
    if os.path.isdir(path):
        return any(has_suffix(n, (*SUFFIXES["json"], *SUFFIXES["csv"], *ARCHIVES)) for n in os.listdir(path))
    return has_suffix(path, (*SUFFIXES["json"], *SUFFIXES["csv"], *ARCHIVES)) or os.path.isfile(path)


def find_files(paths: Iterable[str | Path], suffixes: tuple[str, ...]) -> list[str]:
    """Absolute paths of the files that `paths` mean, sorted, each once.

    A folder means its files with one of the suffixes, at any depth, packed or not, and its archives.
    """
    wanted = (*suffixes, *ARCHIVES)
    found: set[str] = set()
    for given in map(str, paths):
        if "://" in given:
            raise DataError(
                f"{given} is no path of a file system",
                hint="mount it (on Databricks: /Volumes/...), or read it into a table and map that",
            )
        # A name may hold [ or * itself: what exists is meant as it stands.
        hits = [given] if os.path.exists(given) else glob.glob(given, recursive=True)
        files = [f for hit in hits for f in (_in_folder(Path(hit), wanted) if os.path.isdir(hit) else [hit])]
        if not files:
            raise _nothing_there(given, hits, wanted)
        found.update(os.path.abspath(f) for f in files)
    return sorted(found)


def _in_folder(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    return [str(f) for f in folder.rglob("*") if f.is_file() and f.name[0] not in "._" and has_suffix(f.name, suffixes)]


def _nothing_there(given: str, hits: list[str], suffixes: tuple[str, ...]) -> DataError:
    wanted = f"files named *{', *'.join(suffixes)} (or .gz of them)"
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


def read_files(spark: SparkSession, files: Sequence[str], kind: str = "json", first: int | None = None) -> DataFrame:
    """The records of files as a raw frame; `kind` is a key of records.SUFFIXES. Lazy: files are opened by the tasks.

    `first`: no more than so many records of each file.
    """
    if kind == "evtx":
        from procnet.sources.evtx import EvtxDataSource

        spark.dataSource.register(EvtxDataSource)
        reader = spark.read.format("evtx").option("paths", "\n".join(files))
        return (reader if first is None else reader.option("first", str(first))).load()
    shares = in_shares(files)
    return spark.range(0, len(shares), 1, len(shares)).mapInArrow(_reader(shares, kind, first), RAW_SCHEMA)


def in_shares(files: Sequence[str]) -> list[list[str]]:
    """Files as tasks read them: each task about as much as the others, large files first. A file is never split."""
    weights = {f: os.path.getsize(f) * (_UNPACKED if f.endswith(_PACKED) else 1) for f in files}
    tasks = min(len(weights), _MAX_TASKS, max(_MIN_TASKS, sum(weights.values()) // _TASK_BYTES))
    shares: list[list[str]] = [[] for _ in range(tasks)]
    heap = [(0, i) for i in range(tasks)]
    for file in sorted(weights, key=lambda f: (-weights[f], f)):
        weight, lightest = heapq.heappop(heap)
        shares[lightest].append(file)
        heapq.heappush(heap, (weight + weights[file], lightest))
    return shares


def _reader(
    shares: list[list[str]], kind: str, first: int | None
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for share in batch.column(0).to_pylist():
                for file in shares[share]:
                    yield from arrow_batches(islice(read_records(file, kind), first))

    return read


def arrow_batches(records: Iterator[tuple[str, Record]]) -> Iterator[pa.RecordBatch]:
    """(file, record) -> Arrow batches of RAW_SCHEMA, bounded in rows and characters."""
    import pyarrow as pa

    def batch(rows: list[tuple[str, Record]]) -> pa.RecordBatch:
        files, told = zip(*rows, strict=True)
        lines, texts, problems = zip(*told, strict=True)
        columns = [
            pa.array(files, pa.string()),
            pa.array(lines, pa.int64()),
            pa.array(texts, pa.string()),
            pa.array(problems, pa.string()),
        ]
        return pa.RecordBatch.from_arrays(columns, names=["file", "line", "raw", "problem"])

    rows: list[tuple[str, Record]] = []
    chars = 0
    for row in records:
        rows.append(row)
        chars += len(row[1].text)
        if len(rows) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield batch(rows)
            rows, chars = [], 0
    if rows:
        yield batch(rows)


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
