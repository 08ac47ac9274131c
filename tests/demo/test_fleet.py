"""The made-up fleet: the same seed gives the same bytes, and its answers are true of its own records."""

from __future__ import annotations

import gzip
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from procnet.demo.fleet import Fleet, make_fleet
from procnet.demo.scenarios import SCENARIOS
from procnet.errors import UsageError

Record = dict[str, Any]
# RFC 5737 and 3849 (documentation), and RFC 1918 for the fleet's own machines.
ADDRESSES = [ipaddress.ip_network(n) for n in
             ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "10.0.0.0/8")]  # fmt: skip
# RFC 2606: names that nobody can own.
RESERVED = ("example", "example.com", "example.net", "example.org")
MATCHING = {"guid", "host_pid", "event"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return make_fleet(tmp_path_factory.mktemp("fleet"), hosts=60, hours=14, seed=11)


@pytest.fixture(scope="module")
def lines(fleet: Fleet) -> list[str]:
    return [line for file in fleet.files for line in gzip.decompress(file.read_bytes()).decode().splitlines()]


@pytest.fixture(scope="module")
def records(lines: list[str]) -> list[Record]:
    return list(usable(lines))


def usable(lines: list[str]) -> Iterator[Record]:
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if "@timestamp" in record:
            yield record


def time_of(record: Record) -> datetime:
    return datetime.fromisoformat(record["@timestamp"].replace("Z", "+00:00"))


def host_of(record: Record) -> str:
    return str(record["Hostname"]).rstrip(".").lower()


def connection_of_record(record: Record) -> tuple[Any, ...]:
    ip = str(ipaddress.ip_address(record["DestinationIp"]))
    return host_of(record), time_of(record), ip, int(record["DestinationPort"])


def connection_of(answer: Any) -> tuple[Any, ...]:
    return answer.host, answer.event_time, answer.dest_ip, answer.dest_port


def test_the_seed_decides_the_bytes(tmp_path: Path) -> None:
    made = [make_fleet(tmp_path / n, hosts=4, hours=2, seed=s) for n, s in (("a", 5), ("b", 5), ("c", 6))]
    a, b, c = ([f.read_bytes() for f in (*fleet.files, *fleet.sensor_files)] for fleet in made)
    assert a == b
    assert made[0].answers == made[1].answers
    assert a != c
    assert [f.name for f in made[0].files] == [
        "events-20260302T00.jsonl.gz", "dns-20260302.jsonl.gz", "late-20260302.jsonl.gz",
    ]  # fmt: skip
    assert [f.name for f in made[0].sensor_files] == ["conn-20260302.log.gz", "ssl-20260302.log.gz"]


def test_names_and_flows_change_no_other_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_fleet(tmp_path / "with", hosts=4, hours=2)
    monkeypatch.setattr("procnet.demo.fleet.queries_of", lambda *_: [])
    monkeypatch.setattr("procnet.demo.fleet.flows_of", lambda connections, _: [None] * len(connections))
    without = make_fleet(tmp_path / "without", hosts=4, hours=2)
    same = [a.read_bytes() == b.read_bytes() for a, b in zip(made.files, without.files, strict=True)]
    assert [f.name[:3] for f in made.files] == ["eve", "dns", "lat"]
    assert same == [True, False, True]


def test_counts_are_those_of_the_lines(fleet: Fleet, lines: list[str], records: list[Record]) -> None:
    counts = fleet.counts
    assert counts["lines"] == len(lines)
    assert counts["quarantined"] == len(lines) - len(records) == 2
    distinct = {json.dumps(r, sort_keys=True) for r in records}
    assert counts["duplicates"] == len(records) - len(distinct) > 0
    ids = Counter(r["EventID"] for r in records)
    assert {k: n for k, n in counts.items() if k.startswith("event id")} == {f"event id {i}": n for i, n in ids.items()}
    connections = sum(json.loads(r)["EventID"] == 3 for r in distinct)
    assert counts["network_events"] == connections
    queries = sum(json.loads(r)["EventID"] == 22 for r in distinct)
    assert counts["dns_events"] == queries
    assert counts["process_events"] == len(distinct) - connections - queries
    assert counts["late"] == len(gzip.decompress(fleet.files[-1].read_bytes()).splitlines())


def test_every_scenario_runs_and_every_connection_of_it_is_recorded(fleet: Fleet, records: list[Record]) -> None:
    logged = Counter(connection_of_record(r) for r in records if r["EventID"] == 3)
    assert {a.scenario for a in (*fleet.answers, *fleet.decoys)} == set(SCENARIOS)
    for part in (fleet.answers, fleet.decoys):
        assert [p for p in part if connection_of(p) not in logged] == []
    assert {a.attribution for a in fleet.answers} == MATCHING
    # No connection is an answer and a decoy at once.
    assert not {connection_of(a) for a in fleet.answers} & {connection_of(d) for d in fleet.decoys}
    assert len({connection_of(a) for a in fleet.answers}) == len(fleet.answers)


def test_an_answer_with_a_start_names_a_start_that_was_recorded(fleet: Fleet, records: list[Record]) -> None:
    starts = {(host_of(r).split(".")[0], time_of(r)) for r in records if r["EventID"] in (1, 4688)}
    for a in fleet.answers:
        if a.attribution == "event":
            assert a.process_time is None
        else:
            assert (a.host.split(".")[0], a.process_time) in starts


def test_connections_lie_in_the_period_and_processes_begin_before_it(fleet: Fleet, records: list[Record]) -> None:
    times = [time_of(r) for r in records if r["EventID"] == 3]
    assert fleet.start <= min(times)
    assert max(times) < fleet.end
    assert min(time_of(r) for r in records) < fleet.start - timedelta(hours=1)


def of(fleet: Fleet, scenario: str) -> list[Any]:
    return [a for a in fleet.answers if a.scenario == scenario]


def test_the_service_that_is_older_than_the_window_says_v_and_its_client_the_url(
    fleet: Fleet, records: list[Record]
) -> None:
    starts = {(host_of(r).split(".")[0], time_of(r)): r for r in records if r["EventID"] == 1}
    clients = [r for r in starts.values() if "https://packages.example.net/agent.msi" in r["CommandLine"]]
    for a in of(fleet, "service older than the hour"):
        assert a.event_time - a.process_time >= timedelta(minutes=90)
        assert starts[a.host.split(".")[0], a.process_time]["CommandLine"].endswith("msiexec.exe /V")
        before = [a.event_time - time_of(c) for c in clients if host_of(c).split(".")[0] == a.host.split(".")[0]]
        assert [b for b in before if timedelta(seconds=1) < b < timedelta(seconds=15)]
    older = of(fleet, "service older than the lookback")
    assert {a.attribution for a in older} == {"event"}


def test_ids_are_reused_on_a_host_and_across_hosts(fleet: Fleet, records: list[Record]) -> None:
    starts = Counter((host_of(r), r["ProcessId"]) for r in records if r["EventID"] == 1)
    assert max(starts.values()) > 1
    hosts_of_an_id = Counter(pid for _, pid in starts)
    assert max(hosts_of_an_id.values()) > 1
    for a in of(fleet, "id reused, end unseen"):
        later = [r for r in records if r["EventID"] == 1 and r["ProcessId"] == str(a.process_id)
                 and host_of(r) == a.host and time_of(r) > a.event_time]  # fmt: skip
        assert later[0]["Image"].endswith("python.exe")


def test_internal_inbound_late_repeated_and_keyless_records_are_there(fleet: Fleet, records: list[Record]) -> None:
    connections = [r for r in records if r["EventID"] == 3]
    internal = of(fleet, "internal destination (matches: no condition on the address)")
    assert {ipaddress.ip_address(a.dest_ip) in ipaddress.ip_network("10.0.0.0/8") for a in internal} == {True}
    inbound = {connection_of(a) for a in of(fleet, "inbound (matches: no condition on the direction)")}
    assert {r["Initiated"] for r in connections if connection_of_record(r) in inbound} == {"false"}
    copies = Counter(connection_of_record(r) for r in connections)
    assert {copies[connection_of(a)] for a in of(fleet, "exact duplicates")} == {3}
    late = gzip.decompress(fleet.files[-1].read_bytes()).decode().splitlines()
    assert {connection_of(a) for a in of(fleet, "late connection")} <= {
        connection_of_record(r) for r in usable(late) if r["EventID"] == 3
    }
    assert {r["ProcessId"] for r in connections} >= {"-", "0", ""}
    assert {r["Image"] for r in connections} >= {"<unknown process>"}
    assert "{00000000-0000-0000-0000-000000000000}" in {r["ProcessGuid"] for r in connections}


def test_some_sensors_have_a_wrong_clock_and_the_record_time_is_right(records: list[Record]) -> None:
    off = Counter(
        round((time_of(r) - datetime.fromisoformat(r["UtcTime"]).replace(tzinfo=timezone.utc)).total_seconds() / 3600)
        for r in records
        if "UtcTime" in r
    )
    assert set(off) == {0, 7}


def test_addresses_and_names_are_nobodys(records: list[Record]) -> None:
    for r in records:
        for key in ("SourceIp", "DestinationIp"):
            if key in r:
                ip = ipaddress.ip_address(r[key])
                assert any(ip in n for n in ADDRESSES if n.version == ip.version), r[key]
        for key in ("SourceHostname", "DestinationHostname", "Hostname", "QueryName"):
            name = str(r.get(key, "-")).rstrip(".").lower()
            assert "." not in name or name.endswith(tuple(f".{n}" for n in RESERVED)), name
        for name in re.findall(r"://([^/:\s]+)", json.dumps(r)):
            assert name.endswith(tuple(f".{n}" for n in RESERVED)), name


@pytest.mark.parametrize(
    "wrong",
    [{"hosts": 1}, {"hours": 0}, {"start": datetime(2026, 3, 2)}],  # noqa: DTZ001
)
def test_a_fleet_that_cannot_be_made_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="cannot be made"):
        make_fleet(tmp_path / "never", **{"hosts": 2, "hours": 1, **wrong})
    assert not (tmp_path / "never").exists()


