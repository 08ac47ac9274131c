"""Splits CSV with a header into records: each row is a JSON object of texts. Cells may have line breaks. No Spark."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from io import BufferedReader

from procnet.readers.archives import damage
from procnet.readers.decode import encoding_of
from procnet.readers.record import Record, too_long

# The default, 128 KB, ends a file at the first long script block. `_Lines` limits the whole record.
csv.field_size_limit((1 << 31) - 1)


def csv_records(stream: BufferedReader, max_record: int) -> Iterator[Record]:
    """Yields one record a row. A row with more or fewer cells than the header is a JSON array, with the problem."""
    text = io.TextIOWrapper(stream, encoding_of(stream.peek(4)), errors="replace", newline="")
    delimiter = "\t" if _is_tab_separated(stream) else ","
    lines = _Lines(text, max_record)
    rows = csv.reader(lines, delimiter=delimiter)
    header: list[str] | None = None
    while True:
        line = lines.number
        lines.begin_record()
        try:
            row, in_cell = next(rows, None), False
        except _TooLong:
            row, in_cell = [], True
        except Exception as e:
            problem = f"broken CSV: {e}" if isinstance(e, csv.Error) else damage(e)
            if problem is None:
                raise
            yield Record(line, "", problem)
            if isinstance(e, csv.Error) and header is not None:
                continue
            return
        if row is None:
            return
        if lines.is_too_long:
            yield too_long(line, lines.first, max_record)
            _skip_record(rows, lines, delimiter, in_cell)
            if header is None:  # no row has names without it
                return
        elif header is None:
            header = [name.strip() for name in row]
        elif len(row) == len(header):
            yield Record(line, json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False))
        elif row:
            problem = f"{len(row)} cells under {len(header)} names"
            yield Record(line, json.dumps(row, ensure_ascii=False), problem)


def _is_tab_separated(stream: BufferedReader) -> bool:
    first_line = stream.peek(1 << 16).split(b"\n", 1)[0]
    return first_line.count(b"\t") > first_line.count(b",")


class _TooLong(Exception):  # noqa: N818
    """Raised where a record that is too long goes on in the next line."""


class _Lines:
    """The lines of a text, for csv.reader. It requests the next line of the same record only inside a quoted cell.

    A line comes in several parts where its record would become longer than `limit`.
    """

    def __init__(self, text: io.TextIOWrapper, limit: int) -> None:
        self.number = 1  # of the next line
        self.first = self.last = ""  # line of the record
        self._text, self._limit, self._size, self._prefix = text, limit, 0, ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.is_too_long:
            raise _TooLong
        line = self._text.readline(self._limit + 1 - self._size)
        if not line:
            raise StopIteration
        if self._size == 0:
            self.first = line
        self._size += len(line)
        self.number += self._ends_line(line)
        self.last, prefix, self._prefix = line, self._prefix, ""
        return prefix + line

    @property
    def is_too_long(self) -> bool:
        """Whether the record has more than `limit` characters, as far as it has been read."""
        return self._size > self._limit

    @property
    def is_line_end(self) -> bool:
        """Whether the last line was read to its end."""
        return self._ends_line(self.last)

    def begin_record(self, prefix: str = "") -> None:
        """Counts characters from 0. `prefix` is put before the next line."""
        self._size, self._prefix = 0, prefix

    @staticmethod
    def _ends_line(line: str) -> bool:
        return line.endswith(("\n", "\r"))


def _skip_record(rows: Iterator[list[str]], lines: _Lines, delimiter: str, in_cell: bool) -> None:
    """Reads the rest of a record that is too long, which goes on inside a quoted cell or in the same line.

    A prefix brings csv.reader to the state in which the first part ended: inside a quoted cell, at the beginning of a
    cell, behind a quote or inside a cell without quotes.
    """
    while in_cell or not lines.is_line_end:
        after = {delimiter: "", '"': '""'}.get(lines.last[-1], "x")
        lines.begin_record('"' if in_cell else after)
        try:
            if next(rows, None) is None:
                return
            in_cell = False
        except _TooLong:
            in_cell = True
        except csv.Error:
            in_cell = False
