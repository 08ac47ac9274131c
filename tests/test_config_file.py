"""YAML files: parsed in one place; what is wrong with one is a problem that names its file and place, no traceback."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from procnet.config_file import check, load_yaml, parse_yaml, read_documents, read_yaml
from procnet.errors import ConfigError, SourceError


class Port(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    names: tuple[str, ...] = ()


MIB = 1 << 20
BOMB = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
MERGES = "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60))
# (content, what is said of it)
UNREADABLE: list[tuple[str | bytes, str]] = [
    ("a: [1", "while parsing a flow sequence (line 1, column 4), expected ',' or ']'"),
    ("x: 1\na: b: c", "mapping values are not allowed here (line 2, column 5)"),
    ("a: 1\na: 2", "the key 'a' is written twice (line 1, column 1)"),
    ("x: {a: {b: 1, b: 1}}", "the key 'b' is written twice (line 1, column 8)"),
    ("1: a\n'1': b", "the key '1' is written twice"),
    ("b: {<<: {a: 1}, <<: {a: 2}}", "the key '<<' is written twice"),
    ("a: {<<: 1}", "expected a mapping or list of mappings for merging"),
    ("a: 1\n---\na: 2", "expected one YAML document, found 2"),
    ("\ta: 1", "found character '\\t' that cannot start any token (line 1, column 1)"),
    # tags: only those of JSON's values
    ("a: !!int abc", "'abc' is no int (line 1, column 4)"),
    ("a: !!int ''", "'' is no int"),
    ("a: !!float x", "'x' is no float"),
    ("a: !!bool soon", "'soon' is no bool (line 1, column 4)"),
    ("a: !!map [b]", "expected a mapping of keys to values (line 1, column 4)"),
    ("a: !!seq b", "expected a sequence node"),
    ("a: !!timestamp soon", "could not determine a constructor"),
    ("a: !!binary eA==", "could not determine a constructor"),
    ("a: !!set {b}", "could not determine a constructor"),
    ("a: !!python/object:os.system x", "could not determine a constructor"),
    # keys
    ("? [1]\n: 2", "a list or mapping as a key: a key is text (line 1, column 3)"),
    ("? {a: b}\n: 2", "a list or mapping as a key"),
    (f"? {'k' * 300}\n: 2", "a key of 300 characters: at most 256 are read (line 1, column 3)"),
    # characters
    (b"a: \xff", "no UTF-8 at byte 3"),
    ("a: \u00e9".encode("latin-1"), "no UTF-8 at byte 3"),
    ("a: 1".encode("utf-16"), "no UTF-8 at byte 0: it is UTF-16; save it as UTF-8"),
    ("a: \x07", "the character U+0007 at position 3 is not allowed"),
    ("a: \0", "the character U+0000 at position 3 is not allowed"),
    (r'a: "\ud800"', "the character U+D800 is no text in UTF-8 that can be stored (line 1, column 4)"),
    (r'a: "\ud83d\ude00"', "the character U+D83D is no text"),
    (r'"\udc00": 1', "the character U+DC00 is no text"),
    (r'a: "b\0c"', "the character U+0000 is no text"),
    (r'a: "\UFFFFFFFF"', "a value cannot be read"),
    (r'a: "\U00110000"', "a value cannot be read: chr() arg not in range(0x110000) (line 1, column"),
    # sizes
    ("a: 1 #" + "x" * MIB, "cannot be read: it is larger than 1048576 bytes, the most that is read"),
    ("[" * 10_000, "nested too deeply: more than 32 in each other (line 1, column 33)"),
    ("- " * 10_000, "nested too deeply"),
    ("{a: " * 10_000, "nested too deeply"),
    ("---\n" * 101, "more than 100 documents"),
    (f"a: {'x' * 70_000}", "a text of 70000 characters: at most 65536 are read (line 1, column 4)"),
    (f"a: {'9' * 5_000}", "a number of 5000 characters: at most 100 are read (line 1, column 4)"),
    (f"a: 0x{'f' * 100_000}", "a number of 100002 characters"),
    # aliases
    ("a: *b", "found undefined alias 'b' (line 1, column 4)"),
    ("a: &a [*a]", "*a stands inside of &a, and would have no end (line 1, column 8)"),
    ("a: &a {<<: *a}", "*a stands inside of &a"),
    ("a: &a 1\n---\nb: &a [*a]", "*a stands inside of &a"),
    (f"a0: &a0 [x]\n{BOMB}", "more than 50000 values, counting those that aliases repeat (line 6, column 20)"),
    (f"a0: &a0 {{x: 1}}\n{MERGES}", "more than 50000 values, counting those that aliases repeat"),
    (f"a: &a {'x' * 60_000}\nb: [{'*a, ' * 100}]", "more than 1048576 characters, counting those that aliases repeat"),
]


@pytest.mark.parametrize(("text", "problem"), UNREADABLE, ids=[p for _, p in UNREADABLE])
def test_a_file_that_cannot_be_parsed_is_one_problem(tmp_path: Path, text: str | bytes, problem: str) -> None:
    file = tmp_path / "a.yml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
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
    assert read_yaml(tmp_path) == (None, [f"{tmp_path}: cannot be read: it is a folder, no file"])
    pipe, link = tmp_path / "pipe.yml", tmp_path / "link.yml"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "nowhere.yml")
    for file, problem in (
        (Path("/dev/zero"), "it is a device or a pipe, no file"),
        (pipe, "it is a device or a pipe, no file"),
        (link, "No such file or directory"),
        (Path("a\0b.yml"), "embedded null byte"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        _, [line] = read_yaml(file)
        assert line.endswith(f"cannot be read: {problem}")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="an administrator may read every file")
def test_a_file_without_permission_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("a: 1")
    (tmp_path / "a.yml").chmod(0)
    assert read_yaml(tmp_path / "a.yml")[1] == [f"{tmp_path / 'a.yml'}: cannot be read: Permission denied"]


def test_a_name_that_no_message_could_show_is_escaped(tmp_path: Path) -> None:
    for file, shown in ((tmp_path / "a\nb.yml", "a\\nb.yml"), (tmp_path / os.fsdecode(b"\xff.yml"), "\\udcff.yml")):
        file.write_text("[")
        [line] = read_yaml(file)[1]
        assert line.startswith(f"{tmp_path}/{shown}: not readable as YAML")


# What a value is, where YAML 1.1, YAML 1.2 and people disagree.
VALUES: list[tuple[str, Any]] = [
    ("1:30", "1:30"), ("10:00:00", "10:00:00"), ("010", "010"), ("-010", "-010"), ("0o17", "0o17"), ("1e3", "1e3"),
    ("10", 10), ("-0", 0), ("+7", 7), ("0x50", 80), ("0b11", 3), ("1_000", 1000), ("1.5", 1.5), ("01.5", "01.5"),
    (".5", 0.5), ("1.5e+3", 1500.0), (".inf", math.inf), ("-.inf", -math.inf),
    ("2026-02-30", "2026-02-30"), ("2026-01-01", "2026-01-01"), ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("yes", True), ("no", False), ("on", True), ("off", False), ("true", True), ("'no'", "no"), ("y", "y"),
    ("null", None), ("~", None), ("", None), ("=", "="), ("<<", "<<"), ("!!str 1", "1"),
    ("'\U0001f600'", "\U0001f600"), (r'"\U0001f600\u202e"', "\U0001f600\u202e"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_value_is_what_it_looks_like(tmp_path: Path, text: str, value: Any) -> None:
    file = tmp_path / "a.yml"
    file.write_text(f"a: {text}\n", encoding="utf-8")
    assert read_yaml(file) == ({"a": value}, [])


def test_a_key_is_text(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("1: a\nyes: b\nnull: c\n2026-02-30: d\n? e\n: {<<: {1.5: f}}\n")
    assert read_yaml(file) == (
        {"1": "a", "yes": "b", "null": "c", "2026-02-30": "d", "e": {"1.5": "f"}},
        [],
    )


@pytest.mark.parametrize("text", ["", "# only\n# comments\n", "---\n", "---\n...\n", "\ufeff", "\n\n", "null"])
def test_nothing_is_no_value_and_no_problem(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.yml"
    file.write_text(text, encoding="utf-8")
    assert read_yaml(file) == (None, [])
    assert parse_yaml(text, "here") == (None, [])


def test_a_bom_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("\ufeffa: 1\n", encoding="utf-8")
    assert read_yaml(file) == ({"a": 1}, [])


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
        "names.1: expected text: put it in quotes (found 1)",
    ]),
    ({"names": "a"}, ["number: Field required", "names: expected a list (found 'a')"]),
    (None, ["expected a mapping of keys to values (found nothing)"]),
    ([1], ["expected a mapping of keys to values (found [1])"]),
    ({"number": 1, "names": [[1]]}, ["names.0: expected text (found [1])"]),
    ({"number": math.nan}, ["number: Input should be a finite number (found nan)"]),
    ({"number": 1, "a\n\u202e": 1}, ["a\\n\\u202e: Extra inputs are not permitted (found 1)"]),
    ({"number": 1} | {f"k{i}": 1 for i in range(99)},
     [*(f"k{i}: Extra inputs are not permitted (found 1)" for i in range(20)), "and 79 more problems"]),
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
