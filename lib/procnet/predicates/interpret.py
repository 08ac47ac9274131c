"""The tree on one plain row, without Spark: for the few rows of an example, and as a second opinion in tests."""

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
    """True, false or None (unknown), as `to_column` has it; a field that the row lacks is unknown."""
    if isinstance(predicate, Not):
        return holds(predicate.part, row) is not True
    if isinstance(predicate, Field):
        return _leaf(predicate, row)
    found = [holds(p, row) for p in predicate.parts]
    decisive = isinstance(predicate, Any)
    if decisive in found:
        return decisive
    return None if None in found else isinstance(predicate, All)


def _leaf(leaf: Field, row: Mapping[str, Anything]) -> bool | None:
    found = row.get(leaf.field)
    if leaf.op == "isnull":
        return found is None
    value = row.get(str(leaf.value)) if leaf.op == "fieldref" else leaf.value
    if found is None or value is None:
        return None
    if leaf.op == "cidr":
        return _lies_in(str(found), NON_PUBLIC if value == "@non_public" else (str(value),))
    if leaf.op in _ORDER:
        return _ORDER[leaf.op](found, value)
    if leaf.op == "re":
        return re.search(str(value), str(found)) is not None
    if not isinstance(value, str):
        return bool(found == value)
    side, text = (found, value) if leaf.cased else (str(found).lower(), value.lower())
    if leaf.op == "glob":
        # The end of a text is \z to Java and \Z to Python.
        return re.search(to_regex(text).removesuffix(r"\z") + r"\Z", side) is not None
    return _TEXT[leaf.op](side, text)


def _lies_in(text: str, networks: tuple[str, ...]) -> bool | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in net for net in map(parse_network, networks) if net.version == address.version)
