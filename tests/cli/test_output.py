"""Untrusted text stays text in a terminal, in CSV and in JSON."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone

import pytest

from procnet.cli.findings import print_findings
from procnet.cli.output import csv_cell, iso, json_line, plain, print_table, printable, short_duration


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
    assert printable(value) == expected


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


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"), (0.25, "0.25s"), (-0.3, "-0.3s"), (59.96, "1m00s"), (60, "1m00s"), (245, "4m05s"),
        (3600, "1h00m"), (62_383, "17h19m"), (97_200, "1d03h"), (-62_383, "-17h19m"),
    ],
)  # fmt: skip
def test_a_short_duration_has_at_most_two_units(seconds: float, expected: str) -> None:
    assert short_duration(timedelta(seconds=seconds)) == expected


def test_nothing_is_folded_within_a_word_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out, ip = io.StringIO(), "2001:db8:1111:2222:3333:4444:5555:6666"
    at = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
    print_table(("connection", "destination", "why"), [(at, ip, "words may go on in the next line")], file=out)
    assert "2026-03-01 08:00:00" in out.getvalue()
    assert ip in out.getvalue()
    assert "words may go on" not in out.getvalue()
    assert {"words", "may", "line"} <= set(out.getvalue().split())


@pytest.mark.parametrize(("terminal", "width"), [(None, 100), ("40", 80), ("80", 80), ("120", 120)])
def test_findings_of_one_connection_are_rows_of_one_line_that_differ(
    terminal: str | None, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if terminal:
        monkeypatch.setenv("COLUMNS", terminal)
    row = {
        "event_time": datetime(2026, 3, 1, 8, tzinfo=timezone.utc), "host": "workstation-0017.corp.example",
        "user": "CORP\\a-rather-long-account-name", "process_name": "a_program_with_a_long_name.exe",
        "process_id": 4711, "dest_host": None, "dest_ip": "2001:db8:1111:2222:3333:4444:5555:6666", "dest_port": 443,
    }  # fmt: skip
    found = [("low", "Windows HTTP Network Communication From MSIExec"), ("high", "Windows Binaries That Connect")]
    out = io.StringIO()
    print_findings([row | {"severity": s, "detection_name": d} for s, d in found], file=out)
    head, first, second = [line.rstrip() for line in out.getvalue().splitlines()]
    assert head.split() == ["time", "severity", "detection", "host", "user", "process", "destination"]
    assert max(len(head), len(first), len(second)) <= width
    for line, start, end in ((first, "low       Win", "ec "), (second, "high      Win", "ct ")):
        assert line.startswith(f"2026-03-01 08:00:00  {start}")
        assert end in line
        assert line.endswith(":443")


LONG = "a-host-name-much-too-long-for-its-column.files-and-more.cdn.example"


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"dest_name": "a.example", "dest_name_by": "process", "dest_host": "ptr.example"}, "a.example:443"),
        ({"dest_name": "a.example", "dest_name_by": "record"}, "a.example:443"),
        ({"dest_name": "a.example", "dest_name_by": "host"}, "(a.example):443"),
        ({"dest_name": "ptr.example", "dest_name_by": "reverse", "dest_host": "ptr.example"}, "(ptr.example):443"),
        ({"dest_host": "old.example"}, "(old.example):443"),  # of a run that worked no names out
        ({"dest_name": "a.example", "dest_name_by": "reverse", "dest_port": None}, "(a.example)"),
        ({"dest_name": LONG, "dest_name_by": "reverse"}, "(a-host-name-much....cdn.example):443"),
        ({"dest_name": None, "dest_name_by": None}, "192.0.2.7:443"),
        ({"dest_ip": "2001:db8::7"}, "[2001:db8::7]:443"),
        ({"dest_ip": None, "dest_port": None}, ""),
    ],
)
def test_a_destination_of_a_less_certain_name_is_in_parentheses(
    row: dict[str, object], shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    base = {"severity": "low", "dest_ip": "192.0.2.7", "dest_port": 443}
    print_findings([{**base, "event_time": datetime(2026, 3, 1, 8, tzinfo=timezone.utc), **row}])
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split() == ["2026-03-01", "08:00:00", "low", *([shown] if shown else [])]
    assert err.startswith("a destination in parentheses") == shown.startswith("(")


def test_json_gives_the_very_text_back_and_is_harmless() -> None:
    text = "\x1b[31m \u202egpj.exe \u2028 \x7f \U000e0041 é 漢"
    line = json_line({"t": text})
    assert json.loads(line) == {"t": text}
    assert line.isprintable() is False
    assert line.rstrip("\n").isprintable()
