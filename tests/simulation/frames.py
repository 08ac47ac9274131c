"""The part of Spark's DataFrame that the orchestration of runs uses, over rows of the model. Each action reads anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from procnet.spark.collect import Empty, Rows, TooMany
from simulation.rules import Finding, minute_of

if TYPE_CHECKING:
    from simulation.lake import ModelLake


@dataclass(frozen=True)
class Condition:
    """Findings of a window, and of some detections; None: of all. `dates` are those of the files that it reads."""

    first: int
    end: int
    dates: frozenset[date]
    detections: frozenset[str] | None = None

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.first, self.end, self.dates, other.detections)

    def __call__(self, row: Finding) -> bool:
        is_of = self.detections is None or row.detection_id in self.detections
        return self.first <= row.minute < self.end and is_of


def in_period(start: datetime, end: datetime, date: str = "event_date") -> Condition:
    """As `procnet.spark.filters.in_period`: the last date is that of the end, though it may have no time in it."""
    days = (end.date() - start.date()).days + 1
    return Condition(minute_of(start), minute_of(end), frozenset(start.date() + timedelta(days=n) for n in range(days)))


class Functions:
    """The part of `pyspark.sql.functions` that lake/write.py uses."""

    @staticmethod
    def col(name: str) -> type[Functions]:
        return Functions

    @staticmethod
    def isin(detections: Sequence[str]) -> Condition:
        return Condition(0, 0, frozenset(), frozenset(detections))

    @staticmethod
    def count(column: str) -> None:
        return None


@dataclass(frozen=True)
class Collected:
    """Findings as a table of the driver."""

    rows: tuple[Finding, ...]

    def column(self, name: str) -> Collected:
        return Collected(tuple(getattr(r, name) for r in self.rows))

    def sort_by(self, name: str) -> Collected:
        return Collected(tuple(sorted(self.rows, key=lambda r: (getattr(r, name), str(r)))))

    def to_pylist(self) -> list[Any]:
        return list(self.rows)


@dataclass(frozen=True)
class Frame:
    """Rows that each action computes anew, with storage steps of its own."""

    lake: ModelLake
    compute: Callable[[], Iterable[Any]]

    def select(self, *columns: object) -> Frame:
        return self

    def where(self, condition: Callable[[Any], bool]) -> Frame:
        return Frame(self.lake, lambda: [r for r in self.compute() if condition(r)])

    def isEmpty(self) -> bool:  # noqa: N802
        return not list(self.compute())

    def collect(self) -> list[Any]:
        return list(self.compute())

    def groupBy(self, *columns: str) -> Grouped:  # noqa: N802
        return Grouped(self)

    def writeTo(self, table: str) -> Writer:  # noqa: N802
        return Writer(self, table)


@dataclass(frozen=True)
class Grouped:
    """Findings by detection and attribution."""

    frame: Frame

    def agg(self, *aggregates: object) -> Frame:
        rows = list(self.frame.compute())
        counts = Counter((r.detection_id, r.attribution) for r in rows)
        excluded = Counter((r.detection_id, r.attribution) for r in rows if r.excluded_by is not None)
        return Frame(self.frame.lake, lambda: [(*key, n, excluded[key]) for key, n in sorted(counts.items())])


@dataclass(frozen=True)
class Writer:
    """Replaces rows of a table in one transaction."""

    frame: Frame
    table: str
    metadata: str | None = None

    def option(self, name: str, value: str) -> Writer:
        assert name == "userMetadata"
        return Writer(self.frame, self.table, value)

    def overwrite(self, condition: Condition) -> None:
        self.frame.lake.overwrite(self.table, self.frame, condition, self.metadata)


def collect_at_most(frame: Frame, limit: int) -> Rows | Empty | TooMany:
    """As `procnet.spark.collect.collect_at_most`; an action."""
    rows = tuple(frame.compute())
    if len(rows) > limit:
        return TooMany(limit)
    return Rows(Collected(rows)) if rows else Empty(Collected(rows))
