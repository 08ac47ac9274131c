"""Tables of versions, with Delta's optimistic concurrency: what conflicts, what the change feed has, what is atomic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from procnet.errors import DataError
from simulation.rules import date_of


class DeltaConflictError(Exception):
    """As Delta words it, for `procnet.lake.retry.is_conflict`."""

    def __init__(self, table: str) -> None:
        super().__init__(f"[DELTA_CONCURRENT_APPEND] Files were added to {table} by a concurrent update")


@dataclass(frozen=True)
class Commit:
    """What one commit did. `dates` are those of the files that it added or removed; None: of all."""

    time: int  # true minutes
    operation: str
    added: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()
    dates: frozenset[date] | None = frozenset()
    metadata: str | None = None
    restored_to: int | None = None


@dataclass
class Table:
    """A table: version n is `commits[n]`, after which its rows are `snapshots[n]`."""

    name: str
    generation: int = 0  # a table that is dropped and made anew has another
    commits: list[Commit] = field(default_factory=lambda: [Commit(0, "CREATE TABLE")])
    snapshots: list[tuple[Any, ...]] = field(default_factory=lambda: [()])
    properties: dict[str, str] = field(default_factory=dict)
    feed_from: int = 0  # the change feed lacks earlier versions: VACUUM has deleted their files

    @property
    def version(self) -> int:
        return len(self.commits) - 1

    @property
    def rows(self) -> tuple[Any, ...]:
        return self.snapshots[-1]

    def append(self, rows: Iterable[Any], time: int) -> None:
        """A blind append, which conflicts with nothing."""
        added = tuple(rows)
        self._commit(Commit(time, "WRITE", added, dates=_dates(added)), (*self.rows, *added))

    def delete(self, condition: Callable[[Any], bool], time: int) -> int:
        """Deletes rows in one step and returns their number; no commit where there are none."""
        removed = tuple(r for r in self.rows if condition(r))
        if removed:
            others = tuple(r for r in self.rows if not condition(r))
            self._commit(Commit(time, "DELETE", removed=removed, dates=_dates(removed)), others)
        return len(removed)

    def rewrite(self, since: int, time: int) -> None:
        """OPTIMIZE: no row changes, but all files do, so it conflicts with what replaced any since version `since`."""
        if any(c.removed or c.dates is None for c in self.commits[since + 1 :]):
            raise DeltaConflictError(self.name)
        self._commit(Commit(time, "OPTIMIZE", dates=None), self.rows)

    def replace(
        self, since: int, dates: set[date], condition: Callable[[Any], bool], rows: Iterable[Any], commit: Commit
    ) -> None:
        """Replaces rows as a transaction that began at version `since` and read the files of some dates."""
        for other in self.commits[since + 1 :]:
            if other.dates is None or not dates.isdisjoint(other.dates):
                raise DeltaConflictError(self.name)
        added, removed = tuple(rows), tuple(r for r in self.rows if condition(r))
        if not added and not removed:  # Delta commits nothing then
            return
        others = tuple(r for r in self.rows if not condition(r))
        touched = _dates(added) | _dates(removed)
        self._commit(Commit(commit.time, commit.operation, added, removed, touched, commit.metadata), (*others, *added))

    def merge(self, since: int, rows: Iterable[Any], time: int) -> None:
        """MERGE that inserts rows: it conflicts with other merges of their dates since version `since`, not with blind
        appends."""
        added = tuple(rows)
        for other in self.commits[since + 1 :]:
            if other.operation != "WRITE" and (other.dates is None or not _dates(added).isdisjoint(other.dates)):
                raise DeltaConflictError(self.name)
        if added:
            self._commit(Commit(time, "MERGE", added, dates=_dates(added)), (*self.rows, *added))

    def append_merged(self, since: int, rows: Iterable[Any], time: int) -> None:
        """A merge without a conflict, as a comparison before an append is."""
        if added := tuple(rows):
            self.append(added, time)

    def restore(self, to: int, time: int) -> None:
        """RESTORE to an earlier version, as a new one."""
        before, after = self.rows, self.snapshots[to]
        added, removed = _without(after, before), _without(before, after)
        self._commit(Commit(time, "RESTORE", added, removed, None, restored_to=to), after)

    def set_property(self, key: str, value: str, time: int) -> None:
        self.properties[key] = value
        self._commit(Commit(time, "SET TBLPROPERTIES", dates=None), self.rows)

    def unset_properties(self, keys: Iterable[str], time: int) -> None:
        for key in keys:
            self.properties.pop(key, None)
        self._commit(Commit(time, "UNSET TBLPROPERTIES", dates=None), self.rows)

    def changes(self, since: int, now: int) -> Iterator[tuple[Any, int]]:
        """Yields the rows that commits after `since` up to `now` have added or removed, with the commit's version."""
        if now > self.version:
            raise DataError(f"{self.name} has no version {now}")
        if since < now and since + 1 < self.feed_from:
            raise DataError(f"files of the change data feed of {self.name} are missing")
        for version in range(since + 1, now + 1):
            commit = self.commits[version]
            for row in (*commit.added, *commit.removed):
                yield row, version

    def vacuum(self, before: int) -> int:
        """Deletes the files that only versions older than a time need; returns their number."""
        older = [v for v, c in enumerate(self.commits) if c.time < before]
        needed_no_more = [v for v in older if self.commits[v].removed or self.commits[v].dates is None]
        if not needed_no_more or needed_no_more[-1] <= self.feed_from:
            return 0
        self.feed_from = needed_no_more[-1]
        return 1

    def _commit(self, commit: Commit, rows: tuple[Any, ...]) -> None:
        self.commits.append(commit)
        self.snapshots.append(rows)


def _dates(rows: Iterable[Any]) -> frozenset[date]:
    return frozenset(date_of(r.minute) for r in rows if hasattr(r, "minute"))


def _without(rows: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the rows that the others lack, duplicates counted."""
    left = list(others)
    found = []
    for row in rows:
        if row in left:
            left.remove(row)
        else:
            found.append(row)
    return tuple(found)
