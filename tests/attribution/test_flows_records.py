"""Flows of a real sensor against the endpoints' own records, and against the process that made the connection."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import SparkSession

import oracle_flows
import real_records as records
from procnet.attribution.flows import attribute_flows
from procnet.contract import FLOW_EVENTS, NETWORK_EVENTS
from procnet.settings import AttributionSettings, HostMatch

EVIDENCE = records.DATA / "evidence"
SKEW = AttributionSettings().flow_skew
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
TRANSPORTS = {"1": "icmp", "6": "tcp", "17": "udp"}

pytestmark = [
    pytest.mark.records,
    pytest.mark.skipif(
        not (EVIDENCE.exists() and (records.DATA / "mordor_subset").exists()),
        reason="the real records are not beside this checkout",
    ),
]


def json_lines(pattern: str) -> Iterator[dict[str, Any]]:
    for file in sorted(EVIDENCE.glob(pattern)):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


@pytest.fixture(scope="module")
def flows() -> records.Rows:
    """Rows of Zeek's conn, ssl and http, as mappings of one source give them."""
    rows = []
    for log in ("conn", "ssl", "http"):
        for r in json_lines(f"ZEEK-BO-CORE/{log}.json.gz"):
            time = EPOCH + timedelta(microseconds=round(r["ts"] * 1e6))
            known = {
                "event_time": time, "event_date": time.date(), "sensor": "zeek-bo-core", "src_ip": r["id.orig_h"],
                "src_port": r["id.orig_p"], "dest_ip": r["id.resp_h"], "dest_port": r["id.resp_p"],
                "transport": r.get("proto"), "bytes_in": r.get("resp_bytes"), "bytes_out": r.get("orig_bytes"),
                "duration": r.get("duration"), "flow_uid": r["uid"],
                "server_name": r.get("server_name") or r.get("host"), "url": r.get("uri"), "source": "zeek_conn",
            }  # fmt: skip
            rows.append(records.complete(known, FLOW_EVENTS.names))
    return rows


@pytest.fixture(scope="module")
def connections() -> records.Rows:
    """Rows of Sysmon 3 and Security 5156."""
    rows = []
    for file in sorted(EVIDENCE.glob("*/windows_event_*.xml.gz")):
        text = gzip.decompress(file.read_bytes()).decode("utf-8")
        for event in re.findall(r"<Event .*?</Event>", text, re.DOTALL):
            event_id = int(re.search(r"<EventID>(\d+)<", event)[1])  # type: ignore[index]
            if event_id not in (3, 5156):
                continue
            d = dict(re.findall(r'<Data Name="(\w+)">(.*?)</Data>', event, re.DOTALL))
            [(second, fraction)] = re.findall(r'SystemTime="([^".]+)[.](\d{6})', event)
            time = datetime.fromisoformat(f"{second}.{fraction}+00:00")
            sysmon = event_id == 3
            path = d["Image" if sysmon else "Application"]
            src, dest = ("SourceIp", "DestinationIp") if sysmon else ("SourceAddress", "DestAddress")
            outbound = d["Initiated"] == "true" if sysmon else d["Direction"] == "%%14593"
            known = {
                "event_time": time, "event_date": time.date(),
                "host": re.search("<Computer>(.*?)<", event)[1].lower(),  # type: ignore[index]
                "process_id": records.number(d["ProcessId" if sysmon else "ProcessID"]),
                "process_guid": records.guid(d.get("ProcessGuid")), "process_path": path,
                "process_name": records.base(path), "src_ip": d[src], "src_port": int(d["SourcePort"]),
                "dest_ip": d[dest], "dest_port": int(d["DestinationPort" if sysmon else "DestPort"]),
                "transport": d["Protocol"] if sysmon else TRANSPORTS[d["Protocol"]],
                "direction": "outbound" if outbound else "inbound", "source": "sysmon" if sysmon else "security",
                "record_id": f"{file.parent.name} {event_id} {re.search('<EventRecordID>(.*?)<', event)[1]}",  # type: ignore[index]
            }  # fmt: skip
            rows.append(records.complete(known, NETWORK_EVENTS.names))
    return rows


def ends(row: dict[str, Any]) -> frozenset[tuple[str, int]]:
    return frozenset([(row["src_ip"], row["src_port"]), (row["dest_ip"], row["dest_port"])])


