"""A raw record as a reader gives it, and the columns of a raw frame."""

from __future__ import annotations

from typing import NamedTuple

# A raw frame of files, as Spark DDL: `raw` is the record's text, `problem` is null or says why a file ended there.
RAW_SCHEMA = "file string, line bigint, raw string, problem string"


class Record(NamedTuple):
    """One record as read: the line it begins on, its text, and what is wrong with it, if anything."""

    line: int
    text: str
    problem: str | None = None
