"""Every bad input ends as its case declares; docs/bad-inputs.md is made of the same cases."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bad_inputs import raw_files, yaml_and_commands
from bad_inputs.case import Case, Reader, matches, shown
from bad_inputs.valid_files import DETECTION, EXCLUSION, SETTINGS, SOURCE

GROUPS = (*yaml_and_commands.GROUPS, *raw_files.GROUPS)
CASES = [case for _, cases in GROUPS for case in cases]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(c, id=f"{c.reader.where}: {c.name}", marks=[pytest.mark.spark] if c.reader.spark else [])
        for c in CASES
    ],
)
def test_a_bad_input_ends_as_declared(case: Case, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if case.reader.spark:
        request.getfixturevalue("spark")
    outcome = case.reader.read(case.content, tmp_path)
    assert matches(case.says, outcome.said, tmp_path), shown(outcome.said, tmp_path)
    assert outcome.code == case.code
    assert outcome.rest_is_good is not case.loses_a_good_one


def test_no_row_of_the_page_is_there_twice() -> None:
    rows = Counter((case.name, case.reader.where) for case in CASES)
    assert [row for row, times in rows.items() if times > 1] == []


@pytest.mark.parametrize(
    ("reader", "valid"),
    [
        (yaml_and_commands.DETECT, DETECTION),
        (yaml_and_commands.EXCLUDE, EXCLUSION),
        (yaml_and_commands.SHOW_SOURCE, SOURCE),
        (yaml_and_commands.SET, SETTINGS),
    ],
    ids=["detection", "exclusion", "source", "settings"],
)
def test_a_file_without_the_change_is_valid(reader: Reader, valid: str, tmp_path: Path) -> None:
    """So it is the change that a case is refused for."""
    outcome = reader.read(valid, tmp_path)
    assert (outcome.code, list(outcome.said)) == (0, [])
