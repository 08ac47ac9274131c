"""Finds the connections that the events at hand attribute with certainty, although not all older events are at hand.

At hand are events that the driver has collected: for each key (host and process id, host and guid) all from some time
on. Older ones cannot change an attribution where a start at hand takes precedence over them (docs/semantics.md, R2), so
few keys must be looked up. Plain Python: for a connection found complete, the events at hand give the same attribution
as all events would, and a test checks it.
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
class Connection:
    """A connection: its keys, its time and its lookback (microseconds), the image that its record names."""

    host: str | None
    pid: int | None
    guid: str | None
    time: int
    lookback: int
    name: str | None


@dataclass(frozen=True)
class StartGroup:
    """Starts on one process id so close together that several may be records of one start: an instance begins between
    the first and the last of them, and has one of the names."""

    first: int
    last: int
    names: frozenset[str | None]


@dataclass
class KeyHistory:
    """The starts at hand for one key, and the time from which all its events are at hand."""

    complete_from: int
    starts: list[tuple[int, int | None, str | None]] = field(default_factory=list)  # time, process id, name

    def complete_groups(self, tolerance: int) -> list[StartGroup]:
        """The groups all of whose records are at hand: instances from the first of them on are certain."""
        found: list[list[tuple[int, int | None, str | None]]] = []
        for start in sorted(self.starts, key=lambda s: s[0]):
            if found and start[0] <= found[-1][-1][0] + tolerance:
                found[-1].append(start)
            else:
                found.append([start])
        groups = [StartGroup(g[0][0], g[-1][0], frozenset(name for _, _, name in g)) for g in found]
        return [g for g in groups if g.first >= self.complete_from]


class EventsAtHand:
    """The process events at hand, by key.

    In: `events` with `host_key`, `process_id`, `process_guid`, `event_time`, `event_kind` (start, end; null for a
    lookup), `process_name`, `pid_complete_from` and `guid_complete_from`; `complete_from`: the time from which all
    starts are at hand, whatever their key, in microseconds; events of a key, from `start_tolerance` before its time.
    """

    def __init__(self, events: pa.Table, complete_from: int, tolerances: Tolerances) -> None:
        self._by_pid = defaultdict[Any, KeyHistory](lambda: KeyHistory(complete_from))
        self._by_guid = defaultdict[Any, KeyHistory](lambda: KeyHistory(complete_from))
        self._tolerance = micros(tolerances.start_tolerance)
        self._slack = micros(tolerances.end_grace) + 2 * self._tolerance
        columns = ("host_key", "process_id", "process_guid", "event_kind", "process_name")
        for (host, pid, guid, kind, name), time, pid_from, guid_from in zip(
            zip(*(events.column(c).to_pylist() for c in columns), strict=True),
            *(_micros(events, c) for c in ("event_time", "pid_complete_from", "guid_complete_from")),
            strict=True,
        ):
            for histories, key, complete in ((self._by_pid, pid, pid_from), (self._by_guid, guid, guid_from)):
                if host is None or key is None:
                    continue
                history = histories[host, key]
                if complete is not None:
                    history.complete_from = min(history.complete_from, complete)
                if kind == "start" and time is not None:
                    history.starts.append((time, pid, name))
        self._groups = {key: history.complete_groups(self._tolerance) for key, history in self._by_pid.items()}

    def are_complete_for(self, connection: Connection) -> bool:
        """Whether no event that is not at hand can change which process made the connection, or when it ended."""
        host, pid, guid = connection.host, connection.pid, connection.guid
        if host is None or (pid is None and guid is None):
            return True  # it matches no process
        earliest = connection.time - connection.lookback
        by_pid, by_guid = self._by_pid[host, pid], self._by_guid[host, guid]
        pid_is_complete = pid is None or by_pid.complete_from <= earliest
        if guid is None:
            return pid_is_complete or self._older_is_irrelevant(connection)
        if pid is None:
            # All starts with this guid must agree in the process id, which says when each of them ended.
            ids = [(time, other) for time, other, _ in by_guid.starts if other is not None]
            return by_guid.complete_from <= earliest and all(self._ends_are_known(host, i, time) for time, i in ids)
        # The latest start with the guid is the instance; older starts on either key cannot be.
        groups = [g for g in self._groups.get((host, pid), ()) if g.last <= connection.time]
        return (pid_is_complete and by_guid.complete_from <= earliest) or any(
            other == pid and by_guid.complete_from <= time and any(g.first <= time <= g.last for g in groups)
            for time, other, _ in by_guid.starts
        )

    def _ends_are_known(self, host: str, pid: int, time: int) -> bool:
        return any(g.first <= time for g in self._groups.get((host, pid), ())[:1])

    def _older_is_irrelevant(self, connection: Connection) -> bool:
        """Whether a start at hand takes precedence over all older events on the connection's process id."""
        time, name = connection.time, connection.name
        groups = [g for g in self._groups.get((connection.host, connection.pid), ()) if g.first <= time]
        # It began so early that no older instance can have ended within `end_grace` before the connection.
        if groups and groups[0].last <= time - self._slack:
            return True
        # Or the latest has the image that the record names: alive or ended, it takes precedence over any older one.
        names = groups[-1].names if groups and groups[-1].last <= time else frozenset[str | None]()
        return len(names) == 1 and (name is None or names <= {name, None})


def incomplete_keys(network_events: pa.Table, events: pa.Table, complete_from: int, tolerances: Tolerances) -> pa.Table:
    """The keys (`host_key`, `process_id`, `process_guid`) of the connections for which the events are not complete.

    In: `network_events` with these keys, `event_time`, `lookback_us` and `process_name`; `events` and `complete_from`
    as for EventsAtHand.
    """
    at_hand, keys = EventsAtHand(events, complete_from, tolerances), ["host_key", "process_id", "process_guid"]
    is_incomplete = [not at_hand.are_complete_for(connection) for connection in _connections(network_events)]
    return network_events.select(keys).filter(is_incomplete).group_by(keys).aggregate([])


def _connections(network_events: pa.Table) -> Iterator[Connection]:
    keys = (network_events.column(c).to_pylist() for c in ("host_key", "process_id", "process_guid"))
    others = (network_events.column(c).to_pylist() for c in ("lookback_us", "process_name"))
    for values in zip(*keys, _micros(network_events, "event_time"), *others, strict=True):
        yield Connection(*values)


def _micros(table: pa.Table, column: str) -> list[int | None]:
    values: list[int | None] = table.column(column).cast("int64").to_pylist()
    return values  # Spark's timestamps are microseconds since 1970
