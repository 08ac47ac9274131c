"""A lake of a few rows: an installer that starts at noon and talks to the web from time to time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.selection import Selection
from procnet.settings import Settings, default_conf_dir

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EVENTS = {"process_events": PROCESS_EVENTS, "network_events": NETWORK_EVENTS}
CHOSEN = Selection(select(load_detections(default_conf_dir() / "detections"), ["b0fd38c7", "msiexec_any_port"]))


def new_lake(spark: SparkSession, folder: Path, **settings: Any) -> Lake:
    """Its tables, empty."""
    lake = Lake(spark, Settings(lake=folder, **settings))
    lake.create()
    return lake


def put(lake: Lake, table: str, *rows: tuple[float, dict[str, Any]]) -> None:
    """Append events in one commit: each its minutes after noon, and what it says beside host `a` and process id 8."""
    schema, made = EVENTS[table], []
    for minutes, said in rows:
        at = NOON + timedelta(minutes=minutes)
        values = {"host": "a", "process_id": 8, "event_time": at, "event_date": at.date(), "record_id": str(minutes)}
        values |= {"event_kind": "start", "process_name": "msiexec.exe"} if table == "process_events" else {}
        values |= {"dest_port": 443, "dest_ip": "203.0.113.7"} if table == "network_events" else {}
        made.append(tuple({**values, **said}.get(n) for n in schema.names))
    lake.append(table, lake.spark.createDataFrame(made, schema))


def findings(lake: Lake) -> list[dict[str, Any]]:
    """All of them, every column, in a fixed order."""
    rows = lake.read("findings").orderBy("detection_id", "event_time", "finding_id").toArrow().to_pylist()
    return [dict(r) for r in rows]


def hours(first: int, last: int) -> Window:
    """From the first hour after noon to the last."""
    return Window(NOON + first * HOUR, NOON + last * HOUR)
