"""Reads the records of a file in one of the supported formats, with the file and line of each. No Spark.

Damage does not hide the rest: a damaged file yields its good records, then one record that names the problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedReader

from procnet.errors import ProcnetError
from procnet.readers.archives import damage, members
from procnet.readers.csv import csv_records
from procnet.readers.evtx import evtx_records
from procnet.readers.json_lines import json_records
from procnet.readers.record import MAX_RECORD, Record, too_long
from procnet.readers.xml import xml_records

# Format -> suffixes of its files in folders and archives. A file that is named itself is read whatever its suffix.
SUFFIXES = {
    "json": (".json", ".jsonl", ".ndjson", ".log", ".txt", ".event"),
    "xml": (".xml", ".log", ".txt", ".raw"),
    "csv": (".csv", ".tsv"),
    "evtx": (".evtx",),
}

_SPLITTERS: dict[str, Callable[[BufferedReader, int], Iterator[Record]]] = {
    "json": json_records,
    "xml": xml_records,
    "csv": csv_records,
    "evtx": evtx_records,
}


def read_records(path: str, file_format: str, max_record: int = MAX_RECORD) -> Iterator[tuple[str, Record]]:
    """Yields (file, record) for all records of a file, or of the files in an archive, in order.

    `file_format` is a key of SUFFIXES. The text of a record is XML for xml, else JSON: a CSV row becomes an object.
    Of a record with more than `max_record` characters, only the beginning is yielded, with the problem; memory for
    about four times as many is the most that is used. Content never raises an error; a problem is a record of its own.
    DataError if evtx lacks its package.
    """
    split = _SPLITTERS[file_format]
    file, last_problem = path, None
    try:
        for member in members(path, SUFFIXES[file_format]):
            file = member.name
            for record in _records(split, member.stream, max_record):
                last_problem = record.problem
                yield file, record
    except Exception as e:
        problem = _problem(e)
        if problem != last_problem:  # damage that ended a member ends its archive too: it is reported once
            yield file, Record(1, "", problem)


def _records(
    split: Callable[[BufferedReader, int], Iterator[Record]], stream: BufferedReader, max_record: int
) -> Iterator[Record]:
    """Yields the records of one member; what ends it early is a record too, so that the next member is read."""
    try:
        for record in split(stream, max_record):
            is_longer = len(record.text) > max_record
            yield too_long(record.line, record.text, max_record) if is_longer else record
    except Exception as e:
        yield Record(1, "", _problem(e))


def _problem(error: Exception) -> str:
    """Returns what an error of reading says of the file; raises errors of procnet, which say nothing of it.

    Errors that no reader expects are problems too: libraries raise many kinds for crafted content, and one file must
    not end the ingest of all others.
    """
    if isinstance(error, ProcnetError):
        raise error
    return damage(error) or f"unreadable file: {type(error).__name__}: {error}"
