"""JSON lines, arrays and pretty-printed objects, with or without a byte order mark -> records. No Spark here.

Lines are streamed; an array or pretty-printed file is held in memory, since its records have no line to end them.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from io import BufferedReader

from procnet.readers.archives import damage
from procnet.readers.record import Record

_BLOCK = 1 << 20
_decode = json.JSONDecoder(strict=False).raw_decode


def json_records(stream: BufferedReader) -> Iterator[Record]:
    """All records of a file, in order."""
    lines = _lines(stream)
    first = next((r for r in lines if r.problem or r.text.strip()), None)
    if first is None:
        return
    start = first.text.lstrip()
    if first.problem is None and (start.startswith("[") or start.rstrip() == "{"):
        yield from _document(first, lines)
        return
    for record in _chain(first, lines):
        text = record.text.strip()
        if record.problem is None and (not text.endswith("}") or "}{" in text):
            # Rare: a line cut in half, or two records on one line, of which a JSON parser would see only the first.
            yield from _objects(text, record.line)
        elif text or record.problem:
            yield record._replace(text=text)


def _chain(first: Record, rest: Iterator[Record]) -> Iterator[Record]:
    yield first
    yield from rest


def _lines(stream: BufferedReader) -> Iterator[Record]:
    """The lines of a file; one that could not be read to its end gives a last row with the problem."""
    number, problem = 1, None
    open_line: list[str] = []  # its parts: joined once, as a large array may be one line
    try:
        for block in decoded(stream):
            end, *lines = block.split("\n")
            open_line.append(end)
            for line in lines:
                yield Record(number, "".join(open_line))
                number += 1
                open_line = [line]
    except Exception as e:
        if (problem := damage(e)) is None:
            raise
    rest = "".join(open_line)
    if problem and _is_object(rest):
        yield Record(number, rest)
        rest = ""
    if rest or problem:
        yield Record(number, rest, problem)


def decoded(stream: BufferedReader) -> Iterator[str]:
    """The text of a file in blocks. Raises what a damaged file raises, after all that stands before the damage."""
    # "replace", as one bad byte is one bad character and not a lost file.
    decoder = codecs.getincrementaldecoder(encoding_of(stream.peek(4)))("replace")
    while block := stream.read1(_BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def encoding_of(begin: bytes) -> str:
    """The byte order mark decides: PowerShell redirects its output as UTF-16."""
    return "utf-16" if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _document(first: Record, rest: Iterator[Record]) -> Iterator[Record]:
    """Records of an array, or of objects that span lines."""
    texts, last = [first.text], first
    for record in rest:
        texts.append(record.text)
        if record.problem:
            last = record
    yield from _objects("\n".join(texts), first.line, last.problem)


def _objects(text: str, line: int, problem: str | None = None) -> Iterator[Record]:
    """JSON objects one after the other, brackets and commas between them skipped; what is none comes as it is.

    After something that cannot be read it goes on at the next line that begins as the first object's line did.
    """
    at, counted = 0, 0
    begin = re.search(r"\n[ \t]*\{", text)
    again = re.compile(re.escape(begin[0])) if begin else None
    separators = re.compile(r"[\s,\[\]]*")
    while True:
        gap = separators.match(text, at)
        at = gap.end() if gap else at
        line += text.count("\n", counted, at)
        counted = at
        if at >= len(text):
            break
        try:
            _, end = _decode(text, at)
            yield Record(line, text[at:end])
        except (ValueError, RecursionError):
            found = again.search(text, at + 1) if again else None
            end = found.start() if found else len(text)
            yield Record(line, text[at:end].rstrip(" \t\r\n,]"), problem if end == len(text) else None)
            if end == len(text):
                return
        at = end
    if problem:
        yield Record(line, "", problem)
