"""Windows' own log files -> records as JSON, by the package `evtx`; and the Spark data source `evtx` over them.

A file is chunks of 64 KiB behind a header of 4 KiB ([MS-EVEN6] and libevtx's description of the format). A chunk that
is broken costs its own records and nothing else: it gives one record that says so.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from io import BufferedReader

from procnet.errors import DataError
from procnet.readers.record import Record

_HEADER, _CHUNK = 4096, 65536
_MAGIC, _CHUNK_MAGIC = b"ElfFile\0", b"ElfChnk\0"
_NUMBER = re.compile(r"chunk number (\d+)")


def evtx_records(stream: BufferedReader) -> Iterator[Record]:
    """All events as JSON objects, `line` being the event's record number; a broken chunk gives its number instead."""
    try:
        from evtx import PyEvtxParser
    except ImportError:
        raise DataError(".evtx files need the package evtx", hint="pip install 'procnet[evtx]'") from None
    data = stream.read()
    if not data.startswith(_MAGIC):
        yield Record(1, "", "no EVTX: the file does not begin as one")
        return
    told = int.from_bytes(data[42:44], "little")
    whole, cut = divmod(len(data) - _HEADER, _CHUNK)
    # A log that was copied while it was written says less than it holds.
    begins = enumerate(range(_HEADER, len(data), _CHUNK), start=1)
    used = max([told, *(n for n, at in begins if data.startswith(_CHUNK_MAGIC, at))])
    try:
        events = PyEvtxParser(io.BytesIO(data)).records_json()
    except (OSError, RuntimeError) as e:
        yield Record(1, "", f"no EVTX: {e}")
        return
    while True:
        try:
            event = next(events, None)
        except RuntimeError as e:
            number = int(found[1]) if (found := _NUMBER.search(str(e))) else None
            # Behind the chunks in use lies room for more, with whatever was in it before.
            if number is None or number < used:
                yield Record(number or 0, "", "broken EVTX chunk" if number is not None else "broken EVTX record")
            continue
        if event is None:
            break
        yield Record(event["event_record_id"], event["data"])
    if cut or whole < told:
        yield Record(whole, "", "cut EVTX: chunks are missing at the end")