def by_ends(rows: records.Rows) -> dict[frozenset[tuple[str, int]], records.Rows]:
    found = defaultdict(list)
    for r in rows:
        found[ends(r)].append(r)
    return found


def attributed(flows: records.Rows, connections: records.Rows, flow_skew: timedelta) -> records.Rows:
    """The oracle's answers: only rows with the same ends matter to a flow."""
    theirs = by_ends(connections)
    return [
        row
        for key, own in by_ends(flows).items()
        for row in oracle_flows.attribute_flows(own, theirs.get(key, []), flow_skew=flow_skew)
    ]


def figures(answers: records.Rows, connections: records.Rows) -> Counter[str]:
    """How many answers are right, wrong, refused or missing, of flows whose ends an endpoint recorded at any time.

    Right: an endpoint's own record within a second has this host, process id and image. The data's own truth (eCAR,
    where it names a process, at most 1.8 s later) is counted apart.
    """
    own, truth = by_ends(connections), defaultdict(list)
    for r in json_lines("*/ecar.json.gz"):
        p = r["properties"]
        if r["object"] == "FLOW" and "pid" in r and "src_port" in p:
            key = frozenset([(p["src_ip"], int(p["src_port"])), (p["dst_ip"], int(p["dst_port"]))])
            truth[r["hostname"].lower(), key].append((EPOCH + timedelta(milliseconds=r["timestamp_ms"]), r["pid"]))
    found: Counter[str] = Counter()
    for a in answers:
        theirs = own.get(ends(a), [])
        if not theirs:
            found["no record, but named" if a["reason"] is None else "no record"] += 1
        elif a["reason"] is not None:
            found["missing" if a["reason"] == "no_connection" else a["reason"]] += 1
        else:
            said = {
                (c["host"], c["process_id"], c["process_name"])
                for c in theirs
                if abs(c["event_time"] - a["event_time"]) <= timedelta(seconds=1)
            }
            found["right" if (a["host"], a["process_id"], a["process_name"]) in said else "wrong"] += 1
            true = {
                process_id
                for time, process_id in truth.get((a["host"].partition(".")[0], ends(a)), [])
                if abs(time - a["event_time"]) <= timedelta(seconds=2)
            }
            if true:
                found["eCAR agrees" if true == {a["process_id"]} else "eCAR differs"] += 1
    return found


def test_every_flow_that_an_endpoint_recorded_has_its_process(flows: records.Rows, connections: records.Rows) -> None:
    found = figures(attributed(flows, connections, SKEW), connections)
    assert found == {"right": 3891, "no record": 2598, "eCAR agrees": 758}


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (20, {"missing": 1310, "right": 2581, "eCAR agrees": 547}),
        (500, {"right": 3891, "eCAR agrees": 758}),
        (600_000, {"right": 3891, "eCAR agrees": 758}),
        (3_600_000, {"reused_tuple": 2, "right": 3889, "eCAR agrees": 756}),
    ],
)
def test_other_skews(
    flows: records.Rows, connections: records.Rows, milliseconds: int, expected: dict[str, int]
) -> None:
    found = figures(attributed(flows, connections, timedelta(milliseconds=milliseconds)), connections)
    assert found == {**expected, "no record": 2598}


def test_of_sysmon_only(flows: records.Rows, connections: records.Rows) -> None:
    """The one that is missing was not recorded: its ends have a flow and a record five hours apart from it, too."""
    sysmon = [c for c in connections if c["source"] == "sysmon"]
    found = figures(attributed(flows, sysmon, SKEW), sysmon)
    assert found == {"right": 525, "missing": 1, "no record": 5963, "eCAR agrees": 277}


# Attack ranges with both sensors: Security 5156 stands for the flow, Sysmon 3 for the endpoint's record of it


@pytest.fixture(scope="module")
def recordings() -> list[tuple[records.Rows, records.Rows]]:
    """(Connections of Sysmon 3, outbound connections of Security 5156) of each file."""
    return list(read_recordings())


