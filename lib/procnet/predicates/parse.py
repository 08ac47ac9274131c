"""Parses blocks in Sigma's spelling into predicates and collects all problems. Backslashes: see wildcard.py."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any as Anything

from pyspark.sql import types as T

from procnet.predicates.address import parse_network
from procnet.predicates.condition import parse_condition
from procnet.predicates.model import All, Any, Field, Not, Op, Predicate, Value
from procnet.predicates.wildcard import is_plain, plain, tokens

_TEXT_OPS: dict[str, Op] = {"contains": "contains", "startswith": "startswith", "endswith": "endswith"}
_ORDER_OPS: dict[str, Op] = {"gt": "gt", "gte": "gte", "lt": "lt", "lte": "lte"}
_MODIFIERS = {*_TEXT_OPS, *_ORDER_OPS, "re", "i", "cidr", "exists", "fieldref", "cased", "windash", "all", "neq"}
_TEXT_ONLY = {*_TEXT_OPS, "re", "i", "cidr", "cased", "windash"}
_EXCLUSIVE = {*_TEXT_OPS, *_ORDER_OPS, "re", "cidr"}
DASHES = ("-", "/", "\u2013", "\u2014", "\u2015")  # those of pySigma's windash
# Constructs that only one of Java and Python has in its regular expressions, or that mean something else in the other.
_FOREIGN_REGEX = re.compile(r"\(\?P|\(\?\(|\(\?#|\\[GQEXRhHNpPkKuUAZzg]|[*+?}]\+|&&|\[\[|\(\?<(?![=!])|\\0")


def parse_side(
    side: Mapping[str, Anything], types: Mapping[str, T.DataType], where: str
) -> tuple[Predicate | None, list[str]]:
    """The predicate of a `process:` or `network:` section, None if it has problems; and the problems.

    `side` contains blocks by name and `condition`. `types` are the fields that may be tested, with their types. `where`
    is the path of the section, and begins every problem.
    """
    problems: list[str] = []
    blocks: dict[str, Predicate] = {}
    for name, block in side.items():
        if name != "condition":
            blocks[name] = _block(block, types, f"{where}.{name}", problems)
    condition = side.get("condition")
    if not isinstance(condition, str):
        return None, [*problems, f"{where}: no condition says how its blocks {', '.join(blocks) or '(none)'} combine"]
    try:
        tree, used = parse_condition(condition, blocks)
    except ValueError as e:
        return None, [*problems, f"{where}: {e}"]
    problems += [f"{where}.{n}: the condition {condition!r} does not use this block" for n in blocks if n not in used]
    return (None if problems else tree), problems


def _block(block: object, types: Mapping[str, T.DataType], where: str, problems: list[str]) -> Predicate:
    if isinstance(block, Mapping) and block:
        return _joined(All, [_field_test(str(k), v, types, f"{where}.{k}", problems) for k, v in block.items()])
    if isinstance(block, Sequence) and block and all(isinstance(b, Mapping) for b in block):
        return _joined(Any, [_block(b, types, where, problems) for b in block])
    problems.append(f"{where}: expected field: value pairs, found {block!r}; words without a field are not supported")
    return All(())


def _field_test(key: str, value: object, types: Mapping[str, T.DataType], where: str, problems: list[str]) -> Predicate:
    name, *modifiers = key.split("|")
    if name not in types:
        near = get_close_matches(name, types, n=1)
        problems.append(f"{where}: there is no field {name}" + (f"; did you mean {near[0]}?" if near else ""))
        return All(())
    if unknown := [m for m in modifiers if m not in _MODIFIERS]:
        problems.append(f"{where}: no modifier {', '.join(unknown)}; there are {', '.join(sorted(_MODIFIERS))}")
        return All(())
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        problems.append(
            f"{where}: an empty list matches nothing; remove the field, or write null to match an unknown value"
        )
        return All(())
    tests: list[Predicate] = []
    for one in values:
        try:
            tests.append(_value_test(name, modifiers, one, types))
        except ValueError as e:
            problems.append(f"{where}: {e}")
    joined = _joined(All if "all" in modifiers else Any, tests)
    return Not(joined) if "neq" in modifiers else joined


def _value_test(name: str, modifiers: list[str], value: Anything, types: Mapping[str, T.DataType]) -> Predicate:
    cased = "cased" in modifiers
    if "exists" in modifiers:
        if not isinstance(value, bool):
            raise ValueError(f"exists takes true or false, found {value!r}")
        return Not(Field(name, "isnull")) if value else Field(name, "isnull")
    if value is None:
        return Field(name, "isnull")
    if "fieldref" in modifiers:
        if value not in types:
            raise ValueError(f"fieldref names {value!r}, which is no field")
        return Field(name, "fieldref", str(value), cased)
    is_number = isinstance(types[name], T.IntegerType | T.LongType)
    if is_number and (on_text := [m for m in modifiers if m in _TEXT_ONLY]):
        raise ValueError(
            f"{name} is a number, and {', '.join(on_text)} compares text; for numbers there are {', '.join(_ORDER_OPS)}"
        )
    if len(conflicting := [m for m in modifiers if m in _EXCLUSIVE]) > 1:
        raise ValueError(f"{' and '.join(conflicting)} cannot be combined")
    if (order := next((m for m in modifiers if m in _ORDER_OPS), None)) is not None:
        return Field(name, _ORDER_OPS[order], _number(value))
    if is_number:
        return Field(name, "eq", _number(value))
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError(f"{name} is text, found {value!r}; put it in quotes")
    if "cidr" in modifiers:
        return Field(name, "cidr", _network(value))
    if "re" in modifiers:
        return Field(name, "re", _regex(value, "i" in modifiers), cased=True)
    op = next((_TEXT_OPS[m] for m in modifiers if m in _TEXT_OPS), None)
    values = _with_each_dash(value) if "windash" in modifiers else [value]
    return _joined(Any, [_text_test(name, op, v, cased) for v in values])


def _text_test(name: str, op: Op | None, value: str, cased: bool) -> Predicate:
    if op is not None and value == "":
        raise ValueError(f"{op} with an empty text matches every text; write {name}|exists: true to match known values")
    if "://" in value and (True, "?") in tokens(value):
        raise ValueError(f"{value!r} looks like a URL, and its ? would match any character; write \\?")
    pieces = tokens(value)
    if is_plain(value):
        return Field(name, op or "eq", plain(pieces), cased)
    # Wildcards at the ends become plain text tests; only a wildcard inside needs a regular expression.
    open_start = op in ("contains", "endswith") or pieces[0] == (True, "*")
    open_end = op in ("contains", "startswith") or pieces[-1] == (True, "*")
    inner = pieces[pieces[0] == (True, "*") : len(pieces) - (pieces[-1] == (True, "*"))]
    if not inner:
        return Not(Field(name, "isnull"))
    if not any(wild for wild, _ in inner):
        text_op: Op = "contains" if open_start and open_end else "endswith" if open_start else "startswith"
        return Field(name, text_op, plain(inner), cased)
    around = {"contains": "*{}*", "startswith": "{}*", "endswith": "*{}"}.get(op or "", "{}")
    # A backslash at the end is plain, and must be escaped before the `*` that is added here.
    escaped = f"{value}\\" if around.endswith("*") and value.endswith("\\") else value
    return Field(name, "glob", around.format(escaped), cased)


def _with_each_dash(value: str) -> list[str]:
    """The value with each of DASHES before its first option: Windows programs accept several."""
    found = re.search(r"(^|(?<=\s))[-/\u2013\u2014\u2015](?=\S)", value)
    return [value] if found is None else [value[: found.start()] + d + value[found.end() :] for d in DASHES]


def _number(value: object) -> int:
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(str(value).strip())
    except ValueError:
        raise ValueError(f"expected a number, found {value!r}") from None


def _network(value: str) -> Value:
    if value != "@non_public":
        parse_network(value)
    return value


def _regex(value: str, ignore_case: bool) -> str:
    try:
        re.compile(value)
    except re.error as e:
        raise ValueError(f"{value!r} is no regular expression: {e}") from None
    if found := _FOREIGN_REGEX.search(value):
        raise ValueError(f"{value!r}: {found[0]!r} differs between Java and Python; use their common subset")
    return f"(?i){value}" if ignore_case else value


def _joined(kind: type[All] | type[Any], parts: Sequence[Predicate]) -> Predicate:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))
