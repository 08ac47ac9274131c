"""What a person or a program sees: tables, one JSON object, and text of unknown origin made harmless."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from procnet.periods import as_utc

# Formulas run when a spreadsheet opens the file; a leading quote makes them text (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# The longest word that is never folded: an IPv6 address has 39 characters. Longer ones are paths and command lines.
_WORD = 40


def shown(value: object) -> str:
    """A value as one harmless line: control and direction characters of hostile text are spelled out, not obeyed."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)[:19].replace("T", " ")
    if isinstance(value, list | tuple):
        return ", ".join(shown(v) for v in value)
    return _spelled(str(value))


def _spelled(text: str) -> str:
    """Text whose characters are shown and none obeyed: controls, directions and line separators as JSON escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or unicodedata.category(c) == "Zs" else _escape(c) for c in text)


def _escape(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def iso(value: datetime) -> str:
    """ISO 8601 in UTC with microseconds; a naive time is UTC, as Spark hands it out under our session."""
    return as_utc(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def age(value: timedelta) -> str:
    """How long in few letters: `0.7s`, `4m05s`, `17h19m`, `2d03h`; below zero where a clock was late: `-0.3s`."""
    sign, seconds = "-" if value < timedelta(0) else "", abs(value).total_seconds()
    if seconds < 59.95:
        return f"{sign}{seconds:.3g}s"
    for big, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= size:
            return f"{sign}{int(seconds // size)}{big}{int(seconds % size // part):02d}{small}"
    return f"{sign}1m00s"


def csv_cell(value: object) -> object:
    """A value for a CSV file that a spreadsheet may open, or that is printed."""
    text = "; ".join(map(str, value)) if isinstance(value, list) else value
    if isinstance(text, datetime):
        return iso(text)
    if not isinstance(text, str):
        return text
    return f"'{_spelled(text)}" if text.startswith(_FORMULA) else _spelled(text)


def plain(value: Any) -> Any:
    """A value as JSON knows it."""
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
    """A value as one line of JSON; a reader gets the very text back, a terminal nothing that it would obey."""
    return json_text(json.dumps(plain(value), ensure_ascii=False))


def json_text(text: str) -> str:
    """JSON as one line that is as harmless: what a terminal would obey stands within its texts alone, as escapes."""
    return _spelled(text) + "\n"


def print_json(value: Mapping[str, Any]) -> None:
    """The one object that `--json` promises."""
    sys.stdout.write(json_line(value))


def say(text: str) -> None:
    """A line for a person, beside the result: on stderr."""
    sys.stderr.write("\n".join(map(_spelled, text.split("\n"))) + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    file: IO[str] | None = None,
) -> None:
    """A table that fits the terminal as far as no time, address or other word must be folded for it; numbers to the
    right, nothing in a cell is markup. No header where no column has a name."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.show_header = any(columns)
    body = [list(row) for row in rows]
    for i, name in enumerate(columns):
        numbers = bool(body) and all(isinstance(row[i], int | float) or row[i] is None for row in body)
        least = max(_unbroken(cell) for cell in (name, *(row[i] for row in body)))
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", min_width=least)
    for row in body:
        table.add_row(*[Text(shown(cell)) for cell in row])
    Console(highlight=False, file=file).print(table, crop=False)


def _unbroken(cell: object) -> int:
    """The width that a cell needs so that nothing is folded within a word; a time is one word."""
    words = [shown(cell)] if isinstance(cell, datetime) else shown(cell).split()
    return min(_WORD, max(map(cell_len, words), default=0))