def read_recordings() -> Iterator[tuple[records.Rows, records.Rows]]:
    for file in sorted((records.DATA / "mordor_subset").glob("*/*.gz")):
        rows: dict[int, records.Rows] = {3: [], 5156: []}
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for r in map(json.loads, lines):
                log = r.get("winlog", {})
                data = r.get("event_data") or log.get("event_data") or r
                ids = (r.get("EventID"), r.get("EventId"), r.get("event_id"), log.get("event_id"))
                event_id = next((i for i in ids if i is not None), 0)
                if event_id in rows:
                    host = r.get("Hostname") or r.get("computer_name") or log.get("computer_name")
                    rows[event_id].append(
                        {
                            **dict.fromkeys((*NETWORK_EVENTS.names, *FLOW_EVENTS.names)),
                            **records.common(file.name, event_id, r, data),
                            **addresses(event_id, data),
                            "host": host.lower().partition(".")[0],
                        }
                    )
        yield rows[3], [r for r in rows[5156] if r["direction"] == "outbound"]


def addresses(event_id: int, data: dict[str, Any]) -> dict[str, Any]:
    known = records.endpoints(event_id, data)
    source = "SourceIp" if event_id == 3 else "SourceAddress"
    transport = data["Protocol"] if event_id == 3 else TRANSPORTS.get(str(data["Protocol"]))
    return {**known, "src_ip": data[source], "src_port": int(data["SourcePort"]), "transport": transport}


def figures_of_recordings(recordings: list[tuple[records.Rows, records.Rows]], flow_skew: timedelta) -> Counter[str]:
    """How the processes of Sysmon's records compare with those of the 5156 records whose ends Sysmon recorded too."""
    found: Counter[str] = Counter()
    for sysmon, security in recordings:
        endpoint = by_ends(sysmon)
        for key, own in by_ends(security).items():
            if key not in endpoint:
                continue
            # Two hosts' records of one time are one flow.
            once = list({(r["event_time"], r["src_ip"]): r for r in reversed(own)}.values())
            flows = [{**r, "flow_uid": str(i)} for i, r in enumerate(once)]
            for a in oracle_flows.attribute_flows(flows, endpoint[key], flow_skew=flow_skew):
                if a["reason"] or a["side"] == "dest":
                    found[a["reason"] or "other side only"] += 1
                else:
                    theirs = (r for r in own if r["event_time"] == a["event_time"])
                    found["right" if any(same_process(a, r) for r in theirs) else "wrong"] += 1
    return found


def same_process(answer: dict[str, Any], record: dict[str, Any]) -> bool:
    """Sysmon's records of 2020 lack the process id; some name the image `&lt;unknown process&gt;`."""
    name = None if "unknown" in (answer["process_name"] or "") else answer["process_name"]
    return (
        answer["host"] == record["host"]
        and not oracle_flows.differ(answer["process_id"], record["process_id"])
        and not oracle_flows.differ(name, record["process_name"])
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1, {"right": 215, "other side only": 63, "several_processes": 2, "no_connection": 2183}),
        (5, {"right": 2151, "other side only": 211, "several_processes": 7, "several_hosts": 3, "reused_tuple": 5,
             "no_connection": 86}),
        (60, {"right": 2193, "other side only": 215, "several_processes": 10, "several_hosts": 3, "reused_tuple": 29,
              "no_connection": 13}),
    ],
)  # fmt: skip
def test_slow_sensors(
    recordings: list[tuple[records.Rows, records.Rows]], seconds: int, expected: dict[str, int]
) -> None:
    assert figures_of_recordings(recordings, timedelta(seconds=seconds)) == expected


@pytest.mark.spark
@pytest.mark.usefixtures("compiled")
def test_spark_gives_the_same_answers(spark: SparkSession, flows: records.Rows, connections: records.Rows) -> None:
    flow_events, network_events = (
        spark.createDataFrame([tuple(r.values()) for r in rows], schema, verifySchema=False)
        for rows, schema in ((flows, FLOW_EVENTS), (connections, NETWORK_EVENTS))
    )
    described = ("flow_uid", "server_name", "url", "duration", "host", "side", "connection_record_id", "reason")
    names = (*described, *oracle_flows.PROCESS)
    found = attribute_flows(flow_events, network_events, flow_skew=SKEW, host_match=HostMatch.SHORT)
    expected = attributed(flows, connections, SKEW)
    assert Counter(map(tuple, found.select(*names).collect())) == Counter(tuple(r[n] for n in names) for r in expected)
