"""The house holds: sizes of folders, modules and signatures, the field's words, and no path that leads nowhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "lib" / "procnet"
CODE = ("lib", "jobs", "bench")
FOLDERS = (*CODE, "tests")

LARGEST_FOLDER = 0.12  # of the package's lines
LONGEST_MODULE = 400  # lines
MOST_PARAMETERS = 6

# Words that earlier code used in a sense of its own, and what to write instead.
DIALECT = {
    "asked": "query, requested, options",
    "told": "the thing itself: problems, lines, report, known_since",
    "tell": "progress, log, message",
    "tells": "progress, log, message",
    "lives": "process_instances",
    "mark": "fingerprint, lookback_us, digest, started",
    "marks": "fingerprints, digests",
    "marked": "flagged",
    "alone": "self_described",
    "wide": "any_process",
    "held": "collected, cached, retained",
    "kept": "collected, cached, retained",
    "meet": "matching_keys",
    "meets": "matching_keys",
    "met": "matching_keys",
    "disturbed": "affected",
    "settle": "complete, materialized",
    "settles": "complete, materialized",
    "settled": "complete, materialized",
}
DIALECT_NAMES = {
    "Seen": "CoveredRange",
    "Attempt": "RunAttempt",
    "until_alone": "retry_on_conflict",
    "ran_as": "run_fingerprints",
}
# Names of pytest and PyYAML.
OTHERS_NAMES = {
    "pytest.mark",
    "pytest.marks",
    "problem_mark",
    "start_mark",
    "end_mark",
    "context_mark",
    "get_mark",
    "MarkedYAMLError",
}

USERS_FILES = {"conf/exclusions/own.yml"}  # that the documents tell users to write


def python_files(*folders: str) -> list[Path]:
    return sorted(f for folder in folders for f in (ROOT / folder).rglob("*.py"))


@cache
def source(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(source(file))


def lines(file: Path) -> int:
    return len(source(file).splitlines())


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def identifiers(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every identifier that the file binds or uses, and of the aliases in its SQL."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Attribute):
            of_pytest = isinstance(node.value, ast.Name) and node.value.id == "pytest"
            yield node.lineno, f"pytest.{node.attr}" if of_pytest else node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.value.lineno, "pytest.marks" if node.arg == "marks" else node.arg  # of pytest.param
        elif isinstance(node, ast.alias):
            yield node.lineno, node.asname or node.name.rpartition(".")[2]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for alias in re.findall(r"\b(?:AS|as) ([a-z_]+)\b(?=$|[,;)])", node.value):
                yield node.lineno, alias


def dialect_of(identifier: str) -> Iterator[tuple[str, str]]:
    """The words of the dialect in an identifier, each with what to write instead."""
    if identifier in OTHERS_NAMES:
        return
    if identifier in DIALECT_NAMES:
        yield identifier, DIALECT_NAMES[identifier]
    for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", identifier):
        if word.lower() in DIALECT:
            yield word.lower(), DIALECT[word.lower()]


def test_no_folder_holds_more_than_an_eighth_of_the_package() -> None:
    sizes = {f.name: sum(map(lines, f.rglob("*.py"))) for f in PACKAGE.iterdir() if f.is_dir()}
    total = sum(map(lines, PACKAGE.rglob("*.py")))
    shares = {folder: round(size / total, 3) for folder, size in sizes.items()}
    assert {folder: share for folder, share in shares.items() if share > LARGEST_FOLDER} == {}


def test_no_module_is_too_long_to_read_in_one_go() -> None:
    assert {name(f): lines(f) for f in python_files(*CODE) if lines(f) > LONGEST_MODULE} == {}


def test_no_function_has_more_than_six_parameters() -> None:
    """But the commands, whose parameters are options; `self` and `cls` are not counted."""
    found = {}
    for file in python_files(*CODE):
        if PACKAGE / "cli" in file.parents:
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                count = len([n for n in names if n not in ("self", "cls")])
                if count > MOST_PARAMETERS:
                    found[f"{name(file)}:{node.lineno} {node.name}"] = count
    assert found == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_identifiers_are_the_words_of_the_field(folder: str) -> None:
    found = {
        f"{name(file)}:{line} {identifier}: write {instead} for {word!r}"
        for file in python_files(folder)
        if file != Path(__file__)
        for line, identifier in identifiers(file)
        for word, instead in dialect_of(identifier)
    }
    assert not found, "\n".join(sorted(found))


def test_every_path_that_the_code_names_exists() -> None:
    """Paths from the root, and modules by folder and name (`attribution/resolve.py`) below lib/procnet or tests."""
    folders = "|".join(sorted({f.name for start in (PACKAGE, ROOT / "tests") for f in start.iterdir() if f.is_dir()}))
    files = [*python_files(*FOLDERS, ".ci"), ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "pyproject.toml"]
    from_root = re.compile(r"(?<![\w./~-])(?:lib|tests|docs|bench|conf|jobs)/[\w-][\w./-]*\w")
    module = re.compile(rf"(?<![\w./~-])(?:{folders})/[a-z_]+\.py\b")
    found = set()
    for file in files:
        for path in {*from_root.findall(source(file)), *module.findall(source(file))}:
            if path in USERS_FILES or re.search(r"\b[A-Z]+\b", path):  # of the user's choice: conf/sources/NAME.yml
                continue
            if not any((start / path).exists() for start in (ROOT, PACKAGE, ROOT / "tests", file.parent)):
                found.add(f"{name(file)} names {path}")
    assert not found, "\n".join(sorted(found))


def test_yaml_is_read_in_one_place() -> None:
    files = {
        name(file)
        for file in python_files("lib")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "yaml"
        and re.search("load|compose|parse|scan", node.attr, re.IGNORECASE)
    }
    assert files == {"lib/procnet/config_file.py"}
