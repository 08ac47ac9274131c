"""Names and flows in whole runs: what a detection finds by them, however windows are cut and rows come."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from installer_lake import HOUR, SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.contract import EVENT_TABLES
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.runs.gaps import gaps_of
from procnet.runs.selection import Selection
from procnet.settings import default_conf_dir

pytestmark = pytest.mark.spark
Event = tuple[str, float, dict[str, Any]]  # table, minutes after noon, columns
FILE_SHARING = select(load_detections(default_conf_dir() / "detections"), ["94ebc001"])
PERIOD = hours_window(0, 3)
CURL = {"process_name": "curl.exe"}
SITE, OTHER = {"query_name": "transfer.sh"}, {"query_name": "www.example"}


def address(n: int) -> str:
    return f"203.0.113.{n}"


def tuple_of(n: int, **columns: Any) -> dict[str, Any]:
    """A connection's five-tuple that no other has."""
    return {
        "src_ip": "10.0.0.5",
        "src_port": 50_000 + n,
        "dest_ip": address(n),
        "dest_port": 443,
        "transport": "tcp",
    } | columns


def flow(n: int, **columns: Any) -> dict[str, Any]:
    values = tuple_of(n) | {"flow_uid": f"C{n}", "bytes_in": 9, "bytes_out": 7, "duration": 1.5, "source": "zeek"}
    return values | {"host": None, "process_id": None} | columns


def answer(n: int, name: dict[str, str], **columns: Any) -> dict[str, Any]:
    return {"answers": [address(n)], **name, **columns}


# The number of an address says which connection an event belongs to.
EVENTS: list[Event] = [
    ("process_events", 0, CURL),
    # Asked a minute before, by the process: found.
    ("dns_events", 4, answer(1, SITE)), ("network_events", 5, tuple_of(1)),
    # Asked by another process of the host: not found by default.
    ("dns_events", 4, answer(2, SITE, process_id=9)), ("network_events", 5, tuple_of(2)),
    # The owner of the address calls it so: not found, nor where the process asked for another name.
    ("network_events", 6, tuple_of(3, dest_host="transfer.sh")),
    ("dns_events", 5, answer(4, OTHER)), ("network_events", 6, tuple_of(4, dest_host="transfer.sh")),
    # Asked in the hour before the connection's: found across the border of windows.
    ("dns_events", 58, answer(5, SITE)), ("network_events", 61, tuple_of(5)),
    # Asked too long before.
    ("dns_events", 30, answer(6, SITE)), ("network_events", 92, tuple_of(6)),
    # The network sensor saw the name, a second later and beyond the window: found.
    ("network_events", 119.99, tuple_of(7)), ("flow_events", 120.005, flow(7, server_name="transfer.sh")),
    # Two processes may have made the flow: refused.
    ("network_events", 70, tuple_of(8)), ("network_events", 70.01, tuple_of(8, process_id=9)),
    ("flow_events", 70, flow(8, server_name="transfer.sh")),
    # No name, but bytes and an id.
    ("dns_events", 130, answer(9, SITE)), ("network_events", 131, tuple_of(9)), ("flow_events", 131.01, flow(9)),
]  # fmt: skip


def fill(lake: Lake, events: list[Event]) -> None:
    for table in EVENT_TABLES:
        if rows := [(minutes, columns) for t, minutes, columns in events if t == table]:
            append_events(lake, table, *rows)


def lake_of(spark: SparkSession, folder: Path, events: list[Event]) -> Lake:
    lake = new_lake(spark, folder)
    fill(lake, events)
    return lake


def small(finding: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(finding[c] for c in ("dest_ip", "dest_name", "dest_name_by", "flow_uid", "bytes_in"))


def test_names_and_flows_decide_however_windows_are_cut(spark: SparkSession, tmp_path: Path) -> None:
    lake = lake_of(spark, tmp_path / "lake", EVENTS)
    selection = Selection(FILE_SHARING)
    detect(lake, selection, PERIOD)
    whole = all_findings(lake)
    assert sorted(map(small, whole)) == [
        (address(1), "transfer.sh", "process", None, None),
        (address(5), "transfer.sh", "process", None, None),
        (address(7), "transfer.sh", "record", "C7", 9),
        (address(9), "transfer.sh", "process", "C9", 9),
    ]
    assert all("file-sharing domain transfer.sh over port 443" in f["message"] for f in whole)
    for hour in (2, 0, 1):
        detect(lake, selection, hours_window(hour, hour + 1))
    assert all_findings(lake) == whole


@pytest.mark.long
def test_late_names_and_flows_give_the_findings_of_a_fresh_run(spark: SparkSession, tmp_path: Path) -> None:
    """With a detection that tests names, and two that do not: their findings have names all the same."""
    selection = Selection((*FILE_SHARING, *SELECTION.detections))
    events = [
        *EVENTS,
        ("process_events", 1, {"process_id": 9}),
        ("network_events", 7, tuple_of(1, process_id=9, src_port=1)),
        ("network_events", 8, tuple_of(3, process_id=9, src_port=2, dest_host="owner.example")),
    ]
    fresh = lake_of(spark, tmp_path / "fresh", events)
    detect(fresh, selection, PERIOD)
    expected = all_findings(fresh)
    assert {f["dest_name_by"] for f in expected} == {"process", "record", "host", "reverse", None}
    rng = random.Random(3)
    batch = {i: rng.choice((0, 1, 2)) for i in range(len(events))}
    lake = lake_of(spark, tmp_path / "lake", [e for i, e in enumerate(events) if batch[i] == 0])
    backfill(lake, selection, PERIOD, chunk=HOUR)
    assert all_findings(lake) != expected
    for late in (1, 2):
        fill(lake, [e for i, e in enumerate(events) if batch[i] == late])
        assert catch_up(lake, selection).reports
        assert not catch_up(lake, selection).looked
    assert all_findings(lake) == expected
    assert gaps_of(lake, selection, PERIOD, PERIOD.end + timedelta(days=1)) == []


def test_a_lake_without_names_and_flows_runs_as_before(spark: SparkSession, tmp_path: Path) -> None:
    lake = lake_of(spark, tmp_path / "lake", [e for e in EVENTS if e[0] in ("process_events", "network_events")])
    for table in ("dns_events", "flow_events"):
        spark.sql(f"DROP TABLE {lake.ref(table)}")
    everything = {"id": "d" * 8, "dest_name_by": ["reverse", "process"]}
    report = detect(lake, Selection((_accepting(tmp_path, **everything),)), PERIOD)
    assert report.status == "succeeded"
    assert {small(f)[:3] for f in all_findings(lake)} == {(address(n), "transfer.sh", "reverse") for n in (3, 4)}


def _accepting(folder: Path, **values: Any) -> Any:
    """The detection of file-sharing sites with other values."""
    written = yaml.safe_load(FILE_SHARING[0].path.read_text("utf-8")) | values
    written["id"] = "94ebc001-35e7-4ae8-9b0e-000000000001"
    written["cases"] = [{"name": "none", "connections": [{"at": "10:00:00"}], "expect": "none"}]
    file = folder / "accepting.yml"
    file.write_text(yaml.safe_dump(written))
    (detection,) = load_detections(folder)
    return detection
