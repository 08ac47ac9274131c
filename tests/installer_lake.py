"""A lake of a few rows: one installer that starts at noon and connects to web servers."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS, TABLES
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.selection import Selection
from procnet.settings import Settings, default_conf_dir

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EVENT_TABLES = {"process_events": PROCESS_EVENTS, "network_events": NETWORK_EVENTS}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "process_events": {"event_kind": "start", "process_name": "msiexec.exe"},
    "network_events": {"dest_port": 443, "dest_ip": "203.0.113.7"},
    "dns_events": {"query_name": "files.example", "answers": ["203.0.113.7"]},
}
SELECTION = Selection(select(load_detections(default_conf_dir() / "detections"), ["b0fd38c7", "msiexec_any_port"]))


def new_lake(spark: SparkSession, folder: Path, **settings: Any) -> Lake:
    """Creates the tables in a folder."""
    lake = Lake(spark, Settings(lake=folder, **settings))
    lake.create()
    return lake


def append_events(lake: Lake, table: str, *events: tuple[float, dict[str, Any]]) -> None:
    """Appends events in one commit. An event is its minutes after noon, and the columns that differ from a start of
    msiexec.exe, a connection to port 443, or an answer with its address, on host `a` with process id 8."""
    defaults = _DEFAULTS.get(table, {})
    (schema, _), rows = TABLES[table], list[tuple[Any, ...]]()
    for minutes, columns in events:
        at = NOON + timedelta(minutes=minutes)
        row = {"host": "a", "process_id": 8, "event_time": at, "event_date": at.date(), "record_id": str(minutes)}
        row |= defaults | columns
        rows.append(tuple(row.get(name) for name in schema.names))
    lake.append(table, lake.spark.createDataFrame(rows, schema))


def all_findings(lake: Lake) -> list[dict[str, Any]]:
    """Returns all findings with every column, ordered by detection, time and id."""
    rows = lake.read("findings").orderBy("detection_id", "event_time", "finding_id").toArrow().to_pylist()
    return [dict(r) for r in rows]


def hours_window(first: int, last: int) -> Window:
    """Returns the window from `first` to `last` hours after noon."""
    return Window(NOON + first * HOUR, NOON + last * HOUR)
