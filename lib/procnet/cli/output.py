"""What a command prints: tables, one JSON object, messages. Control characters in untrusted text are escaped."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import IO, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from procnet.periods import as_utc

# Formulas run when a spreadsheet opens the file; a leading quote makes them text (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# The longest word that is never broken: an IPv6 address has 39 characters. Longer words are paths and command lines.
_LONGEST_WORD = 40
_SHORTEST = 6  # of a shortened value


def print_result(args: Namespace, value: Mapping[str, Any], print_text: Callable[[], object]) -> None:
    """Prints a command's result: `value` as one JSON object with --json, else calls `print_text`."""
    if args.json:
        print_json(value)
    else:
        print_text()


def print_json(value: Mapping[str, Any]) -> None:
    """Prints one JSON object as one line on stdout."""
    sys.stdout.write(json_line(value))


def print_message(text: str) -> None:
    """Prints text on stderr."""
    sys.stderr.write("\n".join(map(_escaped, text.split("\n"))) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    file: IO[str] | None = None,
    shorten: Collection[str] = (),
) -> None:
    """Prints a table as wide as the terminal, or wider where a time, an address or another word would be broken.

    Long values of the columns in `shorten` lose their middle, so that each row is one line of at most the terminal's
    width, of 100 columns where there is no terminal, and of 80 in a narrower one. Columns of numbers are aligned right.
    Cells are never read as markup. No header where all column names are empty.
    """
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.show_header = any(columns)
    body = [list(row) for row in rows]
    width = max(80, Console().width) if "COLUMNS" in os.environ or sys.stdout.isatty() else 100
    if shorten:
        body = _shortened_to(width, columns, body, shorten)
    for i, name in enumerate(columns):
        numbers = bool(body) and all(isinstance(row[i], int | float) or row[i] is None for row in body)
        least = max(_longest_word(cell) for cell in (name, *(row[i] for row in body)))
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", min_width=least)
    for row in body:
        table.add_row(*[Text(printable(cell)) for cell in row])
    Console(highlight=False, file=file, width=width if shorten else None).print(table, crop=False)


def _shortened_to(
    width: int, columns: Sequence[str], body: list[list[object]], shorten: Collection[str]
) -> list[list[object]]:
    """The rows with the longest values of the columns in `shorten` cut, so that a row has `width` cells if possible."""
    cells = [(name, *(row[i] for row in body)) for i, name in enumerate(columns)]
    widths = [max(cell_len(printable(cell)) for cell in column) for column in cells]
    least = {i: max(_SHORTEST, cell_len(name)) for i, name in enumerate(columns) if name in shorten}
    left = width - 2 * (len(columns) - 1) - sum(w for i, w in enumerate(widths) if i not in least)
    most = max(widths, default=0)
    while most and sum(min(widths[i], max(most, floor)) for i, floor in least.items()) > left:
        most -= 1
    return [[middle_cut(c, max(most, least[i])) if i in least else c for i, c in enumerate(row)] for row in body]


def middle_cut(value: object, width: int) -> str:
    """A value as one line of text of at most `width` cells; a longer one has `...` in its middle."""
    text = printable(value)
    if cell_len(text) <= width:
        return text
    head = (width - 2) // 2
    return f"{set_cell_size(text, head)}...{set_cell_size(text[::-1], width - 3 - head)[::-1]}"


def _longest_word(cell: object) -> int:
    """The width of a cell's longest word, at most `_LONGEST_WORD`; a time is one word."""
    words = [printable(cell)] if isinstance(cell, datetime) else printable(cell).split()
    return min(_LONGEST_WORD, max(map(cell_len, words), default=0))


def printable(value: object) -> str:
    """A value as one line of text; control characters and direction marks are escaped."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)[:19].replace("T", " ")
    if isinstance(value, list | tuple):
        return ", ".join(printable(v) for v in value)
    return _escaped(str(value))


def _escaped(text: str) -> str:
    """The text with control characters, direction marks and line separators as JSON escapes (`\\u001b`)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else _escape(c) for c in text)


def _escape(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def iso(value: datetime) -> str:
    """ISO 8601 in UTC with microseconds. A naive time is UTC, as Spark returns times in our session."""
    return as_utc(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def short_duration(value: timedelta) -> str:
    """A duration in at most two units: `0.7s`, `4m05s`, `17h19m`, `2d03h`; negative ones with a minus: `-0.3s`."""
    sign, seconds = "-" if value < timedelta(0) else "", abs(value).total_seconds()
    if seconds < 59.95:
        return f"{sign}{seconds:.3g}s"
    for unit, size, subunit, subsize in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= size:
            return f"{sign}{int(seconds // size)}{unit}{int(seconds % size // subsize):02d}{subunit}"
    return f"{sign}1m00s"


def csv_cell(value: object) -> object:
    """A value for a CSV file: control characters are escaped, and text that a spreadsheet runs gets a leading quote."""
    text = "; ".join(map(str, value)) if isinstance(value, list) else value
    if isinstance(text, datetime):
        return iso(text)
    if not isinstance(text, str):
        return text
    return f"'{_escaped(text)}" if text.startswith(_FORMULA) else _escaped(text)


def plain(value: Any) -> Any:
    """A value with only types that JSON has: times and dates become ISO 8601 text."""
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def json_line(value: Mapping[str, Any]) -> str:
    """A value as one line of JSON, escaped as by `escaped_json`."""
    return escaped_json(json.dumps(plain(value), ensure_ascii=False))


def escaped_json(text: str) -> str:
    """One line of JSON with control characters and direction marks as JSON escapes: a parser reads the same text."""
    return _escaped(text) + "\n"
