"""XML of Windows events -> the text of each `<Event>`. No Spark here; Spark parses the text (load.py).

Events stand one a line, over many lines, or all on one; inside `<Events>` or bare. A file is streamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader
from itertools import pairwise

from procnet.readers.archives import damage
from procnet.readers.json_lines import decoded
from procnet.readers.record import Record

_BEGIN = re.compile(r"<Event[\s>]")
_END = "</Event>"
# A text longer than this without an end is no event (the Windows event log ends one at 64 KiB): it is put out as it is,
# so that a large file of another format is neither held in memory nor searched again with every block.
_LONGEST = 1 << 20
# What may stand between events without being a record that was cut.
_AROUND = re.compile(r"(?:\s|<\?xml[^>]*\?>|</?Events[^>]*>|,)*")


def xml_records(stream: BufferedReader) -> Iterator[Record]:
    """All events, and whatever stands between them that is none."""
    rest, searched, line, problem = "", 0, 1, None
    blocks = decoded(stream)
    while True:
        try:
            block = next(blocks, None)
        except Exception as e:
            if (problem := damage(e)) is None:
                raise
            block = None
        if block is None:
            break
        rest += block
        at = 0
        while (end := rest.find(_END, max(at, searched))) >= 0:
            end += len(_END)
            for begin, stop in _parts(rest, at, end):
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
    for begin, stop in _parts(rest, 0, len(rest)):
        yield Record(line + rest.count("\n", 0, begin), rest[begin:stop].rstrip())
    if problem:
        yield Record(line + rest.count("\n"), "", problem)


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of records up to one end tag: the event, before it what was cut before its own end tag came."""
    around = _AROUND.match(text, start, end)
    at = around.end() if around else start
    begins = [m.start() for m in _BEGIN.finditer(text, at, end)]
    cuts = sorted({at, *begins, end})
    for begin, stop in pairwise(cuts):
        if text[begin:stop].strip():
            yield begin, stop
