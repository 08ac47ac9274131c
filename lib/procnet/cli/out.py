"""What a person or a program sees: tables, one JSON object, and text of unknown origin made harmless."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from procnet.types import as_utc

# Formulas run when a spreadsheet opens the file; a leading quote makes them text (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown(value: object) -> str:
    """A value as one harmless line: control and direction characters of hostile text are spelled out, not obeyed."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso(value)[:19].replace("T", " ")
    if isinstance(value, list | tuple):
        return ", ".join(shown(v) for v in value)
    return "".join(c if unicodedata.category(c)[0] != "C" else f"\\u{ord(c):04x}" for c in str(value))


def iso(value: datetime) -> str:
    """ISO 8601 in UTC with microseconds; a naive time is UTC, as Spark hands it out under our session."""
    return as_utc(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def csv_cell(value: object) -> object:
    """A value for a CSV file that a spreadsheet may open."""
    text = "; ".join(map(str, value)) if isinstance(value, list) else value
    if isinstance(text, datetime):
        return iso(text)
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text


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


def print_json(value: Mapping[str, Any]) -> None:
    """The one object that `--json` promises."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """A line for a person, beside the result: on stderr."""
    sys.stderr.write(text + "\n")


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    file: IO[str] | None = None,
) -> None:
    """A table that fits the terminal; numbers to the right, nothing in a cell is markup."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    body = [list(row) for row in rows]
    for i, name in enumerate(columns):
        numbers = bool(body) and all(isinstance(row[i], int | float) or row[i] is None for row in body)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in body:
        table.add_row(*[Text(shown(cell)) for cell in row])
    Console(highlight=False, file=file).print(table)
