"""Splits Windows event log files into records as JSON, by the optional package `evtx`. No Spark.

A file is a header of 4 KiB and chunks of 64 KiB ([MS-EVEN6] and libevtx's description of the format). A broken chunk
costs only its own records: it yields one record that names the problem.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from io import BufferedReader

from procnet.errors import DataError, install_hint
from procnet.readers.record import Record

_HEADER, _CHUNK = 4096, 65536
_MAGIC, _CHUNK_MAGIC = b"ElfFile\0", b"ElfChnk\0"
_CHUNKS_AT = slice(42, 44)  # in the header: number of chunks in use, little-endian
_CHUNK_NUMBER = re.compile(r"chunk number (\d+)")


def evtx_records(stream: BufferedReader) -> Iterator[Record]:
    """Yields all events as JSON objects; `line` is the event's record number, or the number of a broken chunk.

    DataError if the package `evtx` is not installed.
    """
    try:
        from evtx import PyEvtxParser
    except ImportError:
        raise DataError(".evtx files need the package evtx", hint=install_hint("evtx")) from None
    data = stream.read()
    if not data.startswith(_MAGIC):
        yield Record(1, "", "no EVTX: the file does not begin as one")
        return
    declared = int.from_bytes(data[_CHUNKS_AT], "little")
    complete, cut = divmod(len(data) - _HEADER, _CHUNK)
    used = max(declared, _last_chunk(data))
    try:
        events = PyEvtxParser(io.BytesIO(data)).records_json()
    except (OSError, RuntimeError) as e:
        yield Record(1, "", f"no EVTX: {e}")
        return
    while True:
        try:
            event = next(events, None)
        except RuntimeError as e:
            number = int(found[1]) if (found := _CHUNK_NUMBER.search(str(e))) else None
            # Chunks behind those in use are preallocated space with arbitrary content: no record is lost there.
            if number is None or number < used:
                yield Record(number or 0, "", "broken EVTX chunk" if number is not None else "broken EVTX record")
            continue
        if event is None:
            break
        yield Record(event["event_record_id"], event["data"])
    if cut or complete < declared:
        yield Record(complete, "", "cut EVTX: chunks are missing at the end")


def _last_chunk(data: bytes) -> int:
    """Returns the number of the last chunk with a valid signature, from 1; 0 if there is none.

    The header of a log that was copied while it was written declares fewer chunks than the file has.
    """
    begins = enumerate(range(_HEADER, len(data), _CHUNK), start=1)
    return max((number for number, at in begins if data.startswith(_CHUNK_MAGIC, at)), default=0)
