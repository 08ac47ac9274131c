"""Eight writers at once, over overlapping windows, leave the findings of one writer; no commit is lost."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from installer_lake import all_findings
from procnet.contract import FINDINGS, NETWORK_EVENTS
from procnet.detections.catalog import load_detections, select
from procnet.lake.retry import is_conflict
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import WindowReport, detect
from procnet.runs.selection import Selection
from procnet.settings import Settings, default_conf_dir

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
SELECTION = Selection(select(load_detections(default_conf_dir() / "detections"), ["b0fd38c7", "msiexec_any_port"]))


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    lake = Lake(spark, Settings(lake=tmp_path / "lake"))
    lake.create()
    rows = []
    for n in range(40):
        at = NOON + timedelta(minutes=5 * n + 1)
        row = {"host": "a", "event_time": at, "event_date": at.date(), "process_name": "msiexec.exe",
               "process_id": n + 8, "dest_port": (80, 443, 8080)[n % 3], "dest_ip": "203.0.113.7",
               "record_id": str(n)}  # fmt: skip
        rows.append(tuple(row.get(c) for c in NETWORK_EVENTS.names))
    lake.append("network_events", spark.createDataFrame(rows, NETWORK_EVENTS))
    return lake


@pytest.mark.spark
@pytest.mark.long
def test_eight_writers_leave_what_one_leaves(spark: SparkSession, lake: Lake) -> None:
    rng = random.Random(3)
    starts = [NOON + timedelta(minutes=rng.randrange(0, 150)) for _ in range(8)]
    windows = [Window(s, s + rng.choice((HOUR, 2 * HOUR, HOUR / 2))) for s in starts]
    windows.append(Window(NOON, NOON + 4 * HOUR))
    with ThreadPoolExecutor(8) as pool:
        reports: list[WindowReport] = list(pool.map(lambda w: detect(lake, SELECTION, w), windows))
    concurrent = all_findings(lake)
    assert sum(r.counts.get("conflicts", 0) for r in reports) > 0, "some commits conflicted"

    spark.createDataFrame([], FINDINGS).writeTo(lake.ref("findings")).overwrite(F.lit(True))
    assert all_findings(lake) == []
    detect(lake, SELECTION, Window(NOON, NOON + 4 * HOUR))
    assert concurrent == all_findings(lake)
    assert len(concurrent) == 40 + len([n for n in range(40) if n % 3 < 2])


def test_only_deltas_concurrency_errors_are_conflicts() -> None:
    assert is_conflict(Exception("[DELTA_CONCURRENT_APPEND.WITH_PARTITION_HINT] Transaction conflict detected."))
    assert not is_conflict(Exception("[DELTA_PATH_DOES_NOT_EXIST] nothing there"))
