"""Splits XML of Windows events into the text of each `<Event>`. No Spark: sources/parse_records.py parses the text.

A line may have one event, several or a part of one; the events may be inside `<Events>`. A file is streamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader
from itertools import pairwise

from procnet.readers.archives import damage
from procnet.readers.decode import decoded_blocks
from procnet.readers.record import Record

_BEGIN = re.compile(r"<Event[\s>]")
_END = "</Event>"
# A longer text without an end tag is no event (the Windows event log limits one to 64 KiB). It becomes a record as it
# stands, so that a large file of another format is neither collected in memory nor searched again with every block.
_LONGEST = 1 << 20
# What may stand between events and is not a record that was cut.
_AROUND = re.compile(r"(?:\s|<\?xml[^>]*\?>|</?Events[^>]*>|,)*")


def xml_records(stream: BufferedReader) -> Iterator[Record]:
    """Yields all events, and the text between them that belongs to none."""
    rest, searched, line, problem = "", 0, 1, None
    try:
        for block in decoded_blocks(stream):
            rest += block
            at = 0
            while (end := rest.find(_END, max(at, searched))) >= 0:
                end += len(_END)
                for begin, stop in _record_spans(rest, at, end):
                    line += rest.count("\n", at, begin)
                    at = begin
                    yield Record(line, rest[begin:stop])
                line += rest.count("\n", at, end)
                at = searched = end
            if len(rest) - at > _LONGEST:
                yield Record(line, rest[at:].strip())
                line += rest.count("\n", at)
                at = len(rest)
            rest = rest[at:]
            searched = max(0, len(rest) - len(_END))
    except Exception as e:
        if (problem := damage(e)) is None:
            raise
    for begin, stop in _record_spans(rest, 0, len(rest)):
        yield Record(line + rest.count("\n", 0, begin), rest[begin:stop].rstrip())
    if problem:
        yield Record(line + rest.count("\n"), "", problem)


def _record_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields (begin, stop) of each record up to one end tag: first the cut events before it, then the event itself."""
    around = _AROUND.match(text, start, end)
    at = around.end() if around else start
    begins = [m.start() for m in _BEGIN.finditer(text, at, end)]
    cuts = sorted({at, *begins, end})
    for begin, stop in pairwise(cuts):
        if text[begin:stop].strip():
            yield begin, stop
