"""YAML that people write: parsed, checked against a model; every problem names the file, the place and the value found.

This module has the package's only call of the YAML parser, so a limit on what is read belongs here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from procnet.errors import ConfigError

T = TypeVar("T")

# PyYAML's constructors raise more than YAMLError: `2026-13-01` is a ValueError, `!!bool x` a KeyError, `!!timestamp x`
# an AttributeError, and a thousand nested brackets a RecursionError.
_PARSE_ERRORS = (
    yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError, RecursionError,
)  # fmt: skip
_EXPECTED = {
    **dict.fromkeys(("model_type", "dict_type"), "expected a mapping of keys to values"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
}


@dataclass(frozen=True)
class UnusableFile:
    """A file or table row that cannot be used: the names a user may give it, in lower case, and its problems."""

    names: frozenset[str]
    problems: tuple[str, ...]


def load_yaml(
    path: Path,
    model: type[T],
    *,
    empty: Any = None,
    error: type[ConfigError] = ConfigError,
    hint: str | None = None,
) -> T:
    """The content of a YAML file as a `model`, any type that pydantic can check; `empty` if the file has no content.

    Raises `error` with every problem of the file.
    """
    values, problems = read_yaml(path)
    if not problems:
        loaded, problems = check(empty if values is None else values, model, path)
        if loaded is not None:
            return loaded
    raise error("\n".join(problems), hint=hint)


def read_yaml(path: Path) -> tuple[Any, list[str]]:
    """The unchecked values of a YAML file, None if it is empty, and the problems that kept it from being read."""
    documents, problems = read_documents(path)
    if len(documents) > 1:
        problems.append(f"{path}: expected one YAML document, found {len(documents)} separated by ---")
    return documents[0] if documents and not problems else None, problems


def read_documents(path: Path) -> tuple[list[Any], list[str]]:
    """The unchecked values of every YAML document of a file, and the problems that kept it from being read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        return [], [f"{path}: cannot be read: {e.strerror}"]
    except UnicodeDecodeError as e:
        return [], [f"{path}: not readable as YAML: no UTF-8 at byte {e.start}"]
    return _parse(text, path)


def parse_yaml(text: str, where: str) -> tuple[Any, list[str]]:
    """The unchecked values of YAML text, such as a table's column; `where` names it in the problems."""
    documents, problems = _parse(text, where)
    return documents[0] if documents else None, problems


def check(values: Any, model: type[T], where: Path | str) -> tuple[T | None, list[str]]:
    """Values from `read_yaml` or a table row as a `model`; None and every problem where they are not valid.

    A problem reads `where: place.in.the.file: what is wrong (found 'value')`.
    """
    try:
        return TypeAdapter(model).validate_python(values), []
    except ValidationError as e:
        return None, [f"{where}: {_problem(p)}" for p in e.errors()]


def shortened(value: object) -> str:
    """A value as a problem shows it, in at most 60 characters."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _problem(error: ErrorDetails) -> str:
    place = "".join(f"{part}." for part in error["loc"])[:-1]
    message = _EXPECTED.get(error["type"], error["msg"].removeprefix("Value error, "))
    # The value found for a missing key would be the whole mapping around it.
    found = "" if error["type"] == "missing" else f" (found {shortened(error['input'])})"
    return f"{place}: {message}{found}" if place else f"{message}{found}"


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice: YAML's own rule, which PyYAML breaks by taking the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = Counter((key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [value for (_, value), times in keys.items() if times > 1]:
            raise yaml.MarkedYAMLError(problem=f"the key {twice[0]!r} is written twice", problem_mark=node.start_mark)
        return node


def _parse(text: str, where: Path | str) -> tuple[list[Any], list[str]]:
    try:
        return list(yaml.load_all(text, Loader=_Loader)), []
    except _PARSE_ERRORS as e:
        return [], [f"{where}: not readable as YAML: {_cause(e)}"]


def _cause(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "brackets or blocks are nested too deeply"
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"a value cannot be read: {' '.join(str(error).split())}"
    context = error.context and f"{error.context}{_at(error.context_mark)}"
    return ", ".join(filter(None, (context, f"{error.problem}{_at(error.problem_mark)}")))


def _at(position: Any) -> str:
    return "" if position is None else f" (line {position.line + 1}, column {position.column + 1})"
