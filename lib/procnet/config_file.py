"""YAML that people write: parsed, checked against a model; every problem names the file, the place and the value found.

This is the package's only reader of YAML. It is bounded (`_MOST_*`): the largest file that it accepts is read in
seconds, and its values, with aliases written out, are never larger than such a file.

Other than YAML 1.1, and as YAML 1.2: `1:30` and `010` are text and no numbers to the base 60 and 8; and dates are text,
which a model reads as a time where it expects one. A key is always text.
"""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from procnet.errors import ConfigError

T = TypeVar("T")

_MOST_BYTES = 1 << 20  # of a file, and of its values in characters with aliases written out
_MOST_NODES = 50_000  # values, with aliases written out; PyYAML reads some 20,000 a second
_MOST_DEPTH = 32  # of blocks and brackets in each other
_MOST_DOCUMENTS = 100
_LONGEST_TEXT = 1 << 16  # characters of a value
_LONGEST_KEY = 256
_LONGEST_NUMBER = 100
_MOST_PROBLEMS = 20  # of a file
_LONGEST_PROBLEM = 500

_EXPECTED = {
    **dict.fromkeys(("model_type", "dict_type"), "expected a mapping of keys to values"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
    "string_type": "expected text",
}
# Not in UTF-8, so no table and no message could have it; and the end of a text in C.
_NO_TEXT = re.compile("[\ud800-\udfff\0]")


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
        problems += named(path, [f"expected one YAML document, found {len(documents)} separated by ---"])
    return documents[0] if documents and not problems else None, problems


def read_documents(path: Path) -> tuple[list[Any], list[str]]:
    """The unchecked values of every YAML document of a file, and the problems that kept it from being read."""
    try:
        # Reading a FIFO would wait for a writer, reading /dev/zero would not end.
        if not stat.S_ISREG(path.stat().st_mode):
            what = "a folder" if path.is_dir() else "a device or a pipe"
            return [], named(path, [f"cannot be read: it is {what}, no file"])
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as e:
        return [], named(path, [f"cannot be read: {e.strerror}"])
    except ValueError as e:  # NUL in its name
        return [], named(path, [f"cannot be read: {e}"])
    if len(data) > _MOST_BYTES:
        return [], named(path, [f"cannot be read: it is larger than {_MOST_BYTES} bytes, the most that is read"])
    try:
        return _parse(data.decode("utf-8"), path)
    except UnicodeDecodeError as e:
        utf_16 = ": it is UTF-16; save it as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        return [], named(path, [f"not readable as YAML: no UTF-8 at byte {e.start}{utf_16}"])


def parse_yaml(text: str, where: str) -> tuple[Any, list[str]]:
    """The unchecked values of YAML text, such as a table's column; `where` names it in the problems."""
    if len(text) > _MOST_BYTES:
        return None, named(where, [f"not readable as YAML: it is longer than {_MOST_BYTES} characters"])
    documents, problems = _parse(text, where)
    return documents[0] if documents else None, problems


def check(values: Any, model: type[T], where: Path | str) -> tuple[T | None, list[str]]:
    """Values from `read_yaml` or a table row as a `model`; None and every problem where they are not valid.

    A problem reads `where: place.in.the.file: what is wrong (found 'value')`.
    """
    try:
        return TypeAdapter(model).validate_python(values), []
    except ValidationError as e:
        return None, named(where, map(_problem, e.errors(include_url=False, include_context=False)))


def named(where: Path | str, problems: Iterable[str]) -> list[str]:
    """The problems of a file, each with its name; at most 20, and each one line of at most 500 printable characters."""
    every = [f"{where}: {problem}" for problem in problems]
    lines = [printable_line(text, _LONGEST_PROBLEM + len(str(where))) for text in every[:_MOST_PROBLEMS]]
    more = (
        [printable_line(f"{where}: and {len(every) - len(lines)} more problems", 1000)] if every[len(lines) :] else []
    )
    return lines + more


def shortened(value: object) -> str:
    """A value as a problem shows it, in at most 60 characters."""
    if value is None:
        return "nothing"
    return printable_line(repr(value[:60] if isinstance(value, str) else value), 60)


def printable_line(text: str, most: int) -> str:
    """The text in at most `most` characters, with control characters and lone surrogates as Python's escapes."""
    line = text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: most + 1])
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _problem(error: ErrorDetails) -> str:
    place = ".".join(printable_line(str(part), 60) for part in error["loc"][:8])
    message = _EXPECTED.get(error["type"], error["msg"].removeprefix("Value error, "))
    if error["type"] == "string_type" and isinstance(error["input"], bool | int | float):
        message = "expected text: put it in quotes"
    # The value found for a missing key would be the whole mapping around it.
    found = "" if error["type"] == "missing" else f" (found {shortened(error['input'])})"
    return f"{place}: {message}{found}" if place else f"{message}{found}"


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the limits of this module. Raises MarkedYAMLError where one is passed.

    A key that is written twice is refused: YAML's own rule, which PyYAML breaks by taking the last one.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = self._characters = self._documents = 0
        self._sizes: dict[str, tuple[int, int]] = {}  # nodes and characters of what an anchor names

    def compose_document(self) -> yaml.Node | None:
        self._documents += 1
        self._sizes = {}
        if self._documents > _MOST_DOCUMENTS:
            self._refuse(f"more than {_MOST_DOCUMENTS} documents separated by ---", self.peek_event())  # type: ignore[no-untyped-call]
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
            if event.anchor not in self._sizes:
                self._refuse(f"*{event.anchor} stands inside of &{event.anchor}, and would have no end", event)
            self._count(*self._sizes[event.anchor], event)
            return super().compose_node(parent, index)
        before = self._nodes, self._characters
        self._count(1, len(event.value) if isinstance(event, yaml.ScalarEvent) else 0, event)
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            self._refuse(f"blocks or brackets are nested too deeply: more than {_MOST_DEPTH} in each other", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if event.anchor is not None:
            self._sizes[event.anchor] = self._nodes - before[0], self._characters - before[1]
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        most = _LONGEST_NUMBER if node.tag in (_INT, _FLOAT) else _LONGEST_TEXT
        if len(node.value) > most:
            what = "a number" if most == _LONGEST_NUMBER else "a text"
            self._refuse(f"{what} of {len(node.value)} characters: at most {most} are read", node)
        if found := _NO_TEXT.search(node.value):
            self._refuse(f"the character U+{ord(found[0]):04X} is no text in UTF-8 that can be stored", node)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse("a list or mapping as a key: a key is text", key)
            if len(key.value) > _LONGEST_KEY:
                self._refuse(f"a key of {len(key.value)} characters: at most {_LONGEST_KEY} are read", key)
        times = Counter(key.value for key, _ in node.value)
        for key, _ in node.value:
            if times[key.value] > 1:
                self._refuse(f"the key {key.value!r} is written twice", key if key.tag == _MERGE else node)
        return node

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse("expected a mapping of keys to values", node)
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=deep) for key, value in node.value}

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError):
            self._refuse(f"{shortened(node.value)} is no {node.tag.rpartition(':')[2]}", node)

    def _count(self, nodes: int, characters: int, at: Any) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > _MOST_NODES:
            self._refuse(f"more than {_MOST_NODES} values, counting those that aliases repeat", at)
        if self._characters > _MOST_BYTES:
            self._refuse(f"more than {_MOST_BYTES} characters, counting those that aliases repeat", at)

    def _refuse(self, problem: str, at: Any) -> NoReturn:
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


