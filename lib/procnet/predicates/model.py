"""Predicates: immutable trees of tests of fields. Every condition is parsed into one before it is used."""

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
    """A test of one field. Text is compared without regard to case unless `cased`."""

    field: str
    op: Op
    value: Value = None
    cased: bool = False


@dataclass(frozen=True)
class All:
    """True if every part is true."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True)
class Any:
    """True if at least one part is true."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True)
class Not:
    """True if the part is false or unknown (docs/semantics.md, R3)."""

    part: Predicate


Predicate: TypeAlias = Field | All | Any | Not


def leaves(predicate: Predicate) -> Iterator[Field]:
    """All tests of fields in the tree."""
    if isinstance(predicate, Field):
        yield predicate
    elif isinstance(predicate, Not):
        yield from leaves(predicate.part)
    else:
        for part in predicate.parts:
            yield from leaves(part)


def fields_of(predicate: Predicate) -> frozenset[str]:
    """All fields that the tree reads."""
    tested = {leaf.field for leaf in leaves(predicate)}
    return frozenset(tested | {str(leaf.value) for leaf in leaves(predicate) if leaf.op == "fieldref"})


def finite_names(
    predicate: Predicate, fields: tuple[str, ...] = ("process_name", "original_file_name")
) -> frozenset[str] | None:
    """The names in lower case: a row satisfies the tree only with one of them in a field; None if any may do."""
    values = finite_values(predicate, *fields)
    if values is None or not all(isinstance(v, str) for v in values):
        return None
    return frozenset(str(v).lower() for v in values)


def finite_values(predicate: Predicate, *fields: str) -> frozenset[Value] | None:
    """The values: a row satisfies the tree only with one of them in one of `fields`; None if any value may do."""
    if isinstance(predicate, Field):
        return frozenset({predicate.value}) if predicate.field in fields and predicate.op == "eq" else None
    if isinstance(predicate, Not):
        return None
    of_parts = [finite_values(part, *fields) for part in predicate.parts]
    finite = [values for values in of_parts if values is not None]
    if isinstance(predicate, All):
        return min(finite, key=len) if finite else None
    return frozenset[Value]().union(*finite) if len(finite) == len(of_parts) else None


def canonical(predicate: Predicate) -> str:
    """The tree as text in which the order of its parts, and the case of values without `cased`, make no difference."""
    if isinstance(predicate, Field):
        value = predicate.value.lower() if isinstance(predicate.value, str) and not predicate.cased else predicate.value
        if predicate.op == "re":
            value = predicate.value
        return f"{predicate.field} {predicate.op}{' cased' if predicate.cased else ''} {value!r}"
    if isinstance(predicate, Not):
        return f"not({canonical(predicate.part)})"
    word = "all" if isinstance(predicate, All) else "any"
    return f"{word}({', '.join(sorted(canonical(p) for p in predicate.parts))})"
