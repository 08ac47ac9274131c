"""Parses blocks in Sigma's spelling into predicates and collects all problems. Backslashes: see wildcard.py."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any as Anything

from pyspark.sql import types as T

from procnet.config_file import shortened
from procnet.predicates.address import parse_network
from procnet.predicates.condition import parse_condition
from procnet.predicates.model import All, Any, Field, Not, Op, Predicate, Value
from procnet.predicates.regex import check_regex
from procnet.predicates.wildcard import is_plain, plain, tokens

_TEXT_OPS: dict[str, Op] = {"contains": "contains", "startswith": "startswith", "endswith": "endswith"}
_ORDER_OPS: dict[str, Op] = {"gt": "gt", "gte": "gte", "lt": "lt", "lte": "lte"}
_MODIFIERS = {*_TEXT_OPS, *_ORDER_OPS, "re", "i", "cidr", "exists", "fieldref", "cased", "windash", "all", "neq"}
_TEXT_ONLY = {*_TEXT_OPS, "re", "i", "cidr", "cased", "windash"}
_EXCLUSIVE = {*_TEXT_OPS, *_ORDER_OPS, "re", "cidr", "exists", "fieldref"}
DASHES = ("-", "/", "\u2013", "\u2014", "\u2015")  # those of pySigma's windash
_MOST_WILDCARDS = 100  # of a value
_MOST_SUGGESTIONS = 20  # of a section: each compares a name with all fields


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
    problems.append(
        f"{where}: expected field: value pairs, found {shortened(block)}; words without a field are not supported"
    )
    return All(())


def _field_test(key: str, value: object, types: Mapping[str, T.DataType], where: str, problems: list[str]) -> Predicate:
    name, *modifiers = key.split("|")
    if name not in types:
        near = get_close_matches(name, types, n=1) if len(problems) < _MOST_SUGGESTIONS else []
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
    if len(conflicting := [m for m in modifiers if m in _EXCLUSIVE]) > 1:
        raise ValueError(f"{' and '.join(conflicting)} cannot be combined")
    if "exists" in modifiers:
        if not isinstance(value, bool):
            raise ValueError(f"exists takes true or false, found {shortened(value)}")
        return Not(Field(name, "isnull")) if value else Field(name, "isnull")
    if value is None:
        return Field(name, "isnull")
    if isinstance(types[name], T.ArrayType):
        raise ValueError(f"{name} is a list, which can only be tested with exists")
    is_number = _is_number(types[name])
    if "fieldref" in modifiers:
        if not isinstance(value, str) or value not in types:
            raise ValueError(f"fieldref names {shortened(value)}, which is no field")
        if _is_number(types[value]) != is_number:
            raise ValueError(f"fieldref compares {name} with {value}: one is a number, the other is not")
        return Field(name, "fieldref", value, cased)
    if is_number and (on_text := [m for m in modifiers if m in _TEXT_ONLY]):
        raise ValueError(
            f"{name} is a number, and {', '.join(on_text)} compares text; for numbers there are {', '.join(_ORDER_OPS)}"
        )
    if (order := next((m for m in modifiers if m in _ORDER_OPS), None)) is not None:
        if not is_number:
            raise ValueError(f"{order} compares numbers, and {name} is no number")
        return Field(name, _ORDER_OPS[order], _number(value, types[name]))
    if is_number:
        return Field(name, "eq", _number(value, types[name]))
    if not isinstance(value, str):
        quotes = "; put it in quotes" if isinstance(value, bool | int | float) else ""
        raise ValueError(f"{name} is text, found {shortened(value)}{quotes}")
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
        raise ValueError(f"{shortened(value)} looks like a URL, and its ? would match any character; write \\?")
    pieces = tokens(value)
    if (wildcards := sum(wild for wild, _ in pieces)) > _MOST_WILDCARDS:
        raise ValueError(f"{shortened(value)} has {wildcards} wildcards, at most {_MOST_WILDCARDS} are accepted")
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


def _is_number(kind: T.DataType) -> bool:
    return isinstance(kind, T.IntegerType | T.LongType)


def _number(value: object, kind: T.DataType) -> int:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = int(str(value).strip())
    except ValueError:
        raise ValueError(f"expected a number, found {shortened(value)}") from None
    most = 2**31 - 1 if isinstance(kind, T.IntegerType) else 2**63 - 1
    if not -most <= number <= most:
        raise ValueError(f"no value of the field is as large as {shortened(value)}: at most {most}")
    return number


def _network(value: str) -> Value:
    if value != "@non_public":
        parse_network(value)
    return value


def _regex(value: str, ignore_case: bool) -> str:
    check_regex(value)
    return f"(?i){value}" if ignore_case else value


def _joined(kind: type[All] | type[Any], parts: Sequence[Predicate]) -> Predicate:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))
