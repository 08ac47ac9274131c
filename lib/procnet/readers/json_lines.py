"""Splits JSON lines, arrays and pretty-printed objects into records. No Spark.

Everything is streamed: of a line or a value that is longer than the longest record, only the beginning is a record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BufferedReader
from itertools import chain

from procnet.readers.decode import Blocks
from procnet.readers.record import Record, too_long
from procnet.readers.text import Text

_decode = json.JSONDecoder(strict=False).raw_decode
_BLANKS = re.compile(r"\s*")
_SEPARATORS = re.compile(r"[\s,\[\]]*")
_DOCUMENT = re.compile(r"\[|\{[^\S\n]*(?:\n|\Z)")  # how an array or a pretty-printed object begins
_OBJECT_LINE = re.compile(r"\n[ \t]*\{")
_OUTSIDE_STRING = re.compile(r'"|\{+|\}+')
_INSIDE_STRING = re.compile(r'["\\]')
_ESCAPES = re.compile(r"(?:\\.)+", re.DOTALL)


def json_records(stream: BufferedReader, max_record: int) -> Iterator[Record]:
    """Yields all records of a file, in order. Text that is no JSON object is a record as it stands."""
    blocks = Blocks(stream)
    text = Text(blocks, max_record)
    text.skip(_BLANKS)
    if _DOCUMENT.match(text.buffer, text.at):
        yield from _objects(text, blocks)
    else:
        blocks.unread(text.buffer[text.at :])
        yield from _lines(blocks, text.line, max_record)


def _lines(blocks: Blocks, number: int, max_record: int) -> Iterator[Record]:
    """Yields the records of lines, the first of which has this number."""
    rest = ""
    for block in blocks:
        *lines, rest = (rest + block).split("\n")
        for line in lines:
            text = line.strip()
            if text.endswith("}") and "}{" not in text and len(text) <= max_record:
                yield Record(number, text)
            elif text:
                # Rare: a line cut in half, or several records on one line, of which a parser would see only the first.
                yield from _objects(Text(iter([text]), max_record, number), blocks)
            number += 1
        if len(rest) > max_record:
            yield from _objects(Text(chain([rest], blocks.rest_of_line()), max_record, number), blocks)
            if blocks.problem:
                return
            rest, number = "", number + 1
    text = rest.strip()
    if blocks.problem is None and text.endswith("}") and "}{" not in text:
        yield Record(number, text)
    else:
        yield from _objects(Text(iter([text]), max_record, number), blocks)


def _objects(text: Text, blocks: Blocks) -> Iterator[Record]:
    """Yields consecutive JSON objects, without the brackets and commas between them.

    Text that cannot be decoded is a record as it stands. It ends with its own closing brace, or before the next line
    that begins as the first line with an object does (same indentation). Damage that ends the file after `text` is the
    problem of the last record.
    """
    text.fill()
    next_begin = _next_begin(text)
    while text.skip(_SEPARATORS):
        line, start = text.line, text.at
        try:
            _, end = _decode(text.buffer, start)
        except (ValueError, RecursionError):
            value, next_begin = _Value(text), next_begin or _next_begin(text)
            if (found := value.end(next_begin)) is not None:
                yield Record(line, _trimmed(text.buffer[start:found]))
                end = found
            elif text.complete:
                yield Record(line, _trimmed(text.buffer[start:]), blocks.problem)
                return
            else:
                yield too_long(line, text.buffer[start:], text.limit)
                value.skip(next_begin)
                continue
        else:
            yield Record(line, text.buffer[start:end])
        text.advance(end)
    if text.complete and blocks.problem:
        yield Record(text.line, "", blocks.problem)


def _next_begin(text: Text) -> re.Pattern[str] | None:
    """Returns how the lines with an object begin, if one is in the buffer."""
    begin = _OBJECT_LINE.search(text.buffer, text.at)
    return re.compile(re.escape(begin[0])) if begin else None


def _trimmed(text: str) -> str:
    return text.rstrip(" \t\r\n,]")


class _Value:
    """Finds the end of the value at the beginning of a text's next part, where it cannot be decoded."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._is_object = text.buffer.startswith("{", text.at)
        self._depth = self._searched = int(self._is_object)  # open braces; characters searched for its end
        self._in_string = self._escaped = False

    def end(self, next_begin: re.Pattern[str] | None) -> int | None:
        """Returns where the value ends in the buffer, if it does: behind its last brace, or before `next_begin`."""
        own_end = self._own_end() if self._is_object else None
        found = next_begin.search(self._text.buffer, self._text.at) if next_begin else None
        return min((end for end in (own_end, found and found.start()) if end is not None), default=None)

    def skip(self, next_begin: re.Pattern[str] | None) -> None:
        """Advances the text behind the value, which has no end in the buffer."""
        text = self._text
        while not text.complete:
            # The last line remains, because `next_begin` may begin there.
            last_line = text.buffer.rfind("\n", text.at + 1)
            to = last_line if last_line >= 0 else len(text.buffer)
            self._searched = len(text.buffer) - to
            text.advance(to)
            text.fill()
            if (end := self.end(next_begin)) is not None:
                text.advance(end)
                return
        text.advance(len(text.buffer))

    def _own_end(self) -> int | None:
        buffer, at = self._text.buffer, self._text.at + self._searched + self._escaped
        self._escaped = False
        while token := (_INSIDE_STRING if self._in_string else _OUTSIDE_STRING).search(buffer, at):
            begin, at = token.span()
            if buffer[begin] == '"':
                self._in_string = not self._in_string
            elif buffer[begin] == "\\":
                escapes = _ESCAPES.match(buffer, begin)
                at, self._escaped = (escapes.end(), False) if escapes else (at, True)  # by it, in the next block
            elif buffer[begin] == "{":
                self._depth += at - begin
            elif self._depth > at - begin:
                self._depth -= at - begin
            else:
                return begin + self._depth
        return None
