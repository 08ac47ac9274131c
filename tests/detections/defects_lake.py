"""One lake with the traps of all defects for all shipped detections, and the search that falls into them.

A trap is made of the first case in which a detection must find something: its start and its connection, on hosts and
process ids that no other trap has. So the host of a finding identifies the defect and the detection.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zlib import crc32

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.cases import WINDOW
from procnet.detections.catalog import load_detections
from procnet.detections.detection import Detection
from procnet.periods import as_utc
from procnet.predicates.interpret import holds
from procnet.predicates.model import leaves
from procnet.settings import default_conf_dir
from procnet.sources.columns import cleaned, known, stripped
from procnet.sources.validate import load_source
from procnet.sources.view import canonical_view
from random_lakes import Lake, Row, at

DETECTIONS = load_detections(default_conf_dir() / "detections")
TEN = WINDOW.start + timedelta(hours=10)  # the scheduled search reads only this hour
RUN_AT = TEN + timedelta(hours=1, minutes=10)
LATE = RUN_AT + timedelta(weeks=2)
STRANGERS = ("explorer.exe", "lsass.exe")
PORTS = (8000, 8080, 8443)
PRIVATE = ("10.1.2.3", "fe80::1", "::ffff:192.168.0.1")
# Spellings of an unknown id in the records of sensors, as process id and as unique key.
UNKNOWN = ((None, None), ("", ""), ("-", "-"), ("null", "null"), ("0", "{00000000-0000-0000-0000-000000000000}"))
_BASE_NAME = (("process_path", "process_name"), ("parent_process_path", "parent_process_name"))


@dataclass(frozen=True)
class Pair:
    """A defect and a detection: hosts and process ids of its own."""

    defect: int
    detection: Detection

    def host(self, which: str = "") -> str:
        return "-".join(filter(None, (f"d{self.defect:02d}", self.detection.id[:8], which)))

    def process_id(self, which: str = "") -> int:
        """One that no other host has, so that the search joins only the rows of a trap."""
        return crc32(self.host(which).encode())

    def start(self, minute: float, which: str = "", **more: Any) -> Row:
        """A start that matches the detection, minutes after ten."""
        return self._row(minute, which, {"event_kind": "start", **seed(self.detection).start, **more})

    def stranger(self, minute: float, which: str = "", **more: Any) -> Row:
        """A start that does not match it, on the same process id."""
        strangers = ({"process_name": n, "process_path": rf"C:\{n}", "command_line": n} for n in STRANGERS)
        unmatched = next(s for s in strangers if not process_holds(self.detection, s))
        return self._row(minute, which, {"event_kind": "start", **unmatched, **more})

    def connection(self, minute: float, which: str = "", **more: Any) -> Row:
        """A connection that matches it, whose record names no program."""
        return self._row(minute, which, {**seed(self.detection).connection, **more})

    def _row(self, minute: float, which: str, values: Row) -> Row:
        time = TEN + timedelta(minutes=minute)
        known = {
            "host": self.host(which),
            "process_id": self.process_id(which),
            "source": "trap",
            "ingest_time": RUN_AT,
        }
        return {**known, **at(time), **values}


class Seed(NamedTuple):
    start: Row
    connection: Row


def seed(detection: Detection) -> Seed:
    """Start and connection of the first case that expects findings and has both, without time, host and id."""
    case = next(c for c in detection.cases if c.expect != "none" and c.processes)
    start, connection = (
        {k: v for k, v in side[0].items() if k not in ("at", "host", "process_id")}
        for side in (case.processes, case.connections)
    )
    for path, name in _BASE_NAME:
        if path in start:
            start.setdefault(name, start[path].rsplit("\\", 1)[-1].lower())
    return Seed(start, connection)


def process_holds(detection: Detection, row: Row) -> bool:
    return detection.process is None or holds(detection.process, row) is True


def network_holds(detection: Detection, row: Row) -> bool:
    return detection.network is None or holds(detection.network, row) is True


# --- the traps, one function a defect --------------------------------------------------------------------------------


def plain(p: Pair) -> Lake:
    """No trap, but the rows that each trap varies."""
    return Lake([p.start(0)], [p.connection(1)])


def another_host(p: Pair) -> Lake:
    """A process id (and unique key, as on clones) whose process is on another host: on the connection's host it has no
    process, or a stranger's that started earlier, so that an attribution without the host would name the other one."""
    free: Row = {"process_id": p.process_id(), "process_guid": "G-CLONE"}
    taken: Row = {"process_id": p.process_id("other")}
    connections = [p.connection(1, "free", **free), p.connection(1, "taken", **taken)]
    return Lake([p.start(0, **free), p.start(0, "other"), p.stranger(-1, "taken", **taken)], connections)


def many_connections(p: Pair) -> Lake:
    return Lake([p.start(0)], [p.connection(1 + i, src_port=50_000 + i) for i in range(5)])


def without_ids(p: Pair) -> Lake:
    """Start and connection on one host, neither with an id."""
    ids: Row = {"process_id": None, "process_guid": None}
    return Lake([p.start(0, **ids)], [p.connection(1, **ids)])


