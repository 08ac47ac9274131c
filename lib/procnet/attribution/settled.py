"""Which connections are answered by the events at hand, where those of before a time are not all at hand (3-join).

Of a key (host and process id, host and guid) all events from some time on are known. Older ones can then change no
answer where a start that is known outdoes all that is older (2-semantics, 2): so few must be looked up. Told of rows of
the driver, in plain Python: whoever is settled gets the very answer that all events would give, and a test holds that.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from procnet.types import Tolerances, micros

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


@dataclass
class Known:
    """What is known of one key: since when all, and its starts and ends by time."""

    since: int
    starts: list[tuple[int, int | None, str | None]] = field(default_factory=list)  # time, process id, name
    ends: list[int] = field(default_factory=list)


class Told:
    """The events at hand, by their keys. In: `lives` with `host_key`, `process_id`, `process_guid`, `event_time`,
    `event_kind` (start, end, asked), `process_name`, `pid_since` and `guid_since`; `known_from`: since when all starts
    are known, whatever their key, in microseconds."""

    def __init__(self, lives: pa.Table, known_from: int) -> None:
        self._known_from = known_from
        self._by_pid = defaultdict[Any, Known](lambda: Known(known_from))
        self._by_guid = defaultdict[Any, Known](lambda: Known(known_from))
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
                elif kind == "end":
                    one.ends.append(time)
        for known in (self._by_pid, self._by_guid):
            for one in known.values():
                one.starts.sort(key=lambda s: s[0])

    def settles(self, hit: Hit, tolerances: Tolerances) -> bool:
        """Whether no event that is not at hand can change who made the connection, or when that one ended."""
        if hit.host is None or (hit.pid is None and hit.guid is None):
            return True  # it joins nothing
        first = hit.time - hit.age
        by_pid, by_guid = self._by_pid[hit.host, hit.pid], self._by_guid[hit.host, hit.guid]
        all_by_pid = hit.pid is None or by_pid.since <= first
        if hit.guid is None:
            return all_by_pid or self._outdone(hit, by_pid, tolerances)
        if hit.pid is None:
            # Of a guid alone all starts must agree in their id, which tells when each of them ended.
            ids = [(time, pid) for time, pid, _ in by_guid.starts if pid is not None]
            return by_guid.since <= first and all(self._by_pid[hit.host, pid].since <= time for time, pid in ids)
        # The latest start with the guid answers, and an older one of either key could not.
        return (all_by_pid and by_guid.since <= first) or any(
            pid == hit.pid and max(by_guid.since, by_pid.since) <= time <= hit.time for time, pid, _ in by_guid.starts
        )

    def _outdone(self, hit: Hit, known: Known, tolerances: Tolerances) -> bool:
        """Whether a start that is known stands between the connection and whatever is older on its process id."""
        starts = [s for s in known.starts if s[0] >= known.since]
        latest = bisect_right(starts, hit.time, key=lambda s: s[0])
        if not latest:
            return False
        # Long enough before, no older life was just closed when it connected.
        slack = micros(tolerances.end_grace) + 2 * micros(tolerances.start_tolerance)
        if starts[0][0] <= hit.time - slack:
            return True
        # Or it is alive then, of the image that the record names: then no life that was just closed is asked.
        began = starts[latest - 1][0] - micros(tolerances.start_tolerance)
        names = {name for at, _, name in starts if began <= at <= hit.time}
        agrees = len(names) == 1 and (hit.name is None or names <= {hit.name, None})
        return agrees and not any(began <= end <= hit.time for end in known.ends)


def unsettled(hits: pa.Table, lives: pa.Table, known_from: int, tolerances: Tolerances) -> pa.Table:
    """The keys (`host_key`, `process_id`, `process_guid`) of the connections that the events at hand do not settle.

    In: `hits` with those and `event_time`, `mark` (microseconds of lookback) and `process_name`; `lives` as `Told`.
    """
    told, keys = Told(lives, known_from), ["host_key", "process_id", "process_guid"]
    open_ = [not told.settles(hit, tolerances) for hit in _hits(hits)]
    return hits.select(keys).filter(open_).group_by(keys).aggregate([])


def _hits(hits: pa.Table) -> Iterator[Hit]:
    columns = (hits.column(c).to_pylist() for c in ("host_key", "process_id", "process_guid"))
    told = (_micros(hits, "event_time"), hits.column("mark").to_pylist(), hits.column("process_name").to_pylist())
    for values in zip(*columns, *told, strict=True):
        yield Hit(*values)


def _micros(table: pa.Table, column: str) -> list[int | None]:
    values: list[int | None] = table.column(column).cast("int64").to_pylist()
    return values  # Spark's timestamps are microseconds since 1970
