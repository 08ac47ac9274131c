"""The only internal form of a condition: a small frozen tree of tests on fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Op = Literal[
    "eq", "contains", "startswith", "endswith", "glob", "re", "cidr", "gt", "gte", "lt", "lte", "isnull", "fieldref"
]
Value: TypeAlias = str | int | bool | None


@dataclass(frozen=True)
class Field:
    """One test of one field. Text is compared without regard to case unless `cased`."""

    field: str
    op: Op
    value: Value = None
    cased: bool = False


@dataclass(frozen=True)
class All:
    """True where every part is."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True)
class Any:
    """True where some part is."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True)
class Not:
    """True where the part is not true: an unknown never counts against a row (2-semantics, 3)."""

    part: Predicate


Predicate: TypeAlias = Field | All | Any | Not


def leaves(predicate: Predicate) -> Iterator[Field]:
    """Every test of a field in the tree."""
    if isinstance(predicate, Field):
        yield predicate
    elif isinstance(predicate, Not):
        yield from leaves(predicate.part)
    else:
        for part in predicate.parts:
            yield from leaves(part)


def fields_of(predicate: Predicate) -> frozenset[str]:
    """Every field that the tree asks for."""
    asked = {leaf.field for leaf in leaves(predicate)}
    return frozenset(asked | {str(leaf.value) for leaf in leaves(predicate) if leaf.op == "fieldref"})


def finite_names(
    predicate: Predicate, fields: tuple[str, ...] = ("process_name", "original_file_name")
) -> frozenset[str] | None:
    """The names one of which a row must have to satisfy the tree, lower case; None if it may have any (a wide one)."""
    found = finite_values(predicate, *fields)
    if found is None or not all(isinstance(v, str) for v in found):
        return None
    return frozenset(str(v).lower() for v in found)


def finite_values(predicate: Predicate, *fields: str) -> frozenset[Value] | None:
    """The values one of which a row must have in one of the fields to satisfy the tree; None if it may have any."""
    if isinstance(predicate, Field):
        return frozenset({predicate.value}) if predicate.field in fields and predicate.op == "eq" else None
    if isinstance(predicate, Not):
        return None
    found = [finite_values(part, *fields) for part in predicate.parts]
    known = [values for values in found if values is not None]
    if isinstance(predicate, All):
        return min(known, key=len) if known else None
    return frozenset[Value]().union(*known) if len(known) == len(found) else None


def canonical(predicate: Predicate) -> str:
    """The tree as text that does not depend on the order in which a person wrote its parts."""
    if isinstance(predicate, Field):
        value = predicate.value.lower() if isinstance(predicate.value, str) and not predicate.cased else predicate.value
        if predicate.op == "re":
            value = predicate.value
        return f"{predicate.field} {predicate.op}{' cased' if predicate.cased else ''} {value!r}"
    if isinstance(predicate, Not):
        return f"not({canonical(predicate.part)})"
    word = "all" if isinstance(predicate, All) else "any"
    return f"{word}({', '.join(sorted(canonical(p) for p in predicate.parts))})"
