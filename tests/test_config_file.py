"""YAML files: parsed in one place; what is wrong with one is a problem that names its file and place, no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from procnet.config_file import check, load_yaml, read_documents, read_yaml
from procnet.errors import ConfigError, SourceError


class Port(BaseModel):
    number: int
    names: tuple[str, ...] = ()


UNREADABLE: list[tuple[bytes, str]] = [
    (b"a: [1", "while parsing a flow sequence (line 1, column 4), expected ',' or ']'"),
    (b"x: 1\na: b: c", "mapping values are not allowed here (line 2, column 5)"),
    (b"a: 1\na: 2", "the key 'a' is written twice (line 1, column 1)"),
    (b"x: {a: {b: 1, b: 1}}", "the key 'b' is written twice (line 1, column 8)"),
    (b"a: 2026-13-01", "month must be in 1..12"),
    (b"a: !!bool soon", "a value cannot be read"),
    (b"a: !!timestamp soon", "a value cannot be read"),
    (b"a: !!python/object:os.system x", "could not determine a constructor"),
    (b"[" * 5000, "nested too deeply"),
    (b"a: \xff", "no UTF-8 at byte 3"),
    (b"a: \x07", "special characters are not allowed"),
    (b"? [1]\n: 2", "unhashable key"),
    (b"a: 1\n---\na: 2", "expected one YAML document, found 2"),
]


@pytest.mark.parametrize(("text", "problem"), UNREADABLE, ids=[p for _, p in UNREADABLE])
def test_a_file_that_cannot_be_parsed_is_one_problem(tmp_path: Path, text: bytes, problem: str) -> None:
    file = tmp_path / "a.yml"
    file.write_bytes(text)
    values, problems = read_yaml(file)
    assert values is None
    [line] = problems
    assert line.startswith(f"{file}: ")
    assert problem in line
    assert "\n" not in line


def test_a_file_that_cannot_be_opened_is_one_problem(tmp_path: Path) -> None:
    assert read_yaml(tmp_path / "none.yml") == (
        None,
        [f"{tmp_path / 'none.yml'}: cannot be read: No such file or directory"],
    )
    assert read_yaml(tmp_path) == (None, [f"{tmp_path}: cannot be read: Is a directory"])


def test_anchors_and_merged_keys_are_no_duplicates(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("deep: {er: {a: &a {<<: {x: 0}, x: 1}}}\nb: {<<: *a, x: 2}\n")
    assert read_yaml(file) == ({"deep": {"er": {"a": {"x": 1}}}, "b": {"x": 2}}, [])


def test_a_stream_has_all_its_documents(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("a: 1\n---\n---\nb: 2\n")
    assert read_documents(file) == ([{"a": 1}, None, {"b": 2}], [])


# (values, the lines that say what is wrong with them)
INVALID: list[tuple[Any, list[str]]] = [
    ({"number": "x" * 99, "names": ["a", 1]}, [
        "number: Input should be a valid integer, unable to parse string as an integer (found '" + "x" * 56 + "...)",
        "names.1: Input should be a valid string (found 1)",
    ]),
    ({"names": "a"}, ["number: Field required", "names: expected a list (found 'a')"]),
    (None, ["expected a mapping of keys to values (found nothing)"]),
    ([1], ["expected a mapping of keys to values (found [1])"]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "problems"), INVALID)
def test_every_problem_names_place_and_value(values: Any, problems: list[str]) -> None:
    assert check(values, Port, "here") == (None, [f"here: {p}" for p in problems])


def test_a_file_is_loaded_or_all_that_is_wrong_with_it_is_raised(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("number: 80\n")
    assert load_yaml(file, Port) == Port(number=80)
    assert load_yaml(file, dict[str, int]) == {"number": 80}
    file.write_text("number: a\nnames: b\n")
    with pytest.raises(SourceError) as e:
        load_yaml(file, Port, error=SourceError, hint="do this")
    assert [line.startswith(f"{file}: ") for line in e.value.message.splitlines()] == [True, True]
    assert (e.value.hint, e.value.exit_code) == ("do this", 2)


def test_an_empty_file_is_what_the_caller_says(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("# nothing\n")
    assert load_yaml(file, list[int], empty=[]) == []
    with pytest.raises(ConfigError, match="found nothing"):
        load_yaml(file, Port)
