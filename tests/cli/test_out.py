"""Text of unknown origin is data in a terminal, in CSV and in JSON."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone

import pytest

from procnet.cli.out import csv_cell, iso, plain, print_table, shown


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "\\u001b[31mred\\u001b[0m"),
        ("a\nb\tc\x07", "a\\u000ab\\u0009c\\u0007"),
        ("cod\u202eexe.txt", "cod\\u202eexe.txt"),
        (None, ""),
        (443, "443"),
        (["a", "b"], "a, b"),
        (datetime(2026, 3, 1, 8, 0, 0, 5, tzinfo=timezone.utc), "2026-03-01 08:00:00"),
    ],
)
def test_control_characters_are_spelled_out(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_markup_in_a_cell_is_text() -> None:
    out = io.StringIO()
    print_table(("a",), [("[bold red]x[/]",), ("[link=file:///etc]y",)], file=out)
    assert "[bold red]x[/]" in out.getvalue()
    assert "[link=file:///etc]y" in out.getvalue()


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A1", "+1", "-x", "@SUM(A1)"])
def test_a_formula_in_a_csv_cell_is_text(text: str) -> None:
    assert csv_cell(text) == "'" + text


def test_times_are_utc_with_microseconds() -> None:
    assert iso(datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=2)))) == "2026-03-01T08:00:00.000000Z"
    assert (
        json.dumps(plain({"t": datetime(2026, 3, 1, tzinfo=timezone.utc), "l": [None, 1]}))
        == '{"t": "2026-03-01T00:00:00.000000Z", "l": [null, 1]}'
    )
