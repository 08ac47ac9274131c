"""Splits JSON lines, arrays and pretty-printed objects into records. No Spark.

Lines are streamed. An array or a pretty-printed file is read into memory as a whole, because no line break ends its
records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain

from procnet.readers.archives import damage
from procnet.readers.decode import decoded_blocks
from procnet.readers.record import Record

_decode = json.JSONDecoder(strict=False).raw_decode
_SEPARATORS = re.compile(r"[\s,\[\]]*")


def json_records(stream: BufferedReader) -> Iterator[Record]:
    """Yields all records of a file, in order. Text that is no JSON object is a record as it stands."""
    lines = _lines(stream)
    first = next((r for r in lines if r.problem or r.text.strip()), None)
    if first is None:
        return
    start = first.text.lstrip()
    if first.problem is None and (start.startswith("[") or start.rstrip() == "{"):
        yield from _document_records(first, lines)
        return
    for record in chain([first], lines):
        text = record.text.strip()
        if record.problem is None and (not text.endswith("}") or "}{" in text):
            # Rare: a line cut in half, or two records on one line, of which a JSON parser would see only the first.
            yield from _objects(text, record.line)
        elif text or record.problem:
            yield record._replace(text=text)


def _lines(stream: BufferedReader) -> Iterator[Record]:
    """Yields the lines of a file. Where damage ends the file, the last record names the problem."""
    number, problem = 1, None
    open_line: list[str] = []  # parts of the current line, joined once: a large array may be one line
    try:
        for block in decoded_blocks(stream):
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


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _document_records(first: Record, rest: Iterator[Record]) -> Iterator[Record]:
    """Yields the records of an array, or of objects that span lines."""
    texts, last = [first.text], first
    for record in rest:
        texts.append(record.text)
        if record.problem:
            last = record
    yield from _objects("\n".join(texts), first.line, last.problem)


def _objects(text: str, line: int, problem: str | None = None) -> Iterator[Record]:
    """Yields consecutive JSON objects, without the brackets and commas between them.

    Text that cannot be decoded is a record as it stands. It ends before the next line that begins as the first line
    with an object does (same indentation). `problem` is what ended the file after `text`.
    """
    at, counted = 0, 0
    begin = re.search(r"\n[ \t]*\{", text)
    next_begin = re.compile(re.escape(begin[0])) if begin else None
    while True:
        gap = _SEPARATORS.match(text, at)
        at = gap.end() if gap else at
        line += text.count("\n", counted, at)
        counted = at
        if at >= len(text):
            break
        try:
            _, end = _decode(text, at)
            yield Record(line, text[at:end])
        except (ValueError, RecursionError):
            found = next_begin.search(text, at + 1) if next_begin else None
            end = found.start() if found else len(text)
            yield Record(line, text[at:end].rstrip(" \t\r\n,]"), problem if end == len(text) else None)
            if end == len(text):
                return
        at = end
    if problem:
        yield Record(line, "", problem)