def taken_over(p: Pair) -> Lake:
    """The id is reused by a stranger; on another host by the same program."""
    once = [p.connection(1, src_port=50_000), p.connection(3, src_port=1024)]  # the search takes what sorts first
    again = [p.connection(1, "again"), p.connection(3, "again")]
    return Lake([p.start(0), p.stranger(2), p.start(0, "again"), p.start(2, "again")], [*once, *again])


def before_the_start(p: Pair) -> Lake:
    return Lake([p.start(2)], [p.connection(1)])


def before_the_window(p: Pair) -> Lake:
    """As old as the lookback allows, and a minute older."""
    age = p.detection.lookback / timedelta(minutes=1)
    return Lake([p.start(1 - age), p.start(-age, "older")], [p.connection(1), p.connection(1, "older")])


def late(p: Pair) -> Lake:
    """Late arrivals: the connection, its start, and the start that reuses the process id.

    Each is on two hosts: in the lake of the first run, and in the lake after the late rows.
    """
    rows = Lake([], [])
    for when, until in (("run", RUN_AT), ("rerun", LATE)):
        starts = [p.start(0, f"{when}-connection"), p.start(0, f"{when}-start", ingest_time=LATE),
                  p.start(0, f"{when}-end"), p.stranger(1, f"{when}-end", ingest_time=LATE)]  # fmt: skip
        connections = [p.connection(2, f"{when}-connection", ingest_time=LATE), p.connection(2, f"{when}-start"),
                       p.connection(2, f"{when}-end")]  # fmt: skip
        rows.processes.extend(r for r in starts if r["ingest_time"] <= until)
        rows.connections.extend(r for r in connections if r["ingest_time"] <= until)
    return rows


PROCESS_SAYS = {"user": "CORP\\ann", "action": "allowed", "vendor_product": "sensor of starts", "record_id": "start"}
CONNECTION_SAYS = {"user": "CORP\\service", "action": "ended", "vendor_product": "sensor of connections",
                   "record_id": "connection", "app": "remote"}  # fmt: skip


def same_names(p: Pair) -> Lake:
    """Start and connection both have user, action and sensor, with different values."""
    remote = seed(p.detection).connection.get("dest_host", "remote.example")
    return Lake([p.start(0, **PROCESS_SAYS)], [p.connection(1, **CONNECTION_SAYS, dest_host=remote)])


def other_traffic(p: Pair) -> Lake:
    variants: dict[str, list[Row]] = {"inbound": [{"direction": "inbound"}], "blocked": [{"action": "blocked"}],
             "private": [{"dest_ip": ip} for ip in PRIVATE]}  # fmt: skip
    connections = [p.connection(1, which, **more) for which, several in variants.items() for more in several]
    return Lake([p.start(0, which) for which in variants], connections)


def other_ports(p: Pair) -> Lake:
    tcp = [p.connection(1, dest_port=port, transport="tcp") for port in PORTS]
    return Lake([p.start(0), p.start(0, "udp")], [*tcp, p.connection(1, "udp", transport="udp")])


TRIAGE: Row = {"process_guid": "G-1", "process_hash": "SHA256=00", "parent_command_line": "cmd /c x"}
TRAFFIC: Row = {"process_guid": "G-1", "src_ip": "192.0.2.5", "src_port": 50_001, "bytes_in": 7, "bytes_out": 5}


def all_fields(p: Pair) -> Lake:
    return Lake([p.start(0, **TRIAGE)], [p.connection(1, **TRAFFIC)])


TRAPS: dict[int, Callable[[Pair], Lake]] = {
    0: plain, 1: another_host, 2: many_connections, 4: without_ids, 5: taken_over, 6: before_the_start,
    7: before_the_window, 8: late, 9: same_names, 10: other_traffic, 11: other_ports, 12: all_fields,
}  # fmt: skip


def build(spark: SparkSession) -> Lake:
    """All traps of all detections; the flows of D14 are raw records, read by their source's mapping."""
    lakes = [trap(Pair(n, d)) for n, trap in TRAPS.items() for d in DETECTIONS]
    lakes += [flows_as_read(spark, [flow(Pair(14, d)) for d in DETECTIONS])]
    return Lake([r for lake in lakes for r in lake.processes], [r for lake in lakes for r in lake.connections])


# --- raw records -----------------------------------------------------------------------------------------------------


def ids_as_read(spark: SparkSession) -> list[Row]:
    """The spellings of UNKNOWN as every source reads them: the cleaning steps of each column of raw text."""
    raw = spark.createDataFrame(UNKNOWN, "process_id string, process_guid string")
    for step in (stripped, known, lambda column, value: cleaned(column, [(value, T.StringType())])):
        raw = raw.select(*(step(c, F.col(c)).alias(c) for c in raw.columns))
    return [r.asDict() for r in raw.distinct().collect()]


