"""Reads the paths of a source as a raw frame: files by procnet.readers, tables in place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial, reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from procnet.errors import UsageError
from procnet.readers.archives import has_suffix
from procnet.readers.discover import ARCHIVES, find_files
from procnet.readers.formats import SUFFIXES
from procnet.readers.frames import read_files, read_table
from procnet.readers.record import MAX_RECORD
from procnet.sources.mapping import SourceMapping

_FILES_OF_TABLES = (*SUFFIXES["json"], *SUFFIXES["csv"], *ARCHIVES)  # what a source of tables reads from files


def read_raw(
    spark: SparkSession,
    source: SourceMapping,
    paths: Sequence[str | Path],
    *,
    table_format: str | None = None,
    sample: int | None = None,
    max_record: int = MAX_RECORD,
) -> DataFrame:
    """Returns the raw frame of files, folders and globs, or of tables. Lazy. DataError for a path that does not exist.

    A source of tables can read files too: JSON, or CSV by the files' names. `table_format` is Spark's name of the
    tables' format if it is neither Delta nor Parquet, such as iceberg. `sample` limits the records; every file gives
    its share, because the first files of a folder may contain no event of the source. Of a record in a file with more
    than `max_record` characters, the frame has the beginning and the problem.
    """
    if not paths:
        raise UsageError(f"nothing to read for source {source.name}", hint="name files, folders, globs or tables")
    files, tables = files_and_tables(source, paths)
    if files and tables:
        raise UsageError(f"{tables[0]} is a table and {files[0]} a file", hint="name them in two calls")
    if files:
        first = None if sample is None else max(1, sample // len(files))
        frame = read_files(spark, files, file_format(source, files), first, max_record)
    else:
        union = partial(DataFrame.unionByName, allowMissingColumns=True)
        frame = reduce(union, (read_table(spark, t, table_format) for t in tables))
    return frame if sample is None else frame.limit(sample)


def files_and_tables(source: SourceMapping, paths: Sequence[str | Path]) -> tuple[list[str], list[str]]:
    """Returns the files that `paths` mean, and the paths that are tables."""
    tables = [str(p) for p in paths if source.reader == "table" and not _has_files(str(p))]
    files = [p for p in paths if str(p) not in tables]
    return find_files(files, SUFFIXES[file_format(source, files)]) if files else [], tables


def file_format(source: SourceMapping, files: Sequence[str | Path]) -> str:
    """Returns the format of a source's files, a key of formats.SUFFIXES."""
    if source.reader != "table":
        return source.reader
    return "csv" if all(has_suffix(str(f), SUFFIXES["csv"]) for f in files) else "json"


def _has_files(path: str) -> bool:
    """Returns whether a path of a source of tables is a file, or a folder with files that it can read."""
    if os.path.isdir(path):
        return any(has_suffix(name, _FILES_OF_TABLES) for name in os.listdir(path))
    return has_suffix(path, _FILES_OF_TABLES) or os.path.isfile(path)
