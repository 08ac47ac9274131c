"""Flows against the oracle: known traps as a table, random lakes, parts of a lake, and real records."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

import oracle_flows
from procnet.attribution.flows import attribute_flows, flow_reach, with_flows
from procnet.contract import FLOW_EVENTS, NETWORK_EVENTS
from procnet.settings import HostMatch
from random_lakes import NOON, Choose, Row, at

pytestmark = pytest.mark.usefixtures("compiled")

SKEW = timedelta(seconds=2)
PLANS = {"broadcast": True, "shuffled": False}
US = timedelta(microseconds=1)
ATTRIBUTED = ("event_time", "flow_uid", "transport", "bytes_in", "bytes_out", "duration", "server_name", "url",
              "record_id", "ingest_time", "host", "side", *oracle_flows.PROCESS, "connection_record_id", "attribution",
              "reason")  # fmt: skip
DESCRIBED = ("record_id", "event_time", "bytes_in", "bytes_out", "dest_name", *oracle_flows.SENSOR)


@dataclass(frozen=True)
class Lake:
    flows: list[Row]
    connections: list[Row]


# The table of traps


def flow(seconds: float = 0, **known: Any) -> Row:
    row = {"source": "zeek", "sensor": "s1", "flow_uid": "C1", "src_ip": "10.0.0.5", "src_port": 50000,
           "dest_ip": "192.0.2.1", "dest_port": 443, "transport": "tcp", **known}  # fmt: skip
    return {name: {**row, **at(NOON + timedelta(seconds=seconds))}.get(name) for name in FLOW_EVENTS.names}


def connection(seconds: float = 0, **known: Any) -> Row:
    row = {"source": "windows_xml", "host": "a", "process_id": 4, "process_name": "curl.exe", "src_ip": "10.0.0.5",
           "src_port": 50000, "dest_ip": "192.0.2.1", "dest_port": 443, "transport": "tcp", "direction": "outbound",
           "record_id": "1", **known}  # fmt: skip
    return {name: {**row, **at(NOON + timedelta(seconds=seconds))}.get(name) for name in NETWORK_EVENTS.names}


TURNED = {"src_ip": "192.0.2.1", "src_port": 443, "dest_ip": "10.0.0.5", "dest_port": 50000}
SERVER = {"host": "b", "process_id": 700, "process_name": "w3wp.exe", "direction": "inbound", "record_id": "2"}

# name: flows, connections, (host, process id or reason) of each flow in order of time and uid, uid of each connection
TRAPS: dict[str, tuple[list[Row], list[Row], list[Any], list[Any]]] = {
    "one of each": ([flow()], [connection(0.4)], [("a", 4)], ["C1"]),
    "skew, to the microsecond": ([flow()], [connection(2)], [("a", 4)], ["C1"]),
    "skew, a microsecond more": ([flow()], [connection(2.000001)], ["no_connection"], [None]),
    "the sensor's clock is ahead": ([flow(2)], [connection()], [("a", 4)], ["C1"]),
    "the sensor's clock is ahead, a microsecond more": ([flow(2.000001)], [connection()], ["no_connection"], [None]),
    "source port used again, far apart": (
        [flow(), flow(60, flow_uid="C2")], [connection(), connection(60, process_id=12)], [("a", 4), ("a", 12)],
        ["C1", "C2"],
    ),
    "source port used again, near": (
        [flow(), flow(1, flow_uid="C2")], [connection()], ["reused_tuple", "reused_tuple"], [None],
    ),
    "source port used again by another process, one flow seen": (
        [flow()], [connection(), connection(1, process_id=12, process_name="other.exe")], ["several_processes"],
        [None, None],
    ),
    "a flow near is of another port": ([flow(), flow(src_port=50001, flow_uid="C2")], [connection()],
                                       [("a", 4), "no_connection"], ["C1"]),
    "address translated": ([flow(src_ip="198.51.100.7", src_port=61000)], [connection()], ["no_connection"], [None]),
    "two hosts with one private address": (
        [flow()], [connection(), connection(host="b")], ["several_hosts"], [None, None],
    ),
    "one host by two names": ([flow()], [connection(), connection(host="a.corp.example")], [("a", 4)], ["C1", "C1"]),
    "both sides are endpoints": ([flow()], [connection(), connection(**SERVER)], [("a", 4)], ["C1", "C1"]),
    "only the server is an endpoint": ([flow()], [connection(**SERVER)], [("b", 700)], ["C1"]),
    "the server writes its own address first": ([flow()], [connection(**{**SERVER, **TURNED})], [("b", 700)], ["C1"]),
    "a server's address is that of two hosts": (
        [flow()], [connection(), connection(**SERVER), connection(**{**SERVER, "host": "c"})], ["several_hosts"],
        [None, None, None],
    ),
    "a host connects to itself": (
        [flow()], [connection(), connection(**{**SERVER, "host": "a"})], [("a", 4)], ["C1", "C1"],
    ),
    "the sensor took the answer for the first packet": ([flow(**TURNED)], [connection()], [("a", 4)], ["C1"]),
    "two network sensors": (
        [flow(), flow(0.1, sensor="s2", flow_uid="C2")], [connection()], [("a", 4), ("a", 4)], ["C1"],
    ),
    "two sensors of the host": (
        [flow()], [connection(), connection(0.6, process_guid="G", source="sysmon")], [("a", 4)], ["C1", "C1"],
    ),
    "a second sensor of the host differs": (
        [flow()], [connection(process_guid="G"), connection(process_guid="H")], ["several_processes"], [None, None],
    ),
    "one process id, two images": (
        [flow()], [connection(), connection(process_name="other.exe")], ["several_processes"], [None, None],
    ),
    "one sensor has the id, the other the guid": (
        [flow()], [connection(), connection(process_id=None, process_guid="G", process_name=None)], [("a", 4)],
        ["C1", "C1"],
    ),
    "a long flow has the time of its first packet": (
        [flow(duration=7200.0), flow(3600, url="/later")], [connection(0.4), connection(5400)],
        [("a", 4), "no_connection"], ["C1", None],
    ),
    "conn, ssl and http are one flow": (
        [flow(0.1, transport=None, server_name="x"), flow(0.2, transport=None, url="/"), flow(duration=1.0)],
        [connection(-2)], [("a", 4)], ["C1"],
    ),
    "one record read twice": (
        [flow(flow_uid=None), flow(flow_uid=None, ingest_time=NOON)], [connection()], [("a", 4)], [None],
    ),
    "two records without uid": (
        [flow(flow_uid=None, record_id="1"), flow(flow_uid=None, record_id="2")], [connection()],
        ["reused_tuple", "reused_tuple"], [None],
    ),
    "the record names no process": (
        [flow()], [connection(process_id=None, process_name=None)], ["no_process"], ["C1"],
    ),
    "the host is unknown": ([flow()], [connection(host=None)], ["no_connection"], [None]),
    "a port is unknown": ([flow(src_port=None)], [connection(src_port=None)], ["no_connection"], [None]),
    "transport unknown": ([flow(transport=None)], [connection()], [("a", 4)], ["C1"]),
    "another transport": ([flow(transport="udp")], [connection()], ["no_connection"], [None]),
    "one uid, two transports": (
        [flow(), flow(transport="udp")], [connection()], [("a", 4), "no_connection"], ["C1"],
    ),
}  # fmt: skip


def test_the_traps_have_the_answers_of_the_table() -> None:
    """Of the oracle; `test_plans_agree` compares both plans with it on the same rows."""
    for name, (flows, connections, answers, uids) in TRAPS.items():
        found = oracle_flows.attribute_flows(flows, connections, flow_skew=SKEW)
        found.sort(key=lambda r: (r["event_time"], r["flow_uid"] or "", r["transport"] or ""))
        assert [r["reason"] or (r["host"], r["process_id"]) for r in found] == answers, name
        described = oracle_flows.with_flows(connections, flows, connections, flow_skew=SKEW)
        assert [r["flow_uid"] for r in described] == uids, name


def test_a_flow_says_what_the_record_does_not() -> None:
    sent = flow(bytes_in=1, bytes_out=2, server_name="x.example")
    client, server = connection(), connection(**SERVER)
    own = connection(bytes_in=7, dest_name="own.example")
    rows = oracle_flows.with_flows([client, server, own], [sent], [client, server, own], flow_skew=SKEW)
    assert [(r["bytes_in"], r["bytes_out"], r["dest_name"]) for r in rows] == [
        (1, 2, "x.example"), (2, 1, None), (7, 2, "own.example"),
    ]  # fmt: skip


# Random lakes: few addresses, ports, uids and hosts, and times on every boundary


def random_lake(choose: Choose) -> Lake:
    base = [random_connection(choose, i) for i in range(choose((1, 2, 2, 3, 4, 5)))]
    connections = base + [again(choose, choose(base)) for _ in range(choose((0, 0, 1, 2)))]
    flows = [random_flow(choose, i, choose(connections)) for i in range(choose((1, 2, 2, 3, 4, 6)))]
    flows += [further_record(choose, choose(flows)) for _ in range(choose((0, 0, 1, 2)))]
    return Lake(flows, connections)


def time(choose: Choose) -> Row:
    seconds = choose((0, 0, 0, 0, 0, 1, 1, 2, 2, 4, 6, 60, 62, 64, 120))
    return at(NOON + seconds * timedelta(seconds=1) + choose((0, 0, 0, -1, 1)) * US)


def tuple_of(choose: Choose) -> Row:
    src = choose((*["10.0.0.5"] * 10, "10.0.0.6", None, "192.0.2.1"))
    dest = choose((*["192.0.2.1"] * 10, "10.0.0.5", None))
    ports = choose((*[(50000, 443)] * 10, (443, 443), (443, 50000), (None, 443), (50000, None)))
    transport = choose((*["tcp"] * 6, "udp", None))
    return {"src_ip": src, "src_port": ports[0], "dest_ip": dest, "dest_port": ports[1], "transport": transport}


def turned(row: Row) -> Row:
    return {**row, "src_ip": row["dest_ip"], "src_port": row["dest_port"], "dest_ip": row["src_ip"],
            "dest_port": row["src_port"]}  # fmt: skip


def random_connection(choose: Choose, number: int) -> Row:
    process = {"process_id": choose((4, 4, 4, None, 12)), "process_guid": choose((None, None, None, "G", "H")),
               "process_name": choose(("x.exe", "x.exe", "x.exe", None, None, "y.exe"))}  # fmt: skip
    unnamed = dict.fromkeys(process)
    known = {"host": choose((*["a"] * 6, "a.corp", "b", "b", None)), "process_path": choose((None, "C:/x", "D:/x")),
             "process_start_time": choose((None, NOON)), "user": choose((None, "u")),
             "direction": choose(("outbound", "outbound", "inbound", None)), "bytes_in": choose((None, None, 5)),
             "dest_name": choose((None, None, "own.example")), "record_id": str(number),
             "source": choose(("flat", "beats"))}  # fmt: skip
    process = choose((process, process, process, process, unnamed))
    return complete({**tuple_of(choose), **known, **process, **time(choose)}, NETWORK_EVENTS)


def again(choose: Choose, row: Row) -> Row:
    """A second record of a connection, by the other side, another sensor or another host."""
    other = {"record_id": "again", "source": "other", "direction": choose((row["direction"], "inbound", "outbound")),
             "host": choose((row["host"], row["host"], "b")), "process_guid": choose((row["process_guid"], "G", None)),
             "process_id": choose((row["process_id"], row["process_id"], 700)),
             "process_name": choose((row["process_name"], row["process_name"], "z.exe", None)),
             **near(choose, row)}  # fmt: skip
    return choose((row, {**row, **other}, turned({**row, **other})))


def near(choose: Choose, row: Row) -> Row:
    seconds = choose((-2, -1, 0, 0, 0, 1, 2))
    return at(row["event_time"] + seconds * timedelta(seconds=1) + choose((0, 0, -1, 1)) * US)


def random_flow(choose: Choose, number: int, row: Row) -> Row:
    ends = {n: row[n] for n in ("src_ip", "src_port", "dest_ip", "dest_port", "transport")}
    ends = choose((ends, ends, ends, turned(ends), {**ends, "transport": None}, tuple_of(choose)))
    known = {"sensor": choose(("s1", "s1", "s2", None)), "source": choose(("zeek", "zeek", "suricata")),
             "flow_uid": choose(("C1", "C1", "C2", "C3", None)), "bytes_in": choose((None, 1)),
             "bytes_out": choose((None, 2)), "duration": choose((None, 1.5)), "server_name": choose((None, "x", "y")),
             "url": choose((None, "/")), "record_id": choose((None, str(number)))}  # fmt: skip
    return complete({**ends, **known, **choose((near(choose, row), near(choose, row), time(choose)))}, FLOW_EVENTS)


def further_record(choose: Choose, row: Row) -> Row:
    """The same record read twice, or another record of the flow, which knows other columns."""
    seconds = choose((0, 0, 1, 60, 61, -60, 59))
    later = at(row["event_time"] + seconds * timedelta(seconds=1) + choose((0, 0, 1)) * US)
    other = {"transport": choose((None, row["transport"], "udp")), "server_name": choose((None, "z")),
             "duration": None, "url": choose((None, "/2")), "record_id": "further"}  # fmt: skip
    return choose(({**row, "ingest_time": NOON}, {**row, **other, **later}))


def complete(row: Row, schema: T.StructType) -> Row:
    return {name: row.get(name) for name in schema.names}


def seeded(count: int, number: int) -> list[Lake]:
    dice = random.Random(number)
    return [random_lake(dice.choice) for _ in range(count)]


@st.composite
def lakes(draw: st.DrawFn) -> Lake:
    return random_lake(lambda options: draw(st.sampled_from(options)))


def drawn(count: int, number: int) -> list[Lake]:
    """Returns `count` lakes of Hypothesis, to be judged in one job."""
    found: list[Lake] = []

    @seed(number)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(lakes())
    def collect(lake: Lake) -> None:
        found.append(lake)

    collect()
    return found


# Many lakes in one job: each has addresses and sources of its own


def moved(row: Row, lake: int) -> Row:
    own = {n: None if row[n] is None else f"{lake} {row[n]}" for n in ("src_ip", "dest_ip", "source")}
    return {**row, **own}


def frame(spark: SparkSession, rows: Sequence[Row], schema: T.StructType) -> DataFrame:
    return spark.createDataFrame([tuple(r[n] for n in schema.names) for r in rows], schema, verifySchema=False)


def comparable(value: Any) -> Any:
    return (value - datetime(1970, 1, 1, tzinfo=NOON.tzinfo)) // US if isinstance(value, datetime) else value


def answers(found: DataFrame, names: Sequence[str], count: int) -> list[Counter[tuple[Any, ...]]]:
    """The rows of each lake, times as microseconds."""
    columns = [F.unix_micros(n).alias(n) if isinstance(found.schema[n].dataType, T.TimestampType) else n for n in names]
    rows: list[Counter[tuple[Any, ...]]] = [Counter() for _ in range(count)]
    for source, *values in found.select("source", *columns).collect():
        rows[int(source.partition(" ")[0])][tuple(values)] += 1
    return rows


def by_spark(
    spark: SparkSession, parts: Sequence[Lake], host_match: HostMatch, plan: str
) -> list[tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]]:
    """What `attribute_flows` and `with_flows` (of all connections) return for each lake."""
    flows, connections = (
        [moved(r, n) for n, lake in enumerate(parts) for r in rows(lake)]
        for rows in (lambda lake: lake.flows, lambda lake: lake.connections)
    )
    flow_events, network_events = frame(spark, flows, FLOW_EVENTS), frame(spark, connections, NETWORK_EVENTS)
    attributed = attribute_flows(
        flow_events, network_events, flow_skew=SKEW, host_match=host_match, broadcast=PLANS[plan]
    )
    described = with_flows(
        network_events, flow_events, network_events, flow_skew=SKEW, host_match=host_match, broadcast=PLANS[plan]
    )
    count = len(parts)
    return list(zip(answers(attributed, ATTRIBUTED, count), answers(described, DESCRIBED, count), strict=True))


def by_oracle(lake: Lake, host_match: HostMatch) -> tuple[Counter[tuple[Any, ...]], Counter[tuple[Any, ...]]]:
    attributed = oracle_flows.attribute_flows(lake.flows, lake.connections, flow_skew=SKEW, host_match=host_match)
    described = oracle_flows.with_flows(
        lake.connections, lake.flows, lake.connections, flow_skew=SKEW, host_match=host_match
    )
    return counted(attributed, ATTRIBUTED), counted(described, DESCRIBED)


def counted(rows: Sequence[Row], names: Sequence[str]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(comparable(r[n]) for n in names) for r in rows)


@pytest.mark.spark
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("host_match", [HostMatch.SHORT, pytest.param(HostMatch.FULL, marks=pytest.mark.long)])
def test_plans_agree_with_the_oracle(spark: SparkSession, host_match: HostMatch, plan: str) -> None:
    examples = [Lake(f, c) for f, c, _, _ in TRAPS.values()] + drawn(150, 1) + seeded(400, 1)
    for lake, found in zip(examples, by_spark(spark, examples, host_match, plan), strict=True):
        for own, expected in zip(found, by_oracle(lake, host_match), strict=True):
            assert own == expected, f"only Spark {own - expected}\nonly the oracle {expected - own}\n{lake}"


def test_lakes_are_nasty_enough() -> None:
    """A comparison on lakes without a refusal would prove nothing."""
    rows = [
        r for lake in seeded(400, 1) for r in oracle_flows.attribute_flows(lake.flows, lake.connections, flow_skew=SKEW)
    ]
    share = {k: v / len(rows) for k, v in Counter(r["reason"] or r["side"] for r in rows).items()}
    assert len(share) == 7
    assert min(share.values()) > 0.01, share


def window(lake: Lake, start: datetime, end: datetime) -> Lake:
    """The rows that a run of one window reads."""
    reach = flow_reach(SKEW)
    return Lake(
        *(
            [r for r in rows if start - reach <= r["event_time"] < end + reach]
            for rows in (lake.flows, lake.connections)
        )
    )


def test_windows_change_nothing_in_the_rules() -> None:
    for lake in seeded(600, 2):
        whole = oracle_flows.with_flows(lake.connections, lake.flows, lake.connections, flow_skew=SKEW)
        for row, expected in zip(lake.connections, whole, strict=True):
            part = window(lake, row["event_time"], row["event_time"] + US)
            [found] = oracle_flows.with_flows([row], part.flows, part.connections, flow_skew=SKEW)
            assert found == expected, lake


def test_order_changes_nothing_in_the_rules() -> None:
    dice = random.Random(3)
    for lake in seeded(200, 3):
        other = Lake(dice.sample(lake.flows, len(lake.flows)), dice.sample(lake.connections, len(lake.connections)))
        assert by_oracle(other, HostMatch.SHORT) == by_oracle(lake, HostMatch.SHORT)


def test_only_a_flow_that_is_attributed_describes_a_connection() -> None:
    for lake in seeded(400, 4):
        attributed = oracle_flows.attribute_flows(lake.flows, lake.connections, flow_skew=SKEW)
        uids = {r["flow_uid"] for r in attributed if r["reason"] in (None, "no_process")}
        described = oracle_flows.with_flows(lake.connections, lake.flows, lake.connections, flow_skew=SKEW)
        assert {r["flow_uid"] for r in described} - {None} <= uids


@pytest.mark.spark
def test_without_a_table_of_flows_the_columns_are_null(spark: SparkSession) -> None:
    network_events = frame(spark, [connection(bytes_in=7)], NETWORK_EVENTS).selectExpr("*", "1 AS `own column`")
    described = with_flows(
        network_events, None, network_events, flow_skew=SKEW, host_match=HostMatch.SHORT, broadcast=True
    )
    assert described.columns == [*network_events.columns, *oracle_flows.SENSOR]
    [row] = described.collect()
    assert [row[n] for n in oracle_flows.SENSOR] == [None] * len(oracle_flows.SENSOR)
    assert (row["bytes_in"], row["own column"]) == (7, 1)
