"""The fourteen defects of the original search, one test each: absent for every shipped detection.

Each test shows first that the trap works: the search over the same rows falls into it. All traps are in one lake that
is evaluated once, by the function that a run calls; see defects_lake.py. docs/defects.md has the table.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from defects_lake import (
    CONNECTION_SAYS,
    DETECTIONS,
    PORTS,
    PRIVATE,
    PROCESS_SAYS,
    TEN,
    TRAFFIC,
    TRIAGE,
    UNKNOWN,
    Match,
    Pair,
    build,
    frames,
    ids_as_read,
    literal_join,
    network_holds,
    of_hosts,
    ports_of,
    process_holds,
    restricts,
    utc_rows,
)
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from procnet.demo.splunk_search import OUTPUT, splunk_pairs
from procnet.detections.cases import WINDOW
from procnet.detections.catalog import select
from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.periods import Window
from procnet.settings import Settings
from random_lakes import Lake, Row

[MSIEXEC] = select(DETECTIONS, ["b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"])
[ANY_PORT] = select(DETECTIONS, ["msiexec_any_port"])
# Whole hours, with the starts of D7, which an earlier run of the search reads.
EVER = Window(WINDOW.start - max(d.lookback for d in DETECTIONS), WINDOW.end)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "defects.md"

pytestmark = pytest.mark.spark
each = pytest.mark.parametrize("detection", DETECTIONS, ids=[d.path.stem for d in DETECTIONS])

# Defects of the join: a detection without a process block cannot have them. docs/defects.md says what that comes to.
JOINED = (1, 2, 4, 5, 6, 7, 9, 14)
CANNOT = "a detection without a process block: nothing is joined"


@dataclass(frozen=True, repr=False)
class Judged:
    """The lake, and all findings in it."""

    lake: Lake
    findings: list[Row]

    def found(self, pair: Pair, which: str = "", by: Detection | None = None) -> list[Row]:
        """The findings of the detection (or of another one) on the hosts of its trap, by time."""
        detection, hosts = (by or pair.detection).id, pair.host(which)
        findings = [f for f in self.findings if f["host"].startswith(hosts) and f["detection_id"] == detection]
        return sorted(findings, key=lambda f: (f["event_time"], f["host"], f["src_port"] or 0))

    def searched(self, pair: Pair, which: str = "") -> list[Match]:
        """The result of the search over the same rows."""
        return literal_join(pair.detection, of_hosts(self.lake, pair.host(which)))


@pytest.fixture(scope="module")
def judged(spark: SparkSession) -> Judged:
    lake = build(spark)
    found = evaluate(Query(*frames(spark, lake), DETECTIONS, WINDOW, Settings())).findings
    assert found is not None
    return Judged(lake, utc_rows(found))


@each
def test_d00_what_the_traps_are_made_of_is_found(judged: Judged, detection: Detection) -> None:
    """Without this, a detection that finds nothing at all would have no defects."""
    pair = Pair(0, detection)
    assert len(judged.searched(pair)) == 1
    [finding] = judged.found(pair)
    assert (finding["attribution"], finding["process_id"]) == ("host_pid", pair.process_id())


@each
def test_d01_a_process_id_of_another_host(judged: Judged, detection: Detection) -> None:
    pair = Pair(1, detection)
    assert [m.start["host"] == m.connection["host"] for m in judged.searched(pair)] == [False, False]
    assert judged.found(pair) == []


@each
def test_d02_every_connection_of_a_process(judged: Judged, detection: Detection) -> None:
    pair = Pair(2, detection)
    assert len(judged.searched(pair)) == 1
    found = judged.found(pair)
    assert [f["src_port"] for f in found] == [r["src_port"] for r in of_hosts(judged.lake, pair.host()).connections]
    assert len({f["finding_id"] for f in found}) == len(found) > 1


@pytest.mark.long
def test_d03_more_rows_than_the_search_reads(spark: SparkSession) -> None:
    """One test for all detections: they share the plan, which is where a limit would be. The search reads 50,000
    connections, all of one process, and so loses the connection of another."""
    limit, one = 50_000, Pair(3, MSIEXEC)
    other: Row = {"process_id": 8, "dest_ip": "203.0.113.9"}
    starts = [one.start(0), one.start(0, process_id=8)]
    connection, last = one.connection(1, dest_ip="203.0.113.7"), one.connection(2, **other)
    many = [{**connection, "src_port": port} for port in range(1, limit + 1)]
    assert {m.start["process_id"] for m in literal_join(MSIEXEC, Lake(starts, [*many, last]))} == {one.process_id()}
    assert {m.start["process_id"] for m in literal_join(MSIEXEC, Lake(starts, [last]))} == {8}, (
        "unless it is the only one"
    )

    processes, connections = frames(spark, Lake(starts, [connection, last]))
    copies = connections.where("process_id <> 8").crossJoin(spark.range(1, limit + 1))
    copies = copies.withColumn("src_port", F.col("id").cast("int")).drop("id")
    found = evaluate(
        Query(processes, copies.unionByName(connections.where("process_id = 8")), [MSIEXEC], WINDOW, Settings())
    )
    assert found.findings is not None
    counted = found.findings.groupBy("process_id").agg(F.count("*"), F.count_distinct("finding_id")).collect()
    assert sorted(map(tuple, counted)) == [(8, 1, 1), (one.process_id(), limit, limit)]


@each
def test_d04_no_id_is_no_key(judged: Judged, detection: Detection) -> None:
    pair = Pair(4, detection)
    assert judged.searched(pair), "null joins null"
    assert judged.found(pair) == []


def test_d04_every_spelling_of_an_unknown_id_is_null(spark: SparkSession) -> None:
    """So the rows of the test above represent raw zeros, dashes and words too: ingest makes nulls of them."""
    assert len(UNKNOWN) > 1
    assert ids_as_read(spark) == [{"process_id": None, "process_guid": None}]


@each
def test_d05_a_process_id_that_another_process_took_over(judged: Judged, detection: Detection) -> None:
    pair = Pair(5, detection)
    [match, *_] = judged.searched(pair)
    assert match.connection["event_time"] == minute(3), "made by the stranger, blamed on the process before it"
    found = [(f["host"], f["event_time"], f["process_time"]) for f in judged.found(pair)]
    once, again = pair.host(), pair.host("again")
    assert found == [(once, minute(1), minute(0)), (again, minute(1), minute(0)), (again, minute(3), minute(2))]


@each
def test_d06_a_connection_before_the_start(judged: Judged, detection: Detection) -> None:
    pair = Pair(6, detection)
    assert [m.connection["event_time"] < m.start["event_time"] for m in judged.searched(pair)] == [True]
    assert judged.found(pair) == []


@each
def test_d07_a_process_older_than_the_window(judged: Judged, detection: Detection) -> None:
    pair = Pair(7, detection)
    assert judged.searched(pair) == []
    [finding] = judged.found(pair)
    assert (finding["host"], finding["attribution"]) == (pair.host(), "host_pid")
    assert finding["process_time"] == minute(1) - detection.lookback < WINDOW.start


@each
def test_d08_late_events_are_in_the_next_run(judged: Judged, detection: Detection) -> None:
    """The hour before and after they arrived: once on hosts that lack the late rows, once on hosts that have them."""
    pair = Pair(8, detection)
    assert {f["host"] for f in judged.found(pair)} == {
        pair.host("run-end"), pair.host("rerun-connection"), pair.host("rerun-start")
    }  # fmt: skip
    assert {m.start["host"] for m in judged.searched(pair, "run")} == {pair.host("run-end")}, "and no others"


@each
def test_d09_the_risk_is_the_endpoints(judged: Judged, detection: Detection) -> None:
    pair = Pair(9, detection)
    [match] = judged.searched(pair)
    assert match.overwritten["dest"] != pair.host()
    assert match.overwritten["user"] == CONNECTION_SAYS["user"]

    [finding] = judged.found(pair)
    [connection] = of_hosts(judged.lake, pair.host()).connections
    assert finding["host"] == pair.host() not in (connection.get("dest_ip"), connection["dest_host"])
    assert finding["user"] == PROCESS_SAYS["user"]
    # The connection's columns in the contract have its values, and the record ids lead to both records.
    assert {k: finding[k] for k in ("action", "vendor_product")} == {
        k: CONNECTION_SAYS[k] for k in ("action", "vendor_product")
    }
    assert (finding["process_record_id"], finding["connection_record_id"]) == ("start", "connection")
    fields = {"system": "host", "user": "user"}
    assert {o.type: o.field for o in detection.risk.objects}.items() <= fields.items()
    assert ("{host}" not in detection.risk.message) or pair.host() in finding["message"]


@each
def test_d10_direction_action_and_address_are_a_choice(judged: Judged, detection: Detection) -> None:
    """A detection with a condition on a column does not find connections that differ only in it; the others do."""
    pair = Pair(10, detection)
    for which, column, connections in (
        ("inbound", "direction", 1),
        ("blocked", "action", 1),
        ("private", "dest_ip", len(PRIVATE)),
    ):
        assert len(judged.found(pair, which)) == (0 if restricts(detection, column) else connections), which
    if detection == MSIEXEC:
        assert len(judged.searched(pair)) == 3, "the search has no condition on any of them"


def test_d10_each_choice_is_made_by_some() -> None:
    for column in ("direction", "action", "dest_ip"):
        assert {restricts(d, column) for d in DETECTIONS} == {True, False}, column


@each
def test_d11_ports_are_a_choice(judged: Judged, detection: Detection) -> None:
    pair, ports = Pair(11, detection), ports_of(detection)
    tcp = [f["dest_port"] for f in judged.found(pair) if f["transport"] == "tcp"]
    assert sorted(tcp) == [p for p in PORTS if ports is None or p in ports]
    assert len(judged.found(pair, "udp")) == (0 if restricts(detection, "transport") else 1)


def test_d11_what_the_search_misses_its_sibling_finds(judged: Judged) -> None:
    pair = Pair(11, MSIEXEC)
    assert {m.start["host"] for m in judged.searched(pair)} == {pair.host("udp")}, "tcp and udp alike, 8080 never"
    found = [f["dest_port"] for f in judged.found(pair, by=ANY_PORT) if f["transport"] == "tcp"]
    assert sorted(found) == list(PORTS)


@each
def test_d12_a_finding_has_what_triage_needs(judged: Judged, detection: Detection) -> None:
    pair, wanted = Pair(12, detection), {**TRIAGE, **TRAFFIC}
    assert not wanted.keys() & set(OUTPUT), "the search shows none of it"
    [finding] = judged.found(pair)
    assert {k: finding[k] for k in wanted} == wanted
    assert finding["attribution"] == "guid"
    assert re.fullmatch("[0-9a-f]{64}", finding["finding_id"])


@each
def test_d13_the_remote_address_is_a_threat_object(detection: Detection) -> None:
    assert ("dest_ip", "ip_address") in {(t.field, t.type) for t in detection.risk.threat_objects}


@each
def test_d14_a_flow_is_one_event(judged: Judged, detection: Detection) -> None:
    pair = Pair(14, detection)
    lake = of_hosts(judged.lake, pair.host())
    assert (lake.processes, len(lake.connections)) == ([], 1)
    [flow] = lake.connections
    matches_by_itself = process_holds(detection, flow) and network_holds(detection, flow)

    both_sides = Lake([{**flow, "event_kind": "start"}], [flow])
    assert len(literal_join(detection, both_sides)) == matches_by_itself, "joined with itself, where it is read as both"
    found = judged.found(pair)
    assert [(f["attribution"], f["process_time"]) for f in found] == [("event", None)] * matches_by_itself
    by_detection = Counter(f["detection_id"] for f in judged.findings if f["host"] == pair.host())
    assert set(by_detection.values()) <= {1}


def test_the_join_of_these_tests_is_that_of_the_literal_search(spark: SparkSession, judged: Judged) -> None:
    sides = frames(spark, judged.lake)
    few = 5
    both = [splunk_pairs(*sides, EVER, limit=n).withColumn("limit", F.lit(n)) for n in (few, 50_000)]
    rows = Counter((r["limit"], r["process_host"], r["connection_host"], r["_time"], r["connection_time"])
                   for r in utc_rows(both[0].unionByName(both[1])))  # fmt: skip
    joined = Counter((n, m.start["host"], m.connection["host"], m.start["event_time"], m.connection["event_time"])
                   for n in (few, 50_000) for m in literal_join(MSIEXEC, judged.lake, n))  # fmt: skip
    assert rows == joined
    assert {n for n, *_ in joined} == {few, 50_000}
    assert len(joined) > 10


def minute(after_ten: float) -> datetime:
    return TEN + timedelta(minutes=after_ten)


# --- the page --------------------------------------------------------------------------------------------------------


def cells(page: str, first: str) -> dict[str, list[str]]:
    """First cell -> the other cells, of the table rows whose first cell is like `first`."""
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in lines if re.fullmatch(first, row[0])}


def test_the_page_has_every_defect_and_names_tests_that_exist() -> None:
    page = PAGE.read_text("utf-8")
    table = cells(page, r"D\d+")
    assert list(table) == [f"D{n}" for n in range(1, 15)]
    there = {name for file in PAGE.parents[1].glob("tests/**/test_*.py")
             for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.M)}  # fmt: skip
    assert set(re.findall(r"test_\w+", page)) - {"test_defects"} <= there
    here = {name for name in globals() if re.match(r"test_d\d\d_", name)}
    for n in range(1, 15):
        tests = cells(page, r"Tests of D\d+")[f"Tests of D{n}"][0]
        assert {name for name in here if name.startswith(f"test_d{n:02d}_")} <= set(re.findall(r"test_\w+", tests)), n


def test_the_page_says_where_a_defect_cannot_be() -> None:
    """Nowhere among the shipped detections, so each test above is of all of them."""
    assert [d.path.stem for d in DETECTIONS if d.process is None] == [], "traps of the join are not for these"
    table = cells(PAGE.read_text("utf-8"), r"D\d+")
    assert {n for n in range(1, 15) if table[f"D{n}"][2] == CANNOT} == set(JOINED)


def test_the_page_says_what_each_detection_chose(judged: Judged) -> None:
    table = cells(PAGE.read_text("utf-8"), r"`\w+`")
    assert table == {f"`{d.path.stem}`": chosen(judged, d) for d in sorted(DETECTIONS, key=lambda d: d.path.stem)}


def chosen(judged: Judged, d: Detection) -> list[str]:
    choices = ["left out" if restricts(d, column) else "found" for column in ("direction", "action", "dest_ip")]
    some = ", ".join(map(str, sorted(ports_of(d) or ())))
    port = some or ("any known" if restricts(d, "dest_port") else "any")
    return [*choices, port, "found" if judged.found(Pair(14, d)) else "not enough"]
