"""Splits CSV with a header into records: each row is a JSON object of texts. Cells may have line breaks. No Spark."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from io import BufferedReader

from procnet.readers.archives import damage
from procnet.readers.decode import encoding_of
from procnet.readers.record import Record

csv.field_size_limit(1 << 27)  # the default, 128 KB, ends a file at the first long script block


def csv_records(stream: BufferedReader) -> Iterator[Record]:
    """Yields one record a row. A row with more or fewer cells than the header is a JSON array, with the problem."""
    text = io.TextIOWrapper(stream, encoding_of(stream.peek(4)), errors="replace", newline="")
    rows = csv.reader(text, delimiter="\t" if _is_tab_separated(stream) else ",")
    header: list[str] | None = None
    line = 1
    while True:
        try:
            row = next(rows, None)
        except Exception as e:
            problem = f"broken CSV: {e}" if isinstance(e, csv.Error) else damage(e)
            if problem is None:
                raise
            yield Record(line, "", problem)
            return
        if row is None:
            return
        if header is None:
            header = [name.strip() for name in row]
        elif len(row) == len(header):
            yield Record(line, json.dumps(dict(zip(header, row, strict=True)), ensure_ascii=False))
        elif row:
            problem = f"{len(row)} cells under {len(header)} names"
            yield Record(line, json.dumps(row, ensure_ascii=False), problem)
        line = rows.line_num + 1


def _is_tab_separated(stream: BufferedReader) -> bool:
    first_line = stream.peek(1 << 16).split(b"\n", 1)[0]
    return first_line.count(b"\t") > first_line.count(b",")
