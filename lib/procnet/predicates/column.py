"""The tree -> Spark columns. NOT is guarded once, at the NOT: guards at the leaves would empty the pushed filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from procnet.predicates.address import NON_PUBLIC, in_network
from procnet.predicates.model import All, Any, Field, Not, Predicate, Value
from procnet.predicates.wildcard import to_regex

Columns = Callable[[str], Column]


class Row:
    """Columns by name, and the tests of them made so far, for several trees that are asked of the same rows.

    A list of networks is a hundred calls to the JVM, and half of the family asks whether an address is public.
    """

    def __init__(self, of: str = "") -> None:
        """`of` names the struct that holds the columns."""
        self._of = f"{of}." if of else ""
        self._made: dict[Field, Column] = {}

    def __call__(self, name: str) -> Column:
        return F.col(f"{self._of}{name}")

    def test(self, leaf: Field) -> Column:
        """The test as a column; the same one for the same test."""
        if leaf not in self._made:
            self._made[leaf] = _leaf(leaf, self)
        return self._made[leaf]


# Stored in lower case (contract.py), so that plain equality can be pushed down to files.
_STORED_LOWER = frozenset({"host", "process_name", "parent_process_name", "dest_host", "transport", "direction"})
_ORDER: dict[str, Callable[[Column, Column], Column]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def to_column(predicate: Predicate, column: Columns) -> Column:
    """True, false or null (unknown) for each row; `column` gives the column of a field's name."""
    return _walk(predicate, _tests(column))


def to_candidate_column(predicate: Predicate, column: Columns, strict: frozenset[str]) -> Column:
    """Keeps every row that the tree could still accept once unknown fields outside `strict` are filled in.

    An unknown test of such a field counts as satisfied, and under a NOT as not satisfied; fields in `strict` count as
    they are. So a record whose gaps another sensor's record fills is not lost before the two are merged.
    """
    return F.coalesce(_candidate(predicate, column, strict, positive=True), F.lit(False))


@dataclass(frozen=True)
class _OneOf(Field):
    """A field that is one of several values: what a list of values in a file comes to."""

    values: tuple[Value, ...] = ()


def _gathered(parts: Sequence[Predicate]) -> list[Predicate]:
    """Alternatives, with all that ask whether one field equals a value put into one question.

    Fifty names as fifty ORs are five hundred calls to the JVM and a tree that Spark walks again in each of its rules.
    """
    values: dict[tuple[str, bool, bool], list[Value]] = {}
    rest: list[Predicate] = []
    for part in parts:
        if isinstance(part, Field) and part.op == "eq":
            values.setdefault((part.field, part.cased, isinstance(part.value, str)), []).append(part.value)
        else:
            rest.append(part)
    return [
        *(_OneOf(field, "eq", some[0], cased, tuple(some)) for (field, cased, _), some in values.items()),
        *rest,
    ]


def _candidate(predicate: Predicate, column: Columns, strict: frozenset[str], *, positive: bool) -> Column:
    if isinstance(predicate, Field):
        test = _tests(column)(predicate)
        # A fieldref asks two fields, and either may still be filled in.
        asked = {predicate.field, str(predicate.value)} if predicate.op == "fieldref" else {predicate.field}
        if asked <= strict:
            return test
        if predicate.op == "isnull":  # what is unknown now may be known later, and never the other way round
            return test if positive else F.lit(False)
        return F.coalesce(test, F.lit(positive))
    if isinstance(predicate, Not):
        return ~F.coalesce(_candidate(predicate.part, column, strict, positive=not positive), F.lit(False))
    return _join(predicate, [_candidate(p, column, strict, positive=positive) for p in _parts(predicate)])


def _tests(column: Columns) -> Callable[[Field], Column]:
    return column.test if isinstance(column, Row) else lambda leaf: _leaf(leaf, column)


def _walk(predicate: Predicate, leaf: Callable[[Field], Column]) -> Column:
    if isinstance(predicate, Field):
        return leaf(predicate)
    if isinstance(predicate, Not):
        return ~F.coalesce(_walk(predicate.part, leaf), F.lit(False))
    return _join(predicate, [_walk(p, leaf) for p in _parts(predicate)])


def _parts(predicate: All | Any) -> Sequence[Predicate]:
    return predicate.parts if isinstance(predicate, All) else _gathered(predicate.parts)


def _join(predicate: Predicate, parts: list[Column]) -> Column:
    if isinstance(predicate, All):
        return reduce(lambda a, b: a & b, parts)
    return reduce(lambda a, b: a | b, parts)


def _leaf(leaf: Field, column: Columns) -> Column:
    value, plain = leaf.value, column(leaf.field)
    if leaf.op == "isnull":
        return plain.isNull()
    if leaf.op == "cidr":
        return in_network(plain, *(NON_PUBLIC if value == "@non_public" else (str(value),)))
    if leaf.op in _ORDER:
        return _ORDER[leaf.op](plain, F.lit(value))
    if leaf.op == "re":
        return plain.rlike(str(value))
    if not isinstance(value, str):
        return plain.isin(*_values(leaf)) if len(_values(leaf)) > 1 else plain == F.lit(value)
    side, text = (plain, value) if leaf.cased else (_lower(leaf.field, plain), value.lower())
    if leaf.op == "fieldref":
        other = column(value)
        return side == (other if leaf.cased else F.lower(other))
    if leaf.op == "contains":
        return side.contains(text)
    if leaf.op == "startswith":
        return side.startswith(text)
    if leaf.op == "endswith":
        return side.endswith(text)
    if leaf.op == "glob":
        return side.rlike(to_regex(text))
    texts = [str(v) if leaf.cased else str(v).lower() for v in _values(leaf)]
    return side.isin(texts) if len(texts) > 1 else side == F.lit(text)


def _values(leaf: Field) -> tuple[Value, ...]:
    return leaf.values if isinstance(leaf, _OneOf) else (leaf.value,)


def _lower(field: str, column: Column) -> Column:
    return column if field in _STORED_LOWER else F.lower(column)
