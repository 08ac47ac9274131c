"""Compiles predicates to SQL with three-valued logic (docs/semantics.md, R3).

A NOT is guarded by `coalesce` as a whole. With guards at its leaves Spark pushed no filter down to the files (measured:
`PushedFilters: []`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from procnet.predicates.address import NON_PUBLIC, in_network
from procnet.predicates.model import All, Any, Field, Not, Predicate, Value, fields_of
from procnet.predicates.wildcard import to_regex
from procnet.spark import sql
from procnet.vocabulary import LOWER_CASE_COLUMNS

# Columns compared without lower(), so that Spark pushes the filter down to files. In test cases of detections, the
# other four may be in upper case.
_LOWER_CASE = LOWER_CASE_COLUMNS - {"action", "app", "integrity_level", "protocol_version"}
_ORDER = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def to_sql(predicate: Predicate, of: str = "") -> str:
    """SQL that is true, false or null (unknown) for a row. `of` is the struct whose fields are read, "" for columns."""
    if isinstance(predicate, Field):
        return _leaf(predicate, of)
    if isinstance(predicate, Not):
        return f"NOT coalesce({to_sql(predicate.part, of)}, false)"
    return _join(predicate, [to_sql(p, of) for p in _parts(predicate)])


def to_candidate_sql(predicate: Predicate, strict: frozenset[str]) -> str:
    """SQL that is true for every row that could satisfy the tree once its unknown fields outside `strict` are filled.

    An unknown test of such a field counts as satisfied, and under a NOT as not satisfied. Fields in `strict` are judged
    as they are. So a record is not dropped before the record of another sensor has filled its gaps.
    """
    return f"coalesce({_candidate(predicate, strict, positive=True)}, false)"


def to_column(predicate: Predicate, column: Callable[[str], Column]) -> Column:
    """`to_sql` for rows whose columns have other names: `column` maps a field to its Column.

    The columns are packed in a struct, so this filter is not pushed down to files.
    """
    row = F.struct(*[column(n).alias(n) for n in sorted(fields_of(predicate))])
    return F.call_function("transform", F.array(row), F.expr(f"r -> {to_sql(predicate, 'r')}"))[0]


@dataclass(frozen=True)
class _OneOf(Field):
    """A test whether a field equals one of several values."""

    values: tuple[Value, ...] = ()


def _parts(predicate: All | Any) -> Sequence[Predicate]:
    return predicate.parts if isinstance(predicate, All) else _with_equalities_merged(predicate.parts)


def _with_equalities_merged(parts: Sequence[Predicate]) -> list[Predicate]:
    """The alternatives, with the equality tests of a field merged into one.

    Fifty names as fifty ORs are a deep tree that each of Spark's rules walks again.
    """
    values: dict[tuple[str, bool, bool], list[Value]] = {}
    rest: list[Predicate] = []
    for part in parts:
        if isinstance(part, Field) and part.op == "eq":
            values.setdefault((part.field, part.cased, isinstance(part.value, str)), []).append(part.value)
        else:
            rest.append(part)
    return [
        *(_OneOf(field, "eq", vs[0], cased, tuple(vs)) for (field, cased, _), vs in values.items()),
        *rest,
    ]


def _candidate(predicate: Predicate, strict: frozenset[str], *, positive: bool) -> str:
    if isinstance(predicate, Field):
        # A fieldref reads two fields, and either may still be filled.
        if fields_of(predicate) <= strict:
            return _leaf(predicate)
        if predicate.op == "isnull":  # an unknown field may become known, but a known one never unknown
            return _leaf(predicate) if positive else "false"
        return f"coalesce({_leaf(predicate)}, {sql.literal(positive)})"
    if isinstance(predicate, Not):
        return f"NOT coalesce({_candidate(predicate.part, strict, positive=not positive)}, false)"
    return _join(predicate, [_candidate(p, strict, positive=positive) for p in _parts(predicate)])


def _join(predicate: All | Any, parts: Iterable[str]) -> str:
    return f"({(' AND ' if isinstance(predicate, All) else ' OR ').join(parts)})"


def _leaf(leaf: Field, of: str = "") -> str:
    value, plain = leaf.value, sql.column(leaf.field, of)
    if leaf.op == "isnull":
        return f"{plain} IS NULL"
    if leaf.op == "cidr":
        return in_network(plain, *(NON_PUBLIC if value == "@non_public" else (str(value),)))
    if leaf.op in _ORDER:
        return f"{plain} {_ORDER[leaf.op]} {sql.literal(value)}"
    if leaf.op == "re":
        return f"rlike({plain}, {sql.literal(value)})"
    if not isinstance(value, str):
        return sql.one_of(plain, _values(leaf))
    side = plain if leaf.cased or leaf.field in _LOWER_CASE else f"lower({plain})"
    if leaf.op == "fieldref":
        other = sql.column(value, of)
        return f"{side} = {other if leaf.cased else f'lower({other})'}"
    if leaf.op == "eq":
        return sql.one_of(side, [str(v) if leaf.cased else str(v).lower() for v in _values(leaf)])
    text = value if leaf.cased else value.lower()
    if leaf.op == "glob":
        return f"rlike({side}, {sql.literal(to_regex(text))})"
    return f"{leaf.op}({side}, {sql.literal(text)})"


def _values(leaf: Field) -> tuple[Value, ...]:
    return leaf.values if isinstance(leaf, _OneOf) else (leaf.value,)
