"""The network sensor of the made-up fleet: the flows that it sees, as records of Zeek's conn.log and ssl.log."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from procnet.demo.scene import Connection
from procnet.demo.sysmon import Raw, queried_name

_LETTERS = string.ascii_letters + string.digits
_LOST_SHARE = 0.05
_NO_NAME_SHARE = 0.1  # of the flows of TLS, those whose handshake names no server


@dataclass(frozen=True)
class Flow:
    """A flow that the sensor saw; `at` is the time of its first packet, in milliseconds since 1970."""

    connection: Connection
    uid: str
    at: int
    server_name: str | None


def flows_of(connections: Sequence[Connection], rng: Random) -> list[Flow | None]:
    """The flow of each connection of one machine, in their order; None where the sensor did not see it.

    The sensor is at the way out: it sees IPv4 connections to addresses outside, less one in twenty. Of connections with
    the same ports and addresses it sees none, since nothing distinguishes them if they are near each other.
    """
    ends = Counter(_ends(c) for c in connections)
    return [_flow(c, rng) if _is_outside(c) and ends[_ends(c)] == 1 else None for c in connections]


def conn_record(flow: Flow, rng: Random) -> Raw:
    """The record of Zeek's conn.log."""
    return {
        **_header(flow, 0),
        "proto": "tcp",
        "service": "ssl" if flow.connection.remote.port == 443 else "http",
        "duration": rng.randint(20, 90_000) / 1_000,
        "orig_bytes": rng.randint(300, 9_000),
        "resp_bytes": rng.randint(900, 4_000_000),
        "conn_state": "SF",
    }


def ssl_record(flow: Flow) -> Raw:
    """The record of Zeek's ssl.log, with the same uid."""
    return {**_header(flow, 12), "version": "TLSv13", "server_name": flow.server_name, "established": True}


def _flow(c: Connection, rng: Random) -> Flow | None:
    if rng.random() < _LOST_SHARE:
        return None
    uid = "C" + "".join(rng.choices(_LETTERS, k=17))
    has_name = c.remote.port == 443 and rng.random() >= _NO_NAME_SHARE
    # The endpoint's record is up to a second later than the first packet.
    return Flow(c, uid, c.at - rng.randint(20, 900), queried_name(c.remote) if has_name else None)


def _is_outside(c: Connection) -> bool:
    return not c.inbound and not c.remote.ip.startswith("10.") and ":" not in c.remote.ip


def _ends(c: Connection) -> tuple[int, str, int]:
    return c.source_port, c.remote.ip, c.remote.port


def _header(flow: Flow, later: int) -> Raw:
    c = flow.connection
    return {
        "ts": (flow.at + later) / 1_000,
        "uid": flow.uid,
        "id.orig_h": c.process.machine.ip,
        "id.orig_p": c.source_port,
        "id.resp_h": c.remote.ip,
        "id.resp_p": c.remote.port,
    }