def test_the_working_day_has_more_starts_than_the_night(records: list[Record]) -> None:
    hours = Counter(time_of(r).hour for r in records if r["EventID"] == 1)
    assert sum(hours[h] for h in range(8, 14)) > sum(hours[h] for h in range(6))


@pytest.fixture(scope="module")
def queries(records: list[Record]) -> dict[tuple[str, str], list[Record]]:
    """Sysmon 22 by (host without its domain, address)."""
    by_address: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        if r["EventID"] == 22:
            address = ipaddress.ip_address(r["QueryResults"].rstrip(";").rpartition(";")[2])
            mapped = getattr(address, "ipv4_mapped", None)
            by_address.setdefault((host_of(r).split(".")[0], str(mapped or address)), []).append(r)
    return by_address


@pytest.fixture(scope="module")
def sensor_records(fleet: Fleet) -> list[list[Record]]:
    """Records of conn.log and of ssl.log."""
    return [[json.loads(x) for x in gzip.decompress(f.read_bytes()).splitlines()] for f in fleet.sensor_files]


def test_each_kind_of_name_follows_from_the_records(
    fleet: Fleet,
    records: list[Record],
    queries: dict[tuple[str, str], list[Record]],
    sensor_records: list[list[Record]],
) -> None:
    """Of every answer: no better kind has a name, and its own kind has this one."""
    connections = {connection_of_record(r): r for r in records if r["EventID"] == 3}
    server_names = {r["uid"]: r["server_name"] for r in sensor_records[1]}
    for a in fleet.answers:
        connection = connections[connection_of(a)]
        near = [
            q for q in queries.get((a.host.split(".")[0], a.dest_ip), [])
            if connection["Initiated"] == "true"
            and timedelta(hours=-1) <= time_of(q) - a.event_time <= timedelta(seconds=5)
        ]  # fmt: skip
        own = [q for q in near if q["ProcessGuid"].strip("{}").upper() == a.process_guid]
        latest = [max(q, key=time_of)["QueryName"] if q else None for q in (own, near)]
        names = {
            "process": latest[0],
            "record": server_names.get(a.flow_uid),
            "host": latest[1],
            "reverse": connection["DestinationHostname"],
        }
        assert (a.dest_name_by, a.dest_name) == next((kind, name) for kind, name in names.items() if name)
    assert {a.dest_name_by for a in fleet.answers} == {"process", "record", "host", "reverse"}


