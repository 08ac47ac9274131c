"""Files -> records with the file and line they begin on, as they are and whatever state they are in. No Spark here.

What cannot be read does not hide the rest: a damaged file gives its good records, then one that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BufferedReader

from procnet.readers.archives import damage, members
from procnet.readers.record import Record

# Format -> what its files are called; others are read where they are named themselves.
SUFFIXES = {
    "json": (".json", ".jsonl", ".ndjson", ".log", ".txt", ".event"),
    "xml": (".xml", ".log", ".txt", ".raw"),
    "csv": (".csv", ".tsv"),
    "evtx": (".evtx",),
}


def read_records(path: str, kind: str) -> Iterator[tuple[str, Record]]:
    """(file, record) of all records of a file or of the files in an archive, in order. Never raises for what is in it.

    `kind` is a key of SUFFIXES. The text of a record is XML for xml, else JSON: a row of CSV becomes an object.
    """
    split = _splitter(kind)
    last, told = path, None
    try:
        for member in members(path, SUFFIXES[kind]):
            last = member.name
            for record in split(member.stream):
                told = record.problem
                yield last, record
    except Exception as e:
        if (problem := damage(e)) is None:
            raise
        if problem != told:  # the damage that has ended a member ends its archive too
            yield last, Record(1, "", problem)


def _splitter(kind: str) -> Callable[[BufferedReader], Iterator[Record]]:
    # Each where it is asked for: evtx is an extra.
    if kind == "xml":
        from procnet.readers.xml import xml_records

        return xml_records
    if kind == "csv":
        from procnet.readers.csv import csv_records

        return csv_records
    if kind == "evtx":
        from procnet.readers.evtx import evtx_records

        return evtx_records
    from procnet.readers.json_lines import json_records

    return json_records
