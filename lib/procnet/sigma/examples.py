"""Makes test cases for an imported detection: a match from its own values, if one can be made, and another program.

Every case is evaluated before it is written (predicates/interpret.py), so that its expectation is right.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import Any as Anything

from procnet.predicates.interpret import holds
from procnet.predicates.model import All, Any, Field, Not, Predicate
from procnet.predicates.wildcard import tokens
from procnet.sigma.canonical import NUMBERS
from procnet.vocabulary import ADDRESS_COLUMNS, BASE_NAMES, LOWER_CASE_COLUMNS, NAME_COLUMNS

Row = dict[str, Anything]
_MAX_WAYS = 200  # ways to satisfy a tree that are tried; one block of a list is enough
_WHEN = ("10:00:00", "10:00:05")
_PROCESS_ID = 8  # of a case whose rule tests none
_ORDINARY = ({"process_id": 4711, "process_name": "other.exe"}, {"dest_ip": "203.0.113.9", "dest_port": 9})


def make_cases(process: Predicate | None, network: Predicate | None) -> list[Row]:
    """One or two cases as a detection file has them. The last is an ordinary program, whether it matches or not."""
    on_process, on_network = _example(process), _example(network)
    cases = []
    # Cases get hosts with other names (detections/cases.py), so a rule that tests the host has no case that matches.
    if on_process is not None and on_network is not None and "host" not in on_network:
        cases.append(_case("made of the rule's own values", on_process, on_network, "match"))
    matches = _matches(process, _ORDINARY[0]) and _matches(network, _ORDINARY[1])
    cases.append(_case("another program, elsewhere", *_ORDINARY, "match" if matches else "none"))
    return cases


def _case(name: str, process: Row, network: Row, expect: str) -> Row:
    pid = {"process_id": process.get("process_id", _PROCESS_ID)}
    return {
        "name": name,
        "processes": [{"at": _WHEN[0], **pid, **process}],
        "connections": [{"at": _WHEN[1], **pid, **network}],
        "expect": expect,
    }


def _matches(tree: Predicate | None, row: Row) -> bool:
    return tree is None or holds(tree, row) is True


def _example(tree: Predicate | None) -> Row | None:
    """A row that satisfies the tree, with only the columns that it tests; None if none was found."""
    if tree is None:
        return {}
    for tests in islice(_ways(tree), _MAX_WAYS):
        row = _row(tests)
        names = {
            n: str(row[p]).replace("/", "\\").rsplit("\\", 1)[-1].lower() for p, n in BASE_NAMES.items() if p in row
        }
        if holds(tree, {"process_id": _PROCESS_ID, **names, **row}) is True:
            return row
    return None


def _ways(tree: Predicate) -> Iterator[list[Field]]:
    """Lists of tests: a row that passes all tests of a list may satisfy the tree. Negated fields are left unknown."""
    if isinstance(tree, Field):
        yield [tree]
    elif isinstance(tree, Not):
        yield from _ways_to_fail(tree.part)
    elif isinstance(tree, Any):
        for part in tree.parts:
            yield from _ways(part)
    elif isinstance(tree, All):
        for ways in product(*(list(islice(_ways(p), 20)) for p in tree.parts)):
            yield [test for way in ways for test in way]


def _ways_to_fail(part: Predicate) -> Iterator[list[Field]]:
    if isinstance(part, Field):
        yield [Field(part.field, "contains", "")] if part.op == "isnull" else []
    elif isinstance(part, Not):
        yield from _ways(part.part)
    else:
        negated = tuple(Not(p) for p in part.parts)
        yield from _ways(Any(negated) if isinstance(part, All) else All(negated))


def _row(tests: Sequence[Field]) -> Row:
    row: Row = {}
    for field in dict.fromkeys(t.field for t in tests):
        of_field = [t for t in tests if t.field == field and t.op != "isnull"]
        if of_field:
            row[field] = _number(of_field) if field in NUMBERS else _text(field, of_field)
    for test in tests:
        if test.op == "fieldref":
            row[test.field] = row[str(test.value)] = row.get(str(test.value)) or row[test.field]
    for path, name in BASE_NAMES.items():
        if path in row and name in row and not str(row[path]).lower().endswith(row[name]):
            row[path] = str(row[path]).rstrip("\\") + "\\" + row[name]
    return row


def _number(tests: Sequence[Field]) -> int:
    bounds = {"eq": 0, "gte": 0, "gt": 1, "lte": 0, "lt": -1}
    return next((int(t.value) + bounds[t.op] for op in bounds for t in tests if t.op == op and t.value is not None), 8)


def _text(field: str, tests: Sequence[Field]) -> str:
    values = {op: [str(t.value) for t in tests if t.op == op] for op in ("eq", "startswith", "contains", "endswith")}
    whole = values["eq"] + [_without_wildcards(str(t.value)) for t in tests if t.op == "glob"]
    whole += [_text_for_regex(str(t.value)) for t in tests if t.op == "re"]
    nets = [ipaddress.ip_network(str(t.value)) for t in tests if t.op == "cidr"]
    if nets:
        return str(nets[0][min(1, nets[0].num_addresses - 1)])
    start, end = (max(values[side], key=len, default="") for side in ("startswith", "endswith"))
    text = start + " ".join([*whole, *values["contains"]]) + end
    if field in ADDRESS_COLUMNS:
        return ".".join([*filter(None, text.split(".")), *"1111"][:4]) if re.fullmatch(r"[\d.]*", text) else text
    text = text or ("a.exe" if field.endswith("name") and field not in NAME_COLUMNS else "a")
    return text.lower() if field in LOWER_CASE_COLUMNS else text


def _without_wildcards(glob: str) -> str:
    return "".join({"*": "", "?": "x"}[t] if wild else t for wild, t in tokens(glob))


def _text_for_regex(pattern: str) -> str:
    """A text that a simple regular expression probably matches; the caller checks it."""
    text = re.sub(r"^\(\?[ims]+\)|[\^$]", "", re.sub(r"^\(\?i\)", "", pattern))
    text = re.sub(r"\[(\\?.)[^\]]*\]", r"\1", text)  # the first character of a class
    text = re.sub(r"\(\?:([^()|]*)[^()]*\)|\(([^()|?]*)[^()]*\)", r"\1\2", text)  # the first of alternatives
    for escape, character in ((r"\s", " "), (r"\d", "1"), (r"\w", "a")):
        text = text.replace(escape, character)
    text = re.sub(r"(\\?.)\{(\d+)(?:,\d*)?\}", lambda m: m[1] * int(m[2]), text)
    text = re.sub(r"(?<!\\)\.[*+?]?", "x", re.sub(r"(?<!\\)[*+?]", "", re.sub(r"(?<!\\)\.[*]", "", text)))
    return re.sub(r"\\(.)", r"\1", text)
