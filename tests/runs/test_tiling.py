"""Tiling invariance: one day at once, hours in any order, overlapping and repeated give the same findings."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from procnet.detections.catalog import load_detections
from procnet.fleet.make import SOURCE, make_fleet
from procnet.lake.tables import Lake
from procnet.runs.backfill import backfill
from procnet.runs.demo import judge
from procnet.runs.detect import detect
from procnet.runs.ingest import ingest
from procnet.settings import Settings, default_conf_dir
from procnet.types import Window

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
MSIEXEC = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"


def _rows(lake: Lake, only: str | None = None) -> list[dict[str, Any]]:
    rows = lake.read("findings").where(F.lit(only is None) | (F.col("detection_id") == F.lit(only)))
    return [r.asDict(recursive=True) for r in rows.orderBy("detection_id", "event_time", "finding_id").collect()]


@pytest.mark.spark
@pytest.mark.slow
def test_findings_do_not_depend_on_how_a_period_is_cut(spark: SparkSession, tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path / "raw", hosts=6, hours=3, seed=3)
    settings = Settings(lake=tmp_path / "lake")
    ingest(spark, settings, SOURCE, [str(f) for f in fleet.files], now=NOW)
    lake, detections = Lake(spark, settings), load_detections(default_conf_dir() / "detections")
    period = Window(fleet.start, fleet.end)

    done = backfill(spark, settings, period, detections, chunk=timedelta(days=1))
    at_once = _rows(lake)
    assert at_once
    assert done.findings == len(at_once)

    hour = timedelta(hours=1)
    for window in reversed(period.chunks(hour)):
        detect(spark, settings, window, detections)
    assert _rows(lake) == at_once

    middle = period.start + hour + timedelta(minutes=17, seconds=3)
    detect(spark, settings, Window(middle - timedelta(minutes=40), middle), detections[1:])
    assert _rows(lake) == at_once

    again = backfill(spark, settings, period, detections, chunk=timedelta(days=1))
    assert not again.reports, "the ledger says that nothing has changed"
    assert _rows(lake) == at_once

    score = judge(_rows(lake, MSIEXEC), fleet.answers)
    assert not score.wrong
    assert not score.missed
