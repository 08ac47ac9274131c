"""A predicate evaluated on one row without Spark: for examples of a few rows, and to check compile.py in tests."""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any as Anything

from procnet.predicates.address import NON_PUBLIC, parse_network
from procnet.predicates.model import All, Any, Field, Not, Predicate
from procnet.predicates.wildcard import to_regex

_ORDER: dict[str, Callable[[Anything, Anything], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "eq": operator.eq,
    "fieldref": operator.eq,
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def holds(predicate: Predicate, row: Mapping[str, Anything]) -> bool | None:
    """True, False or None (unknown), as `compile.to_sql` evaluates it; a field that the row lacks is unknown."""
    if isinstance(predicate, Not):
        return holds(predicate.part, row) is not True
    if isinstance(predicate, Field):
        return _leaf(predicate, row)
    results = [holds(p, row) for p in predicate.parts]
    decisive = isinstance(predicate, Any)
    if decisive in results:
        return decisive
    return None if None in results else isinstance(predicate, All)


def _leaf(leaf: Field, row: Mapping[str, Anything]) -> bool | None:
    actual = row.get(leaf.field)
    if leaf.op == "isnull":
        return actual is None
    expected = row.get(str(leaf.value)) if leaf.op == "fieldref" else leaf.value
    if actual is None or expected is None:
        return None
    if leaf.op == "cidr":
        return _lies_in(str(actual), NON_PUBLIC if expected == "@non_public" else (str(expected),))
    if leaf.op in _ORDER:
        return _ORDER[leaf.op](actual, expected)
    if leaf.op == "re":
        return re.search(str(expected), str(actual)) is not None
    if not isinstance(expected, str):
        return bool(actual == expected)
    if not leaf.cased:
        actual, expected = str(actual).lower(), expected.lower()
    if leaf.op == "glob":
        # Java writes the end of a text as \z, Python as \Z.
        return re.search(to_regex(expected).removesuffix(r"\z") + r"\Z", actual) is not None
    return _TEXT[leaf.op](actual, expected)


def _lies_in(text: str, networks: tuple[str, ...]) -> bool | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in net for net in map(parse_network, networks) if net.version == address.version)
