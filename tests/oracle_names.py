"""The name of a destination (docs/semantics.md, R9) as loops over plain rows: the specification that both Spark plans
are compared with.

Rows are dicts with the columns of `procnet.contract`; a connection also has `instance`, a dict or None. Nothing here is
shared with the code under test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from oracle import differ, host_key, is_address
from procnet.settings import HostMatch, Tolerances

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rules:
    name_age: timedelta = timedelta(hours=1)
    tolerances: Tolerances = field(default_factory=Tolerances)
    host_match: HostMatch = HostMatch.SHORT


@dataclass(frozen=True)
class Named:
    """What R9 adds to a connection."""

    name: str | None = None
    by: str | None = None
    names: tuple[str, ...] | None = None


def named(connections: Iterable[Row], dns_events: Sequence[Row] | None, rules: Rules) -> list[Named]:
    """Returns one answer for each connection, in the order of `connections`."""
    return [name_of(c, dns_events or (), rules) for c in connections]


def name_of(c: Row, dns_events: Sequence[Row], rules: Rules) -> Named:
    queries = [] if c["direction"] == "inbound" else [q for q in dns_events if fits(q, c, rules)]
    of_host = [q for q in queries if same_host(q, c, rules.host_match)]
    of_process = [q for q in of_host if same_process(q, c, rules.tolerances)]
    of_host += [q for q in queries if is_sensors_row_of(q, c)]
    for kind, names in (
        ("process", latest_first(of_process)),
        ("record", [c["dest_name"]]),
        ("host", latest_first(of_host)),
        ("reverse", [c["dest_host"]]),
    ):
        known = tuple(n for n in names if n is not None)
        if known:
            return Named(known[0], kind, known[:5])
    return Named()


def fits(q: Row, c: Row, rules: Rules) -> bool:
    """Whether the query's answer has the connection's address, and its time is near enough."""
    if q["query_name"] is None or c["dest_ip"] is None or c["dest_ip"] not in (q["answers"] or ()):
        return False
    before = c["event_time"] - q["event_time"]
    return -rules.tolerances.end_grace <= before <= rules.name_age


def same_host(q: Row, c: Row, match: HostMatch) -> bool:
    return q["host"] is not None and c["host"] is not None and host_key(q["host"], match) == host_key(c["host"], match)


def is_sensors_row_of(q: Row, c: Row) -> bool:
    return q["host"] is not None and is_address(q["host"]) and q["host"] == c["src_ip"]


def same_process(q: Row, c: Row, tolerances: Tolerances) -> bool:
    instance = c["instance"]
    found = instance or dict.fromkeys(("process_guid", "process_id", "process_name"))
    guid = c["process_guid"] if c["process_guid"] is not None else found["process_guid"]
    process_id = c["process_id"] if c["process_id"] is not None else found["process_id"]
    if q["process_guid"] is not None and guid is not None:
        return bool(q["process_guid"] == guid and not differ(q["process_id"], process_id))
    if instance is None or q["process_id"] is None or q["process_id"] != process_id:
        return False
    if q["event_time"] < instance["process_time"] - tolerances.start_tolerance - tolerances.clock_skew:
        return False
    if instance["process_end_time"] is not None and q["event_time"] >= instance["process_end_time"]:
        return False
    image = found["process_name"] if found["process_name"] is not None else c["process_name"]
    return not differ(q["process_name"], image)


def latest_first(queries: Iterable[Row]) -> list[str]:
    """The distinct names; of queries at one instant the greatest name first."""
    in_order = sorted(queries, key=lambda q: (q["event_time"], q["query_name"]), reverse=True)
    return list(dict.fromkeys(q["query_name"] for q in in_order))
