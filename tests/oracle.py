"""Attribution as loops over plain rows: the specification that both Spark plans are compared with.

A row is a dict with the columns of `procnet.contract`; times are datetimes. Nothing here is fast, and nothing here is
shared with the code under test, not even the list of columns that an instance has. R1 and R2 are rules of
docs/semantics.md.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from procnet.settings import HostMatch, Tolerances

Row = Mapping[str, Any]

# Columns that another sensor's record of the same start may fill: all of the process but its time and its process id.
FILLED = (
    "process_guid", "process_name", "process_path", "original_file_name", "command_line", "user", "user_id",
    "integrity_level", "process_hash", "parent_process_id", "parent_process_guid", "parent_process_name",
    "parent_process_path", "parent_command_line",
)  # fmt: skip
INSTANCE = (
    "process_time", "process_end_time", "process_id", "process_guid", "process_name", "process_path",
    "original_file_name", "command_line", "user", "user_id", "integrity_level", "process_hash", "parent_process_id",
    "parent_process_guid", "parent_process_name", "parent_process_path", "parent_command_line", "record_id",
    "vendor_product", "source",
)  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """A leading start with its nulls filled, and its interval `[start, end)`, open where `end` is None."""

    row: Row
    end: datetime | None
    ended: bool  # An end event closed it, not the next start.
    owns_pid: bool  # False for a start without a process id and the loser of a tie: these match by guid only.

    @property
    def start(self) -> datetime:
        return self.row["begins"]

    def columns(self, seen_until: datetime) -> dict[str, Any]:
        """The columns of the instance. An end after `seen_until` is None, since a shorter window does not read it."""
        end = self.end if self.end is not None and self.end <= seen_until else None
        known = {**self.row, "process_time": self.row["event_time"], "process_end_time": end}
        return {name: known[name] for name in INSTANCE}


@dataclass(frozen=True)
class Answer:
    attribution: str
    instance: dict[str, Any] | None = None


def attribute(
    processes: Sequence[Row],
    connections: Sequence[Row],
    *,
    max_age: timedelta,
    tolerances: Tolerances | None = None,
    host_match: HostMatch = HostMatch.SHORT,
) -> list[Answer]:
    """Returns one answer for each connection, in the order of `connections`."""
    tolerances = tolerances or Tolerances()
    instances_of_host: dict[str, list[Instance]] = defaultdict(list)
    for host, events in by_host(processes, host_match).items():
        instances_of_host[host] = instances_of(events, tolerances.start_tolerance)
    answers = []
    for c in connections:
        host = host_key(c["host"], host_match)
        there = instances_of_host[host] if host is not None else []
        instance = by_guid(c, there, max_age, tolerances.clock_skew)
        seen_until = c["event_time"] + tolerances.clock_skew
        if instance is not None:
            answers.append(Answer("guid", instance.columns(seen_until)))
        elif (instance := by_host_pid(c, there, max_age, tolerances)) is not None:
            answers.append(Answer("host_pid", instance.columns(seen_until)))
        else:  # R2, event and none
            answers.append(Answer("none" if c["process_name"] is None else "event"))
    return answers


# Hosts and comparisons


def host_key(host: str | None, match: HostMatch) -> str | None:
    if host is None or match is not HostMatch.SHORT or is_address(host):
        return host
    return host.split(".")[0]


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def by_host(rows: Iterable[Row], match: HostMatch) -> dict[str, list[Row]]:
    """Rows by host key, exact duplicates (all but ingest_time equal) once, rows without a host left out."""
    groups: dict[str, dict[tuple[Any, ...], Row]] = defaultdict(dict)
    for row in rows:
        if (host := host_key(row["host"], match)) is not None:
            groups[host].setdefault(tuple(v for k, v in row.items() if k != "ingest_time"), row)
    return {host: list(distinct.values()) for host, distinct in groups.items()}


def differ(a: object, b: object) -> bool:
    """Whether both are known and not equal."""
    return a is not None and b is not None and a != b


# R1: two sensors, one start


def sensor(r: Row) -> tuple[str | None, str | None]:
    return r["vendor_product"], r["source"]


def rank(r: Row) -> tuple[bool, str, str]:
    return r["process_guid"] is None, r["vendor_product"] or "", r["source"] or ""


def same_start(q: Row, r: Row, start_tolerance: timedelta) -> bool:
    """Whether two records on one host are of one start."""
    return (
        q["process_id"] is not None
        and q["process_id"] == r["process_id"]
        and sensor(q) != sensor(r)
        and q["process_name"] is not None
        and q["process_name"] == r["process_name"]
        and abs(q["event_time"] - r["event_time"]) <= start_tolerance
        and not differ(q["process_guid"], r["process_guid"])
    )


def leading(starts: Sequence[Row], start_tolerance: timedelta) -> list[Row]:
    """The starts of one host that are not absorbed by a better record, with their nulls filled from the worse ones."""
    found = []
    for r in starts:
        others = [q for q in starts if same_start(q, r, start_tolerance)]
        if any(rank(q) < rank(r) for q in others):
            continue
        worse = sorted((q for q in others if rank(r) < rank(q)), key=lambda q: (rank(q), q["event_time"], as_text(q)))
        filled = dict(r)
        for name in FILLED:
            filled[name] = next((q[name] for q in (r, *worse) if q[name] is not None), None)
        # The instance begins with the first of its records, though `process_time` is the time of the leading one.
        filled["begins"] = min(q["event_time"] for q in (r, *worse))
        found.append(filled)
    return found


# R1: which instance owns the id, from when to when


def as_text(r: Row) -> tuple[tuple[bool, str], ...]:
    """The order among starts at one instant; the greatest wins. Guid, path, command line, what else may be
    filled, then the other columns."""
    first = ("process_guid", "process_path", "command_line")
    known = (*first, *(name for name in FILLED if name not in first))
    values = [r[name] for name in (*known, *(name for name in r if name not in known))]
    return tuple((v is not None, str(v)) for v in values)


def instances_of(events: Sequence[Row], start_tolerance: timedelta) -> list[Instance]:
    """All leading starts of one host as instances."""
    leaders = leading([e for e in events if e["event_kind"] == "start"], start_tolerance)
    ends = [e for e in events if e["event_kind"] == "end"]
    found = []
    for r in leaders:
        if r["process_id"] is None:
            found.append(Instance(r, end=None, ended=False, owns_pid=False))
            continue
        key = [q for q in leaders if q["process_id"] == r["process_id"]]
        if any(q["begins"] == r["begins"] and as_text(q) > as_text(r) for q in key):
            found.append(Instance(r, end=r["begins"], ended=False, owns_pid=False))
            continue
        next_start = min((q["begins"] for q in key if q["begins"] > r["begins"]), default=None)
        closing = min(
            (
                e["event_time"]
                for e in ends
                if e["process_id"] == r["process_id"]
                and r["begins"] <= e["event_time"]
                and (next_start is None or e["event_time"] < next_start)
                and not differ(e["process_guid"], r["process_guid"])
            ),
            default=None,
        )
        found.append(
            Instance(r, end=next_start if closing is None else closing, ended=closing is not None, owns_pid=True)
        )
    return found


# R2: which instance made the connection


def by_guid(c: Row, there: Sequence[Instance], max_age: timedelta, clock_skew: timedelta) -> Instance | None:
    if c["process_guid"] is None:
        return None
    t = c["event_time"]
    candidates = [
        x
        for x in there
        if x.row["process_guid"] == c["process_guid"]
        and not differ(x.row["process_id"], c["process_id"])
        and t - max_age <= x.start <= t + clock_skew
    ]
    process_ids = {x.row["process_id"] for x in candidates} - {None}
    if c["process_id"] is None and len(process_ids) > 1:
        return None
    before = [x for x in candidates if x.start <= t]
    nearest = max((x.start for x in before), default=min((x.start for x in candidates), default=None))
    return max((x for x in candidates if x.start == nearest), key=lambda x: as_text(x.row), default=None)


def by_host_pid(c: Row, there: Sequence[Instance], max_age: timedelta, tolerances: Tolerances) -> Instance | None:
    t = c["event_time"]
    accepted = [
        x
        for x in there
        if x.owns_pid
        and x.row["process_id"] == c["process_id"]  # A null id matches no instance.
        and not differ(x.row["process_name"], c["process_name"])
        and not differ(x.row["process_guid"], c["process_guid"])
        and t - x.start <= max_age
    ]
    for x in accepted:
        if x.start <= t and (x.end is None or t < x.end):
            return x
    late = [x for x in accepted if x.ended and timedelta(0) <= t - x.end <= tolerances.end_grace]
    if late:
        return max(late, key=lambda x: (x.end, x.start))
    early = [x for x in accepted if t < x.start <= t + tolerances.clock_skew]
    return min(early, key=lambda x: x.start, default=None)
