"""Which connections are answered by the events at hand, where those of before a time are not all at hand (3-join).

Of a key (host and process id, host and guid) all events from some time on are known. Older ones can then change no
answer where a start that is known outdoes all that is older (2-semantics, 2): so few must be looked up. Told of rows of
the driver, in plain Python: whoever is settled gets the very answer that all events would give, and a test holds that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from procnet.periods import micros
from procnet.settings import Tolerances

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Hit:
    """A connection: its keys, its time and how far back it asks (microseconds), the image that its record names."""

    host: str | None
    pid: int | None
    guid: str | None
    time: int
    age: int
    name: str | None


@dataclass(frozen=True)
class Group:
    """Starts on one process id so close to each other that sensors may tell of one by several: a life begins between
    the first and the last of them, of one of the names."""

    first: int
    last: int
    names: frozenset[str | None]


@dataclass
class Known:
    """What is known of one key: since when all its events, and its starts."""

    since: int
    starts: list[tuple[int, int | None, str | None]] = field(default_factory=list)  # time, process id, name

    def groups(self, tolerance: int) -> list[Group]:
        """Groups of starts all of whose records are known: lives from the first of them on are sure."""
        found: list[list[tuple[int, int | None, str | None]]] = []
        for start in sorted(self.starts, key=lambda s: s[0]):
            if found and start[0] <= found[-1][-1][0] + tolerance:
                found[-1].append(start)
            else:
                found.append([start])
        groups = [Group(g[0][0], g[-1][0], frozenset(name for _, _, name in g)) for g in found]
        return [g for g in groups if g.first >= self.since]


class Told:
    """The events at hand, by their keys. In: `lives` with `host_key`, `process_id`, `process_guid`, `event_time`,
    `event_kind` (start, end, asked), `process_name`, `pid_since` and `guid_since`; `known_from`: since when all starts
    are known, whatever their key, in microseconds. Of each key events are known from `start_tolerance` earlier on."""

    def __init__(self, lives: pa.Table, known_from: int, tolerances: Tolerances) -> None:
        self._by_pid = defaultdict[Any, Known](lambda: Known(known_from))
        self._by_guid = defaultdict[Any, Known](lambda: Known(known_from))
        self._tolerance = micros(tolerances.start_tolerance)
        self._slack = micros(tolerances.end_grace) + 2 * self._tolerance
        columns = ("host_key", "process_id", "process_guid", "event_kind", "process_name")
        for (host, pid, guid, kind, name), time, pid_since, guid_since in zip(
            zip(*(lives.column(c).to_pylist() for c in columns), strict=True),
            *(_micros(lives, c) for c in ("event_time", "pid_since", "guid_since")),
            strict=True,
        ):
            for known, key, since in ((self._by_pid, pid, pid_since), (self._by_guid, guid, guid_since)):
                if host is None or key is None:
                    continue
                one = known[host, key]
                one.since = one.since if since is None else min(one.since, since)
                if kind == "start":
                    one.starts.append((time, pid, name))
        self._groups = {key: one.groups(self._tolerance) for key, one in self._by_pid.items()}

    def settles(self, hit: Hit) -> bool:
        """Whether no event that is not at hand can change who made the connection, or when that one ended."""
        if hit.host is None or (hit.pid is None and hit.guid is None):
            return True  # it joins nothing
        first = hit.time - hit.age
        by_pid, by_guid = self._by_pid[hit.host, hit.pid], self._by_guid[hit.host, hit.guid]
        all_by_pid = hit.pid is None or by_pid.since <= first
        if hit.guid is None:
            return all_by_pid or self._outdone(hit)
        if hit.pid is None:
            # Of a guid alone all starts must agree in their id, which tells when each of them ended.
            ids = [(time, pid) for time, pid, _ in by_guid.starts if pid is not None]
            return by_guid.since <= first and all(self._lives_from(hit.host, pid, time) for time, pid in ids)
        # The latest start with the guid answers, and an older one of either key could not.
        groups = [g for g in self._groups.get((hit.host, hit.pid), ()) if g.last <= hit.time]
        return (all_by_pid and by_guid.since <= first) or any(
            pid == hit.pid and by_guid.since <= time and any(g.first <= time <= g.last for g in groups)
            for time, pid, _ in by_guid.starts
        )

    def _lives_from(self, host: str, pid: int, time: int) -> bool:
        return any(g.first <= time for g in self._groups.get((host, pid), ())[:1])

    def _outdone(self, hit: Hit) -> bool:
        """Whether a start that is known stands between the connection and whatever is older on its process id."""
        groups = [g for g in self._groups.get((hit.host, hit.pid), ()) if g.first <= hit.time]
        # Long enough before, no older life was just closed when it connected.
        if groups and groups[0].last <= hit.time - self._slack:
            return True
        # Or the latest is of the image that the record names: it answers, alive or closed, before any older life does.
        names = groups[-1].names if groups and groups[-1].last <= hit.time else frozenset[str | None]()
        return len(names) == 1 and (hit.name is None or names <= {hit.name, None})


def unsettled(hits: pa.Table, lives: pa.Table, known_from: int, tolerances: Tolerances) -> pa.Table:
    """The keys (`host_key`, `process_id`, `process_guid`) of the connections that the events at hand do not settle.

    In: `hits` with those and `event_time`, `mark` (microseconds of lookback) and `process_name`; `lives` as `Told`.
    """
    told, keys = Told(lives, known_from, tolerances), ["host_key", "process_id", "process_guid"]
    open_ = [not told.settles(hit) for hit in _hits(hits)]
    return hits.select(keys).filter(open_).group_by(keys).aggregate([])


def _hits(hits: pa.Table) -> Iterator[Hit]:
    columns = (hits.column(c).to_pylist() for c in ("host_key", "process_id", "process_guid"))
    told = (_micros(hits, "event_time"), hits.column("mark").to_pylist(), hits.column("process_name").to_pylist())
    for values in zip(*columns, *told, strict=True):
        yield Hit(*values)


def _micros(table: pa.Table, column: str) -> list[int | None]:
    values: list[int | None] = table.column(column).cast("int64").to_pylist()
    return values  # Spark's timestamps are microseconds since 1970
