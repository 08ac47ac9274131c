"""Splits XML of Windows events into the text of each `<Event>`. No Spark: sources/parse_records.py parses the text.

A line may have one event, several or a part of one; the events may be inside `<Events>`. A file is streamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader
from itertools import pairwise

from procnet.readers.decode import Blocks
from procnet.readers.record import Record, too_long
from procnet.readers.text import Text

_BEGIN = re.compile(r"<Event[\s>]")
_END = "</Event>"
_BEGIN_OR_END = re.compile(rf"{_BEGIN.pattern}|{_END}")
# What may stand between events and is not a record that was cut.
_AROUND = re.compile(r"(?:[\s,]+|<\?xml[^>]*\?>|</?Events[^>]*>)*")


def xml_records(stream: BufferedReader, max_record: int) -> Iterator[Record]:
    """Yields all events, and the text between them that belongs to none."""
    blocks = Blocks(stream)
    text = Text(blocks, max_record)
    while text.skip(_AROUND):
        end = text.buffer.find(_END, text.at)
        spans = list(_record_spans(text, end + len(_END) if end >= 0 else len(text.buffer)))
        if end < 0 and not text.complete:
            *spans, (begin, _) = spans  # the last one is not complete
            if not spans:
                yield too_long(text.line, text.buffer[begin:], max_record)
                _skip_event(text)
        for begin, stop in spans:
            text.advance(begin)
            record = text.buffer[begin:stop]
            yield Record(text.line, record.rstrip() if stop == len(text.buffer) and text.complete else record)
            text.advance(stop)
    if blocks.problem:
        yield Record(text.line, "", blocks.problem)


def _record_spans(text: Text, end: int) -> Iterator[tuple[int, int]]:
    """Yields (begin, stop) of each record up to one end tag: first the cut events before it, then the event itself."""
    begins = [m.start() for m in _BEGIN.finditer(text.buffer, text.at, end)]
    return pairwise(sorted({text.at, *begins, end}))


def _skip_event(text: Text) -> None:
    """Advances behind the end tag of the event at the beginning, or to the next event if that comes first."""
    text.advance(text.at + 1)
    while text.fill():
        found = _BEGIN_OR_END.search(text.buffer, text.at)
        if found:
            text.advance(found.end() if found[0] == _END else found.start())
            return
        # A tag may begin in the last characters of what has been read so far.
        text.advance(len(text.buffer) - (0 if text.complete else len(_END)))
