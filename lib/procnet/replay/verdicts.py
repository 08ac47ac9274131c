"""Compares findings with an expectation, and gives the likely reason where it does not hold. Plain rows, no Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from procnet.contract import FINDING_ALIASES
from procnet.detections.detection import Detection
from procnet.predicates.describe import describe
from procnet.predicates.interpret import holds
from procnet.predicates.model import All, Field, Predicate
from procnet.replay.expectations import ExpectationEntry, Expectations, parse_where

Row = Mapping[str, Any]  # of contract.FINDINGS


@dataclass(frozen=True)
class Expectation:
    """The number of findings of the detections `ids` that satisfy `where`; a bound of None does not limit it.

    Live findings count, or with `excluded` those that an exclusion applies to.
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
        """Whether the number of findings is within the bounds."""
        return (self.at_least is None or count >= self.at_least) and (self.at_most is None or count <= self.at_most)


@dataclass(frozen=True)
class Verdict:
    """The findings that an expectation counts, in order of time; `why` is the likely reason where it does not hold."""

    expected: Expectation
    findings: tuple[Row, ...]
    ok: bool
    why: str | None = None


def expectations_of(expectations: Expectations, number: int, enabled: Sequence[Detection]) -> tuple[Expectation, ...]:
    """The expectations of dataset `number` of a file; `enabled` are the detections that its `others` counts."""
    dataset = expectations.file.datasets[number]
    named = [expectations.detections[number, k] for k in range(len(dataset.expect))]
    found = [_expectation(entry, d) for entry, d in zip(dataset.expect, named, strict=True)]
    if (most := expectations.file.others_of(dataset)) is not None:
        ids = frozenset(d.id for d in enabled) - {d.id for d in named}
        least = 0 if most == 0 else None  # "exactly 0" is clearer than "at most 0"
        found.append(Expectation(f"all other enabled detections ({len(ids)})", ids, least, most))
    return tuple(found)


def _expectation(entry: ExpectationEntry, detection: Detection) -> Expectation:
    where = parse_where(entry.where)[0] if entry.where else None
    label = detection.name + (f", where {describe(where)}" if where else "")
    least, most = entry.at_least, entry.at_most
    if entry.exactly is not None:
        least = most = entry.exactly
    label += ", excluded" if entry.excluded else ""
    return Expectation(label, frozenset({detection.id}), least, most, where, entry.excluded)


def judge_expectation(expected: Expectation, rows: Sequence[Row]) -> Verdict:
    """Compares the findings of a dataset with one expectation; rows of other detections do not count.

    Where there are too few, `why` says which other findings of the detection there are; None without any.
    """
    of_detections = [r for r in rows if r["detection_id"] in expected.ids]
    satisfied = [expected.where is None or _holds(expected.where, r) for r in of_detections]
    satisfying = [r for r, is_satisfied in zip(of_detections, satisfied, strict=True) if is_satisfied]
    counted = tuple(r for r in satisfying if _is_excluded(r) == expected.excluded)
    if expected.allows(len(counted)):
        return Verdict(expected, counted, ok=True)
    if expected.at_most is not None and len(counted) > expected.at_most:
        by_name = Counter(r["detection_name"] for r in counted)
        names = ", ".join(f"{name} {n}" for name, n in by_name.most_common()) if len(expected.ids) > 1 else None
        return Verdict(expected, counted, ok=False, why=names)
    uncounted = [r for r in satisfying if _is_excluded(r) != expected.excluded]
    others = [r for r, is_satisfied in zip(of_detections, satisfied, strict=True) if not is_satisfied]
    reasons = [*_uncounted_reason(expected, uncounted), *_where_reason(expected, others)]
    return Verdict(expected, counted, ok=False, why="; ".join(reasons) or None)


def _is_excluded(row: Row) -> bool:
    return row["excluded_by"] is not None


def _uncounted_reason(expected: Expectation, rows: Sequence[Row]) -> list[str]:
    """Why findings that satisfy `where` do not count."""
    if not rows:
        return []
    if expected.excluded:
        return [f"{len(rows)} more are live: no exclusion applies to them"]
    return [f"{len(rows)} more are excluded by {', '.join(sorted({r['excluded_by'] for r in rows}))}"]


def _where_reason(expected: Expectation, rows: Sequence[Row]) -> list[str]:
    """How many findings do not satisfy `where`, and which parts the closest one does not satisfy."""
    if not rows or expected.where is None:
        return []
    parts = expected.where.parts if isinstance(expected.where, All) else (expected.where,)
    closest = min(rows, key=lambda r: len(_failing(parts, r)))
    failing = " and ".join(f"{describe(p)}{_value_found(p, closest)}" for p in _failing(parts, closest))
    return [f"{len(rows)} do not satisfy where; the closest one fails {failing}"]


def _failing(parts: Sequence[Predicate], row: Row) -> list[Predicate]:
    return [p for p in parts if not _holds(p, row)]


def _holds(predicate: Predicate, row: Row) -> bool:
    return holds(predicate, _with_aliases(row)) is True


def _value_found(part: Predicate, row: Row) -> str:
    return f" (it has {_with_aliases(row)[part.field]})" if isinstance(part, Field) else ""


def _with_aliases(row: Row) -> Row:
    return {**row, **{alias: row[column] for alias, column in FINDING_ALIASES.items()}}