_TAG = "tag:yaml.org,2002:"
_INT, _FLOAT, _MERGE = f"{_TAG}int", f"{_TAG}float", f"{_TAG}merge"
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix(_TAG) in _KINDS
}  # fmt: skip
_Loader.yaml_constructors[_MERGE] = yaml.SafeLoader.construct_yaml_str  # `<<` as a value
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_TAG) in ("null", "bool", "merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _INT, re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"[-+]?(?:(?:0|[1-9][0-9_]*)\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$"
               r"|\.(?:nan|NaN|NAN)$"),
    list("-+.0123456789"),
)  # fmt: skip


def _parse(text: str, where: Path | str) -> tuple[list[Any], list[str]]:
    loader, documents = None, []
    try:
        loader = _Loader(text)
        while loader.check_data():  # type: ignore[no-untyped-call]
            documents.append(loader.get_data())
    except (yaml.YAMLError, ValueError, OverflowError) as e:  # `"\UFFFFFFFF"` is a ValueError or an OverflowError
        at = "" if loader is None or isinstance(e, yaml.MarkedYAMLError) else _at(loader.get_mark())
        return [], named(where, [f"not readable as YAML: {_cause(e)}{at}"])
    return documents, []


def _cause(error: Exception) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} at position {error.position} is not allowed"
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"a value cannot be read: {' '.join(str(error).split())}"
    context = error.context and f"{error.context}{_at(error.context_mark)}"
    return ", ".join(filter(None, (context, f"{error.problem}{_at(error.problem_mark)}")))


def _at(position: Any) -> str:
    return "" if position is None else f" (line {position.line + 1}, column {position.column + 1})"
