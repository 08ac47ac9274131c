"""A raw record, as every reader returns it, and the columns of a raw frame of files."""

from __future__ import annotations

from typing import NamedTuple

# Columns of a raw frame of files, as Spark DDL: the file and the line on which a record begins, the record's text, and
# null or the reason why the record or the rest of the file could not be read.
RAW_SCHEMA = "file string, line bigint, raw string, problem string"


class Record(NamedTuple):
    """One record: the line on which it begins, its text, and what is wrong with it (None: nothing)."""

    line: int
    text: str
    problem: str | None = None
