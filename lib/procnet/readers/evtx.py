"""Splits Windows event log files into records as JSON, by the optional package `evtx`. No Spark.

A file is a header of 4 KiB and chunks of 64 KiB ([MS-EVEN6] and libevtx's description of the format). No event spans
chunks, so one chunk at a time is read and parsed. A broken chunk costs only its own records: it yields one record that
names the problem.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from io import BufferedReader
from struct import unpack_from
from typing import Any

from procnet.errors import DataError, install_hint
from procnet.readers.record import Record

_HEADER, _CHUNK = 4096, 65536
_MAGIC, _CHUNK_MAGIC = b"ElfFile\0", b"ElfChnk\0"
_CHUNKS_AT = slice(42, 44)  # in the header: number of chunks in use, little-endian
# In a chunk's header: offsets of 64 lists of names and 32 of templates. An element begins with the offset of the next.
_LISTS_AT, _LISTS = 128, 64 + 32
_MOST_RECORDS = _CHUNK // 28  # of a chunk; the header and the end of a record are 28 bytes


def evtx_records(stream: BufferedReader, max_record: int) -> Iterator[Record]:
    """Yields all events as JSON objects; `line` is the event's record number, or the number of a broken chunk.

    The format limits an event to a chunk, whatever `max_record` is. DataError if the package `evtx` is not installed.
    """
    try:
        from evtx import PyEvtxParser
    except ImportError:
        raise DataError(".evtx files need the package evtx", hint=install_hint("evtx")) from None
    header = stream.read(_HEADER)
    if not header.startswith(_MAGIC):
        yield Record(1, "", "no EVTX: the file does not begin as one")
        return
    try:
        PyEvtxParser(io.BytesIO(header))
    except (OSError, RuntimeError) as e:
        yield Record(1, "", f"no EVTX: {e}")
        return
    declared = int.from_bytes(header[_CHUNKS_AT], "little")
    number = 0
    unused: list[int] = []
    while len(chunk := stream.read(_CHUNK)) == _CHUNK:
        if chunk.startswith(_CHUNK_MAGIC):
            # The header of a log that was copied while it was written declares fewer chunks than the file has.
            yield from (_broken_chunk(n) for n in unused)
            unused.clear()
            yield from (
                _chunk_records(PyEvtxParser(io.BytesIO(header + chunk)), number)
                if _is_sound(chunk)
                else [_broken_chunk(number)]
            )
        else:
            unused.append(number)
        number += 1
    # Chunks behind those in use are preallocated space with arbitrary content: no record is lost there.
    yield from (_broken_chunk(n) for n in unused if n < declared)
    if chunk or number < declared:
        yield Record(number, "", "cut EVTX: chunks are missing at the end")


def _chunk_records(parser: Any, number: int) -> Iterator[Record]:
    """Yields the records of a parser's only chunk, which has this number in its file."""
    events = parser.records_json()
    for _ in range(_MOST_RECORDS):
        try:
            event = next(events, None)
        except RuntimeError as e:
            yield _broken_chunk(number) if "chunk number" in str(e) else Record(number, "", "broken EVTX record")
            continue
        if event is None:
            return
        yield Record(event["event_record_id"], event["data"])


def _is_sound(chunk: bytes) -> bool:
    """Returns whether every linked list of a chunk ends. The package follows a list that is a ring for ever."""
    followed: set[int] = set()
    for at in unpack_from(f"<{_LISTS}I", chunk, _LISTS_AT):
        this_list: set[int] = set()
        while 0 < at <= _CHUNK - 4 and at not in followed:
            if at in this_list:
                return False
            this_list.add(at)
            (at,) = unpack_from("<I", chunk, at)
        followed |= this_list
    return True


def _broken_chunk(number: int) -> Record:
    return Record(number, "", "broken EVTX chunk")
