"""Findings held against what was expected of them, and the nearest reason where it does not hold. Plain rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from procnet.detections.detection import Detection
from procnet.predicates.describe import describe
from procnet.predicates.interpret import holds
from procnet.predicates.model import All, Field, Predicate
from procnet.replay.expectations import ALIASES, Expectations, WrittenExpectation, parse_where

Row = Mapping[str, Any]  # of contract.FINDINGS


@dataclass(frozen=True)
class Expected:
    """How many findings of the detections `ids` there must be, of those that satisfy `where`.

    Live findings count, or, where `excluded` is so, those that an exclusion marks. A bound of None is none.
    """

    label: str
    ids: frozenset[str]
    at_least: int | None = None
    at_most: int | None = None
    where: Predicate | None = None
    excluded: bool = False

    @property
    def wanted(self) -> str:
        """The bounds in words."""
        if self.at_least == self.at_most:
            return f"exactly {self.at_least}"
        if self.at_least is None:
            return f"at most {self.at_most}"
        return f"at least {self.at_least}" if self.at_most is None else f"{self.at_least} to {self.at_most}"

    def allows(self, count: int) -> bool:
        """Whether so many findings are as they should be."""
        return (self.at_least is None or count >= self.at_least) and (self.at_most is None or count <= self.at_most)


@dataclass(frozen=True)
class Verdict:
    """What was found of an expectation, in the order of time; `why` is the nearest reason where it does not hold."""

    expected: Expected
    findings: tuple[Row, ...]
    ok: bool
    why: str | None = None


def expected_of(expectations: Expectations, number: int, enabled: Sequence[Detection]) -> tuple[Expected, ...]:
    """What dataset `number` of a file expects; `enabled` are those that `others` speaks of."""
    dataset = expectations.file.datasets[number]
    named = [expectations.detections[number, k] for k in range(len(dataset.expect))]
    told = [_expected(w, d) for w, d in zip(dataset.expect, named, strict=True)]
    if (most := expectations.file.others_of(dataset)) is not None:
        ids = frozenset(d.id for d in enabled) - {d.id for d in named}
        told.append(Expected(f"all other enabled detections ({len(ids)})", ids, _least_of(most), most))
    return tuple(told)


def _least_of(most: int) -> int | None:
    return 0 if most == 0 else None  # "exactly 0" says it better than "at most 0"


def _expected(written: WrittenExpectation, detection: Detection) -> Expected:
    where = parse_where(written.where)[0] if written.where else None
    label = detection.name + (f", where {describe(where)}" if where else "")
    least, most = written.at_least, written.at_most
    if written.exactly is not None:
        least = most = written.exactly
    label += ", excluded" if written.excluded else ""
    return Expected(label, frozenset({detection.id}), least, most, where, written.excluded)


def judge_expectation(expected: Expected, rows: Sequence[Row]) -> Verdict:
    """Hold findings of a dataset against one expectation; rows of other detections do not count.

    Where there are too few, `why` names what keeps the others from counting; it is None where there are no others.
    """
    mine = [r for r in rows if r["detection_id"] in expected.ids]
    asked: list[Row] = []
    others: list[Row] = []
    for row in mine:
        satisfied = expected.where is None or holds(expected.where, _named(row)) is True
        (asked if satisfied else others).append(row)
    counted = tuple(r for r in asked if (r["excluded_by"] is not None) == expected.excluded)
    ok = expected.allows(len(counted))
    if ok:
        return Verdict(expected, counted, ok)
    if expected.at_most is not None and len(counted) > expected.at_most:
        by_name = Counter(r["detection_name"] for r in counted)
        names = ", ".join(f"{name} {n}" for name, n in by_name.most_common()) if len(expected.ids) > 1 else None
        return Verdict(expected, counted, ok, names)
    aside = [r for r in asked if (r["excluded_by"] is not None) != expected.excluded]
    reasons = [*_aside(expected, aside), *_elsewhere(expected, others)]
    return Verdict(expected, counted, ok, "; ".join(reasons) or None)


def _aside(expected: Expected, rows: Sequence[Row]) -> list[str]:
    """Findings that would count, were an exclusion another."""
    if not rows:
        return []
    if expected.excluded:
        return [f"{len(rows)} more are live: no exclusion marks them"]
    return [f"{len(rows)} more are excluded by {', '.join(sorted({r['excluded_by'] for r in rows}))}"]


def _elsewhere(expected: Expected, rows: Sequence[Row]) -> list[str]:
    """Findings that `where` leaves out, and which part of it the nearest of them fails."""
    if not rows or expected.where is None:
        return []
    parts = expected.where.parts if isinstance(expected.where, All) else (expected.where,)
    nearest = min(rows, key=lambda r: len(_failing(parts, r)))
    failing = " and ".join(f"{describe(p)}{_has(p, nearest)}" for p in _failing(parts, nearest))
    return [f"{len(rows)} of it are left out by where; the nearest fails {failing}"]


def _failing(parts: Sequence[Predicate], row: Row) -> list[Predicate]:
    return [p for p in parts if holds(p, _named(row)) is not True]


def _has(part: Predicate, row: Row) -> str:
    return f" (it has {_named(row)[part.field]})" if isinstance(part, Field) else ""


def _named(row: Row) -> Row:
    return {**row, **{alias: row[column] for alias, column in ALIASES.items()}}