def test_names_are_queried_by_the_process_by_another_and_by_nobody(
    fleet: Fleet, queries: dict[tuple[str, str], list[Record]], sensor_records: list[list[Record]]
) -> None:
    disguised = of(fleet, "embedded server")
    assert {(a.dest_name, a.dest_name_by) for a in disguised} == {("payload.example.org", "process")}
    seen = {r["uid"] for r in sensor_records[1] if r["server_name"]}
    for scenario in ("late connection", "late start"):
        for a in of(fleet, scenario):
            assert a.dest_name_by in (("record",) if a.flow_uid in seen else ("host", "reverse")), scenario
    assert {a.dest_name_by for a in of(fleet, "late connection") if a.flow_uid not in seen} == {"host"}
    late = [
        time_of(q) - datetime.fromisoformat(q["UtcTime"]).replace(tzinfo=timezone.utc)
        for found in queries.values()
        for q in found
    ]
    assert any(timedelta(seconds=2) < lag < timedelta(seconds=4) for lag in late), "Sysmon writes some seconds later"


def test_the_sensor_sees_a_part_of_the_connections_to_addresses_outside(
    fleet: Fleet, records: list[Record], sensor_records: list[list[Record]]
) -> None:
    connections = {
        (r["SourceIp"], int(r["SourcePort"]), r["DestinationIp"], int(r["DestinationPort"])): r
        for r in records
        if r["EventID"] == 3
    }
    conn, ssl = sensor_records
    uids = {r["uid"]: r for r in conn}
    assert len(uids) == len(conn)
    assert 0.2 < len(conn) / len(connections) < 0.6
    assert fleet.counts["flow_events"] == len(conn) + len(ssl)
    for r in conn:
        record = connections[r["id.orig_h"], r["id.orig_p"], r["id.resp_h"], r["id.resp_p"]]
        at = datetime.fromtimestamp(r["ts"], timezone.utc)
        assert timedelta(0) < time_of(record) - at < timedelta(seconds=1)
        assert not r["id.resp_h"].startswith("10.")
    assert {r["uid"] for r in ssl} == {uid for uid, r in uids.items() if r["id.resp_p"] == 443}
    for a in fleet.answers:
        if a.flow_uid is not None:
            assert (uids[a.flow_uid]["id.resp_h"], uids[a.flow_uid]["id.resp_p"]) == (a.dest_ip, a.dest_port)
