"""Paths -> raw frames. The only I/O of the sources: files (see records.py), tables by name or folder.

A raw frame of files has RAW_SCHEMA: `file` and `line` say where a record was read, `raw` is its text, `problem` is null
or says why the file could not be read further. Files are read by Python workers, streaming, whole files a task: that
gives line numbers, archives, arrays, byte order marks and all rows before the cut of a damaged gzip in ONE pass, none
of which Spark's own text and JSON readers do. Tables are scanned in place.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from procnet.errors import UsageError
from procnet.readers.archives import has_suffix
from procnet.readers.discover import ARCHIVES, find_files
from procnet.readers.formats import SUFFIXES
from procnet.readers.frames import read_files, read_table
from procnet.sources.mapping import SourceMapping


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
