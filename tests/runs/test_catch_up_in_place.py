"""Catch-up of tables that are read in place: late rows come from the table's own change data feed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from installer_lake import NOON, SELECTION, all_findings, hours_window
from procnet.engine.events import changed_events, versions_of
from procnet.errors import DataError
from procnet.lake.change_feed import NoCommits, missing_changes_as_data_error
from procnet.lake.tables import Lake
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.settings import Settings, SourceSettings

pytestmark = [pytest.mark.spark, pytest.mark.long]
COLUMNS = ("event_time timestamp, event_kind string, host string, process_id bigint, process_name string, "
           "dest_ip string, dest_port int")  # fmt: skip


def event(minutes: int, **columns: Any) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minutes)
    return {"event_time": at, "host": "a", "process_id": 70, "process_name": "msiexec.exe", **columns}


def connection(minutes: int) -> dict[str, Any]:
    return event(minutes, dest_ip="203.0.113.7", dest_port=443)


def lake_of(spark: SparkSession, folder: Path, *, feed: bool) -> Lake:
    """A lake whose events stay in a raw table with the columns of the CIM."""
    raw = folder / "raw"
    properties = " TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')" if feed else ""
    spark.sql(f"CREATE TABLE delta.`{raw}` ({COLUMNS}) USING DELTA{properties}")
    source = SourceSettings(mapping="cim", tables=(str(raw),))
    return Lake(spark, Settings(lake=folder / "lake", sources={"raw": source}))


def arrive(lake: Lake, *events: dict[str, Any]) -> None:
    (place,) = lake.settings.sources["raw"].tables
    names = [c.split()[0] for c in COLUMNS.split(", ")]
    rows = [tuple(e.get(n) for n in names) for e in events]
    lake.spark.createDataFrame(rows, COLUMNS).writeTo(f"delta.`{place}`").append()


def test_late_rows_run_the_windows_that_they_affect(spark: SparkSession, tmp_path: Path) -> None:
    lake = lake_of(spark, tmp_path, feed=True)
    lake.create()
    arrive(lake, event(0, event_kind="start"), connection(5), connection(185))
    for window in (hours_window(0, 2), hours_window(2, 4)):
        detect(lake, SELECTION, window)
    assert len(all_findings(lake)) == 4
    assert not catch_up(lake, SELECTION).looked

    arrive(lake, connection(64), event(150, event_kind="end"), connection(60 * 9))
    again = [r.window.start.hour for r in catch_up(lake, SELECTION).reports]
    assert again == [13, 15], "that of the late connection, and that of a connection that loses its process by the end"
    assert not catch_up(lake, SELECTION).looked
    after_catch_up = all_findings(lake)
    detect(lake, SELECTION, hours_window(0, 4))
    assert all_findings(lake) == after_catch_up


def test_without_a_feed_the_error_says_what_to_do(spark: SparkSession, tmp_path: Path) -> None:
    lake = lake_of(spark, tmp_path, feed=False)
    arrive(lake, event(0, event_kind="start"), connection(5))
    for n in range(2):
        arrive(lake, connection(6 + n))
    versions = {t: v for t, v in versions_of(lake).items() if v is not None}
    with pytest.raises(DataError, match="feed of a table was off") as error, missing_changes_as_data_error():
        [
            r.count()
            for r in changed_events(lake, dict.fromkeys(versions, 0), versions).values()
            if not isinstance(r, NoCommits)
        ]
    assert "enableChangeDataFeed" in str(error.value.hint)


def test_late_rows_of_a_text_column_are_mapped_too(spark: SparkSession, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    spark.sql(
        f"CREATE TABLE delta.`{raw}` (body string) USING DELTA TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
    )
    flat = {"Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "a", "EventID": 5, "ProcessId": "70"}
    for minute in range(3):
        text = json.dumps({**flat, "@timestamp": f"2026-03-01T12:0{minute}:00Z"})
        spark.createDataFrame([(text,)], "body string").writeTo(f"delta.`{raw}`").append()
    source = SourceSettings(mapping="windows_flat", tables=(str(raw),), column="body")
    lake = Lake(spark, Settings(lake=tmp_path / "lake", sources={"raw": source}))
    label = f"raw:{raw}"
    rows = changed_events(lake, {label: 1}, {label: 3})["process_events"]
    assert not isinstance(rows, NoCommits)
    values = rows.selectExpr("minute(event_time)", "process_id", "event_kind", "of", "version").collect()
    assert sorted(map(tuple, values)) == [(1, 70, "end", label, 2), (2, 70, "end", label, 3)]
