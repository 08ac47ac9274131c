"""After a catch-up the findings are those of a lake that had every row from the start."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from installer_lake import all_findings
from procnet.contract import DNS_EVENTS, NETWORK_EVENTS, PROCESS_EVENTS
from procnet.demo.fleet import SOURCE, make_fleet
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.gaps import gaps_of
from procnet.runs.ingest import ingest
from procnet.runs.selection import Selection
from procnet.settings import Settings, default_conf_dir

pytestmark = [pytest.mark.spark, pytest.mark.long]

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
TABLES = {"process_events": PROCESS_EVENTS, "network_events": NETWORK_EVENTS, "dns_events": DNS_EVENTS}
DETECTIONS = ["b0fd38c7", "msiexec_any_port", "c91a0852"]
SELECTION = Selection(select(load_detections(default_conf_dir() / "detections"), DETECTIONS))


def test_late_rows_are_caught_up_with(spark: SparkSession, tmp_path: Path) -> None:
    """A fifth of the rows of each table comes in three batches after the hours have run."""
    fleet = make_fleet(tmp_path / "raw", hosts=4, hours=4, seed=5)
    complete = Lake(spark, Settings(lake=tmp_path / "complete"))
    ingest(complete, SOURCE, [str(f) for f in fleet.files], now=NOW)
    period = Window(fleet.start, fleet.end)
    backfill(complete, SELECTION, period)

    lake, rng = Lake(spark, Settings(lake=tmp_path / "late")), random.Random(4)
    lake.create()
    batches: list[dict[str, list[Any]]] = [{t: [] for t in TABLES} for _ in range(4)]
    for table in TABLES:
        for row in complete.read(table).orderBy("host", "event_time", "record_id", "source").collect():
            batches[rng.choice((1, 2, 3)) if rng.random() < 0.2 else 0][table].append(row)

    def arrive(batch: dict[str, list[Any]]) -> None:
        for table, rows in batch.items():
            lake.append(table, spark.createDataFrame(rows, TABLES[table]))

    arrive(batches[0])
    backfill(lake, SELECTION, period, chunk=HOUR)
    assert all_findings(lake) != all_findings(complete)
    unchanged = catch_up(lake, SELECTION)
    assert (unchanged.looked, unchanged.reports) == (False, ())
    again: Counter[Window] = Counter()
    for batch in batches[1:]:
        arrive(batch)
        report = catch_up(lake, SELECTION)
        assert report.looked
        again.update(r.window for r in report.reports)
        assert not catch_up(lake, SELECTION).looked, "the check is recorded"
    assert all_findings(lake) == all_findings(complete)
    assert again
    assert gaps_of(lake, SELECTION, period, NOW) == []


def test_rows_that_change_no_finding_run_no_window(spark: SparkSession, tmp_path: Path) -> None:
    """Only late rows that match a detection's condition, or start or end such a process, run a window again."""
    lake = Lake(spark, Settings(lake=tmp_path / "lake"))
    lake.create()
    noon = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)

    def row(table: str, minutes: float, **values: Any) -> None:
        at = noon + timedelta(minutes=minutes)
        values = {"host": "a", "event_time": at, "event_date": at.date(), "event_kind": "start", **values}
        frame = spark.createDataFrame([tuple(values.get(n) for n in TABLES[table].names)], TABLES[table])
        lake.append(table, frame)

    def hours_run() -> list[int]:
        return [r.window.start.hour for r in catch_up(lake, SELECTION).reports]

    row("process_events", 5, process_id=8, process_name="msiexec.exe")
    row("network_events", 70, process_id=8, dest_port=443, dest_ip="203.0.113.7")
    row("network_events", 71, process_id=9, dest_port=443, dest_ip="203.0.113.7")
    backfill(lake, SELECTION, Window(noon, noon + 4 * HOUR), chunk=HOUR)
    assert [f["process_id"] for f in all_findings(lake)] == [8, 8]

    row("network_events", 10, process_id=8, dest_port=53, process_name="a.exe", dest_ip="203.0.113.7", host="b")
    row("process_events", 65, process_id=9, process_name="chrome.exe", host="b")
    row("process_events", 10 * 60, process_id=8, process_name="msiexec.exe")
    assert len(hours_run()) <= 1, "port 53 matters to the detection of any port"
    row("process_events", 69, process_id=9, process_name="msiexec.exe")
    assert hours_run() == [13]
    assert sorted(f["process_id"] for f in all_findings(lake)) == [8, 8, 9, 9]
    row("process_events", 60, process_id=8, process_name="msiexec.exe", event_kind="end")
    assert hours_run() == [13]
    assert [f["process_id"] for f in all_findings(lake)] == [9, 9]
