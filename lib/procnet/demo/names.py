"""DNS queries of the made-up fleet: who queries which name before a connection, and the name that a finding must have.

The answers hold for a name_age of 1 h and an end_grace of 5 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from procnet.demo import programs
from procnet.demo.scene import Connection
from procnet.demo.sysmon import HOUR, MINUTE, SECOND, Asker, Machine, Process, Remote, canonical_guid, queried_name

_ASKERS: tuple[Asker, ...] = ("process", "service", "nobody")
_SHARES = (45, 10, 45)
_QUERY_AGAIN = 50 * MINUTE  # until then the process remembers the address
_NAME_AGE, _END_GRACE = HOUR, 5 * SECOND
_LATE_SHARE = 0.1  # of queries, recorded after their connection


@dataclass(frozen=True)
class Query:
    """An answered query, recorded at `at`, `lag` milliseconds after it was made."""

    process: Process
    at: int
    lag: int
    remote: Remote


def queries_of(machine: Machine, connections: Sequence[Connection], rng: Random) -> list[Query]:
    """The queries of one machine before its outbound connections, in the order of these.

    By chance a process queries names itself, the DNS client service queries them for it, or no query is recorded; a
    remote end may decide that. One query in ten is recorded up to three seconds after its connection.
    """
    queries: list[Query] = []
    service = _dns_client(machine)
    askers: dict[tuple[str, str], Asker] = {}
    queried: dict[tuple[str, str], int] = {}
    for c in sorted(connections, key=lambda c: c.at):
        if c.inbound:
            continue
        of_process = c.process.guid, c.remote.ip
        asker = c.remote.asker or askers.setdefault(of_process, rng.choices(_ASKERS, _SHARES)[0])
        process = service if asker == "service" else c.process
        key = process.guid, c.remote.ip
        if asker == "nobody" or c.at - queried.get(key, c.at - HOUR) < _QUERY_AGAIN:
            continue
        made = c.at - rng.randint(5, 400)
        at = c.at + rng.randint(0, 3_000) if rng.random() < _LATE_SHARE else made + 2
        queries.append(Query(process, at, at - made, c.remote))
        queried[key] = c.at
    return queries


def expected_name(
    c: Connection, guid: str | None, queries: Sequence[Query], server_name: str | None
) -> tuple[str | None, str | None]:
    """(name, kind) that a finding of connection `c` must have, by what was written.

    `guid` is that of the process as the finding knows it, None where no record has it; `queries` are those of the
    machine; `server_name` is what the network sensor read in the connection, None where it read nothing.
    """
    fitting = [] if c.inbound else [q for q in queries if _fits(c, q)]
    latest_first = sorted(((q.at, queried_name(q.remote), q.process.guid) for q in fitting), reverse=True)
    reverse = c.process.machine.name if c.inbound else c.remote.name
    kinds: dict[str, list[str | None]] = {
        "process": [name for _, name, by in latest_first if canonical_guid(by) == guid],
        "record": [server_name],
        "host": [name for _, name, _ in latest_first],
        "reverse": [reverse],
    }
    return next(((names[0], kind) for kind, names in kinds.items() if names and names[0]), (None, None))


def _fits(c: Connection, q: Query) -> bool:
    return q.remote.ip == c.remote.ip and c.at - _NAME_AGE <= q.at <= c.at + _END_GRACE


def _dns_client(machine: Machine) -> Process:
    """The DNS client service, which runs since the machine was booted."""
    guid = f"{{{machine.guid_part}-0000-0000-0000-0000000d0053}}"
    line = f"{programs.SVCHOST.path} -k NetworkService -p -s Dnscache"
    return Process(machine, 1_104, guid, programs.SVCHOST, line, "NT AUTHORITY\\NETWORK SERVICE", 0)
