"""Weakens predicates: what of a condition can be judged before some of its fields are known."""

from __future__ import annotations

from procnet.predicates.model import All, Any, Field, Not, Predicate, fields_of


def weakened(predicate: Predicate, unknown: frozenset[str]) -> Predicate | None:
    """The tree without its tests of the `unknown` fields: true for every row that satisfies the tree once these fields
    have any values. None where no test is left: any row may."""
    if fields_of(predicate).isdisjoint(unknown):
        return predicate
    if isinstance(predicate, Field):
        return None
    if isinstance(predicate, Not):
        return _weakened_negation(predicate.part, unknown)
    parts = [weakened(part, unknown) for part in predicate.parts]
    known = tuple(part for part in parts if part is not None)
    if isinstance(predicate, Any):
        return Any(known) if len(known) == len(parts) else None
    return All(known) if known else None


def _weakened_negation(part: Predicate, unknown: frozenset[str]) -> Predicate | None:
    if isinstance(part, Not):
        return weakened(part.part, unknown)
    if isinstance(part, Any):  # not (a or b) is not a and not b, whatever is unknown (docs/semantics.md, R3)
        return weakened(All(tuple(Not(p) for p in part.parts)), unknown)
    return None
