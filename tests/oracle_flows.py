"""Flows as loops over plain rows: the specification of docs/semantics.md, R10, that the Spark code is compared with.

A row is a dict with the columns of `procnet.contract`; times are datetimes. Nothing here is fast, and nothing here is
shared with the code under test, not even the lists of columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from oracle import Row, differ, host_key
from procnet.settings import HostMatch

FLOW = (
    "event_time", "sensor", "src_ip", "src_port", "dest_ip", "dest_port", "transport", "app", "bytes_in", "bytes_out",
    "flow_uid", "community_id", "duration", "server_name", "url", "ja3", "ja4", "vendor_product", "source", "record_id",
    "ingest_time", "event_date",
)  # fmt: skip
SENSOR = ("flow_uid", "community_id", "duration", "server_name", "url", "ja3", "ja4")
PROCESS = (
    "process_id", "process_guid", "process_start_time", "process_name", "process_path", "original_file_name",
    "command_line", "user", "user_id", "integrity_level", "process_hash", "parent_process_id", "parent_process_guid",
    "parent_process_name", "parent_process_path", "parent_command_line",
)  # fmt: skip
# Records of one flow this far apart are merged, or twice the skew where that is more.
MERGED_WITHIN = timedelta(minutes=1)


def attribute_flows(
    flow_rows: Sequence[Row],
    connections: Sequence[Row],
    *,
    flow_skew: timedelta,
    host_match: HostMatch = HostMatch.SHORT,
) -> list[dict[str, Any]]:
    """Returns each merged flow with `host`, `side`, the columns of its process, `attribution` and `reason`."""
    flows = merged(flow_rows, flow_skew)
    return [{**f, **answer(f, flows, connections, flow_skew, host_match)} for f in flows]


def with_flows(
    matches: Sequence[Row],
    flow_rows: Sequence[Row],
    connections: Sequence[Row],
    *,
    flow_skew: timedelta,
    host_match: HostMatch = HostMatch.SHORT,
) -> list[dict[str, Any]]:
    """Returns each match with what its flows say, in the order of `matches`."""
    flows = merged(flow_rows, flow_skew)
    own = [f for f in flows if answer(f, flows, connections, flow_skew, host_match)["reason"] in (None, "no_process")]
    found = []
    for m in matches:
        row = {**m, **dict.fromkeys(SENSOR)}
        for f in in_order(f for f in own if matching(f, m, flow_skew)):
            src = side(f, m) == "src"
            said = {name: f[name] for name in SENSOR}
            said["bytes_in"], said["bytes_out"] = (
                f[n] for n in (("bytes_in", "bytes_out") if src else ("bytes_out", "bytes_in"))
            )
            said["dest_name"] = f["server_name"] if src else None
            for name, value in said.items():
                if row[name] is None:
                    row[name] = value
        found.append(row)
    return found


# The records of one flow


def merged(rows: Sequence[Row], flow_skew: timedelta) -> list[dict[str, Any]]:
    within = max(MERGED_WITHIN, 2 * flow_skew)
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for r in rows:
        tuple_ = (r["src_ip"], r["src_port"], r["dest_ip"], r["dest_port"])
        itself = tuple(r[n] for n in FLOW if n != "ingest_time") if r["flow_uid"] is None else None
        groups[(r["source"], r["sensor"], r["flow_uid"], tuple_, itself)].append(r)
    found = []
    for records in groups.values():
        times = {r["event_time"] for r in records}
        for first in times:
            if any(first - within <= t < first for t in times):
                continue  # it continues a flow
            part = [r for r in records if first <= r["event_time"] <= first + within]
            transports = {r["transport"] for r in part} - {None}
            if len(transports) <= 1:
                found.append(one(part))
            else:
                found += [one([r for r in part if r["transport"] == t]) for t in {r["transport"] for r in part}]
    return found


def one(records: Sequence[Row]) -> dict[str, Any]:
    ordered = in_order(records)
    return {name: next((r[name] for r in ordered if r[name] is not None), None) for name in FLOW}


def in_order(rows: Iterable[Row], names: Sequence[str] = FLOW) -> list[Row]:
    """By time, then by every other column; an unknown value comes first."""
    return sorted(rows, key=lambda r: [(r[n] is not None, r[n] if r[n] is not None else 0) for n in names])


# A flow and a connection


def matching(flow: Row, connection: Row, flow_skew: timedelta) -> bool:
    """Whether the connection may be that of the flow: the same addresses and ports, in either direction."""
    if connection["host"] is None or abs(flow["event_time"] - connection["event_time"]) > flow_skew:
        return False
    tuples = [[(r["src_ip"], r["src_port"]), (r["dest_ip"], r["dest_port"])] for r in (flow, connection)]
    if any(value is None for ends in tuples for end in ends for value in end):
        return False
    return tuples[0] in (tuples[1], tuples[1][::-1]) and not differ(flow["transport"], connection["transport"])


def side(flow: Row, connection: Row) -> str:
    """The side of the flow that the connection's host is: `src` opened the flow."""
    turned = (flow["src_ip"], flow["src_port"]) != (connection["src_ip"], connection["src_port"])
    return "dest" if turned or connection["direction"] == "inbound" else "src"


def answer(
    flow: Row, flows: Sequence[Row], connections: Sequence[Row], flow_skew: timedelta, host_match: HostMatch
) -> dict[str, Any]:
    own = [c for c in connections if matching(flow, c, flow_skew)]
    by_side = {s: [c for c in own if side(flow, c) == s] for s in ("src", "dest")}
    reason = refusal(flow, flows, by_side, flow_skew, host_match)
    if reason is None:
        for s, there in by_side.items():
            # Records with a guid first; sorted() is stable, so the others are in the order of time.
            in_time = in_order(there, ("event_time", "host", *PROCESS, "record_id"))
            ordered = sorted(in_time, key=lambda c: c["process_guid"] is None)
            process = {n: next((c[n] for c in ordered if c[n] is not None), None) for n in PROCESS}
            if any(process[n] is not None for n in ("process_id", "process_guid", "process_name")):
                return {**process, "host": ordered[0]["host"], "side": s, "attribution": "flow", "reason": None,
                        "connection_record_id": ordered[0]["record_id"]}  # fmt: skip
        reason = "no_process"
    nothing = dict.fromkeys((*PROCESS, "host", "side", "connection_record_id"))
    return {**nothing, "attribution": "none", "reason": reason}


def refusal(
    flow: Row, flows: Sequence[Row], by_side: dict[str, list[Row]], flow_skew: timedelta, host_match: HostMatch
) -> str | None:
    own = [c for there in by_side.values() for c in there]
    if not own:
        return "no_connection"
    if any(len({host_key(c["host"], host_match) for c in there}) > 1 for there in by_side.values()):
        return "several_hosts"
    for there in by_side.values():
        for name in ("process_guid", "process_id", "process_name"):
            if len({c[name] for c in there} - {None}) > 1:
                return "several_processes"
    for c in own:
        if any(g is not flow and same_sensor(g, flow) and matching(g, c, flow_skew) for g in flows):
            return "reused_tuple"
    return None


def same_sensor(one: Row, other: Row) -> bool:
    return (one["source"], one["sensor"]) == (other["source"], other["sensor"])
