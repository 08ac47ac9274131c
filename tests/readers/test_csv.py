"""CSV with a header: every row is a record, cells with line breaks and long cells included."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from procnet.readers.record import Record
from readers.record_files import lines_and_texts, read, write_file

CSV: dict[str, tuple[str, list[tuple[int, dict[str, str]]]]] = {
    "plain": ("a,b\n1,2\n3,4\n", [(2, {"a": "1", "b": "2"}), (3, {"a": "3", "b": "4"})]),
    "no line break at the end": ("a,b\r\n1,2", [(2, {"a": "1", "b": "2"})]),
    "tabs": ("a\tb\n1,5\t2\n", [(2, {"a": "1,5", "b": "2"})]),
    "one column": ("a\n1\n", [(2, {"a": "1"})]),
    "cells of several lines": (
        'a,Message\n1,"x: 1\r\ny: ""2"""\n3,z\n',
        [(2, {"a": "1", "Message": 'x: 1\r\ny: "2"'}), (4, {"a": "3", "Message": "z"})],
    ),
    "blank lines": ("a,b\n\n1,2\n\n3,4\n", [(3, {"a": "1", "b": "2"}), (5, {"a": "3", "b": "4"})]),
    "blanks around names": (" a , b\n1, 2\n", [(2, {"a": "1", "b": " 2"})]),
    "empty cells": ("a,b\n,\n", [(2, {"a": "", "b": ""})]),
    "unicode": ("a,b\né,\u2028\n", [(2, {"a": "é", "b": "\u2028"})]),
    "a header only": ("a,b\n", []),
    "empty": ("", []),
}


@pytest.mark.parametrize("case", CSV)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv(tmp_path: Path, case: str, encoding: str) -> None:
    text, expected = CSV[case]
    found = lines_and_texts(write_file(tmp_path, "a.csv", text.encode(encoding)), "csv")
    assert [(line, json.loads(row)) for line, row in found] == expected


def test_a_csv_row_with_more_or_fewer_cells_does_not_end_the_file(tmp_path: Path) -> None:
    path = write_file(tmp_path, "a.csv", "a,b\n1\n1,2,3\n4,5\n")
    assert read(path, "csv") == [
        Record(2, '["1"]', "1 cells under 2 names"),
        Record(3, '["1", "2", "3"]', "3 cells under 2 names"),
        Record(4, '{"a": "4", "b": "5"}'),
    ]


def test_a_csv_quote_that_never_ends_is_one_record_with_a_problem(tmp_path: Path) -> None:
    """No row behind the quote can be recognized: the rest of the file is one record."""
    first, rest = read(write_file(tmp_path, "a.csv", 'a,b\n1,2\n"3,4\n5,6\n'), "csv")
    assert (first.line, first.problem, rest.line, rest.problem) == (2, None, 3, "1 cells under 2 names")


def test_long_csv_cells(tmp_path: Path) -> None:
    """A script block can be longer than 128 KB, the limit of Python's reader."""
    cell = "x y\n" * 100_000
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], [cell, "1"], ["2", "3"]])
    found = lines_and_texts(write_file(tmp_path, "a.csv", text.getvalue()), "csv")
    assert [(line, json.loads(row)) for line, row in found] == [
        (2, {"a": cell, "b": "1"}),
        (100_003, {"a": "2", "b": "3"}),
    ]