def flow(p: Pair) -> Row:
    """The raw flow record of a detection's process and connection; its `parg` are the arguments without the image."""
    start, connection = seed(p.detection)
    line = start.get("command_line", "").strip()
    arguments = line.rpartition('"')[2] if line.startswith('"') else line.partition(" ")[2]
    return {
        "udid": p.host(), "fsms": str(int(TEN.timestamp() * 1000)), "sa": "192.0.2.5", "sp": "50001",
        "da": connection.get("dest_ip"), "dp": str(connection.get("dest_port", 443)), "dh": connection.get("dest_name"),
        "pr": "6", "fd": "1", "ibc": "7", "obc": "5", "pid": str(p.process_id()), "puid": f"{p.process_id():032x}",
        "pn": start["process_name"], "ppath": start.get("process_path"), "parg": arguments.strip(), "ph": "00",
        "pa": "CORP\\ann", "ppn": start.get("parent_process_name", "cmd.exe"), "eveuuid": p.host(),
    }  # fmt: skip


def flows_as_read(spark: SparkSession, flows: Sequence[Row]) -> Lake:
    """Raw flow records as process events and as network events, by the mapping of their source."""
    raw = spark.createDataFrame([tuple(f.values()) for f in flows], ", ".join(f"{c} string" for c in flows[0]))
    raw, source = raw.withColumn("file", F.lit("flows")), load_source("cisco_nvm")
    views = [canonical_view(raw, source, table) for table in ("process_events", "network_events")]
    return Lake(*([] if view is None else [{**r, "ingest_time": RUN_AT} for r in utc_rows(view)] for view in views))


def utc_rows(frame: DataFrame) -> list[Row]:
    """Collected rows with times in UTC."""
    rows = (r.asDict(recursive=True) for r in frame.collect())
    return [{k: as_utc(v.astimezone()) if isinstance(v, datetime) else v for k, v in r.items()} for r in rows]


def frames(spark: SparkSession, lake: Lake) -> tuple[DataFrame, DataFrame]:
    sides = ((lake.processes, PROCESS_EVENTS), (lake.connections, NETWORK_EVENTS))
    events = [spark.createDataFrame([tuple(r.get(n) for n in s.names) for r in rows], s) for rows, s in sides]
    return events[0], events[1]


# --- the search ------------------------------------------------------------------------------------------------------


class Match(NamedTuple):
    """A row of the search: the start and the connection that it joins."""

    start: Row
    connection: Row

    @property
    def overwritten(self) -> Row:
        """Its endpoint and account: those of the right-hand side, where `dest` is the remote end."""
        return {"dest": self.connection.get("dest_host") or self.connection["dest_ip"], "user": self.connection["user"]}


# The order in which `tstats` returns its rows: `join` takes the first one of a process id.
_ORDER = ("action", "app", "bytes", "bytes_in", "bytes_out", "dest", "dest_ip", "dest_port", "host", "transport",
          "protocol_version", "src_ip", "src_port", "user", "vendor_product", "direction")  # fmt: skip


def literal_join(detection: Detection, lake: Lake, limit: int = 50_000) -> list[Match]:
    """The join of the search for any detection: by hour and process id only, and one connection for each.

    procnet.demo.splunk_search has it for one detection; a test compares the two.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    for c in sorted((c for c in lake.connections if network_holds(detection, c)), key=lambda c: c["event_time"]):
        rows.setdefault((_hour(c), _by(c), _id(c)), c)
    first: dict[tuple[Any, ...], Row] = {}
    read = Counter[datetime]()
    for (hour, _, process_id), c in sorted(rows.items()):
        if read[hour] < limit:
            first.setdefault((hour, process_id), c)
        read[hour] += 1
    starts = (s for s in lake.processes if s["event_kind"] == "start" and process_holds(detection, s))
    return [Match(s, first[_hour(s), _id(s)]) for s in starts if (_hour(s), _id(s)) in first]


def _hour(row: Row) -> datetime:
    return as_utc(row["event_time"].replace(minute=0, second=0, microsecond=0))


def _id(row: Row) -> str:
    return _or_null(row.get("process_id"))


def _or_null(value: object) -> str:
    """`fillnull_value=null`: an unknown value becomes a word, which is equal to itself."""
    return "null" if value is None else str(value)


def _by(c: Row) -> tuple[Any, ...]:
    known = {**c, "dest": c.get("dest_host") or c.get("dest_ip")}
    port = known.get("dest_port")
    return tuple((port is None, port or 0) if n == "dest_port" else _or_null(known.get(n)) for n in _ORDER)


def of_hosts(lake: Lake, prefix: str) -> Lake:
    """The rows of one trap."""
    return Lake(*([r for r in rows if r["host"].startswith(prefix)] for rows in (lake.processes, lake.connections)))


# --- what a detection restricts --------------------------------------------------------------------------------------


def restricts(detection: Detection, column: str) -> bool:
    """Whether the network block has a condition on a column."""
    return detection.network is not None and column in {leaf.field for leaf in leaves(detection.network)}


def ports_of(detection: Detection) -> frozenset[int] | None:
    """The ports that can match; None if any can."""
    tests = leaves(detection.network) if detection.network is not None else ()
    return frozenset(int(str(t.value)) for t in tests if t.field == "dest_port" and t.op == "eq") or None
