"""Reads the records of a file in one of the supported formats, with the file and line of each. No Spark.

Damage does not hide the rest: a damaged file yields its good records, then one record that names the problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedReader

from procnet.readers.archives import damage, members
from procnet.readers.csv import csv_records
from procnet.readers.evtx import evtx_records
from procnet.readers.json_lines import json_records
from procnet.readers.record import Record
from procnet.readers.xml import xml_records

# Format -> suffixes of its files in folders and archives. A file that is named itself is read whatever its suffix.
SUFFIXES = {
    "json": (".json", ".jsonl", ".ndjson", ".log", ".txt", ".event"),
    "xml": (".xml", ".log", ".txt", ".raw"),
    "csv": (".csv", ".tsv"),
    "evtx": (".evtx",),
}

_SPLITTERS: dict[str, Callable[[BufferedReader], Iterator[Record]]] = {
    "json": json_records,
    "xml": xml_records,
    "csv": csv_records,
    "evtx": evtx_records,
}


def read_records(path: str, file_format: str) -> Iterator[tuple[str, Record]]:
    """Yields (file, record) for all records of a file, or of the files in an archive, in order.

    `file_format` is a key of SUFFIXES. The text of a record is XML for xml, else JSON: a CSV row becomes an object.
    Content never raises an error; a problem is a record of its own. DataError if evtx lacks its package.
    """
    split = _SPLITTERS[file_format]
    file, last_problem = path, None
    try:
        for member in members(path, SUFFIXES[file_format]):
            file = member.name
            for record in split(member.stream):
                last_problem = record.problem
                yield file, record
    except Exception as e:
        if (problem := damage(e)) is None:
            raise
        if problem != last_problem:  # damage that ended a member ends its archive too: it is reported once
            yield file, Record(1, "", problem)
