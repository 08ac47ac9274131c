"""Tiling invariance: one day at once, hours in any order, overlapping and repeated give the same findings."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from procnet.api import backfill, detect, ingest
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.demo.demo import score_findings
from procnet.demo.fleet import SOURCE, Fleet, make_fleet
from procnet.detections.catalog import load_detections, select
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.preview import preview
from procnet.runs.risk import risk_of
from procnet.runs.selection import Selection, enabled_exclusions
from procnet.settings import ExclusionSettings, RiskSettings, Settings, default_conf_dir

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
MSIEXEC = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"


def _rows(lake: Lake, only: str | None = None) -> list[dict[str, Any]]:
    rows = lake.read("findings").where(F.lit(only is None) | (F.col("detection_id") == F.lit(only)))
    return [r.asDict(recursive=True) for r in rows.orderBy("detection_id", "event_time", "finding_id").collect()]


def _risk(lake: Lake) -> list[list[dict[str, Any]]]:
    """Risk events and incidents of all findings, each in a fixed order."""
    risk = risk_of(lake, None)
    return [
        sorted((r.asDict(recursive=True) for r in frame.collect()), key=lambda r: next(iter(r.values())))
        for frame in (risk.events, risk.incidents)
    ]


@pytest.mark.spark
def test_a_process_that_ends_after_the_window_reads_the_same_by_hour_and_by_day(spark: SparkSession) -> None:
    def at(hour: int, minute: int = 0) -> dict[str, Any]:
        return {"event_time": datetime(2026, 3, 1, hour, minute, tzinfo=timezone.utc), "event_date": date(2026, 3, 1)}

    process = {"host": "a", "process_id": 8, "process_name": "msiexec.exe"}
    starts = [{**process, **at(10), "event_kind": "start"}, {**process, **at(12), "event_kind": "end"}]
    connection = {**at(10, 30), "host": "a", "process_id": 8, "dest_ip": "203.0.113.7", "dest_port": 443}
    frames = [
        spark.createDataFrame([tuple(row.get(n) for n in schema.names) for row in rows], schema)
        for rows, schema in ((starts, PROCESS_EVENTS), ([connection], NETWORK_EVENTS))
    ]
    detections = select(load_detections(default_conf_dir() / "detections"), [MSIEXEC])
    day = Window(at(0)["event_time"], at(23)["event_time"])
    rows = []
    for window in (Window(at(10)["event_time"], at(11)["event_time"]), day):
        found = evaluate(Query(frames[0], frames[1], detections, window, Settings())).findings
        assert found is not None
        rows.append([r.asDict(recursive=True) for r in found.collect()])
    assert len(rows[0]) == 1
    assert rows[0] == rows[1]


def _until_middle(folder: Path, fleet: Fleet) -> Path:
    """An exclusion that ends in the middle of the period."""
    predicate = {"web": {"dest_port": [80, 443], "attribution": ["guid", "host_pid"]}, "condition": "web"}
    times = {"valid_from": fleet.start, "valid_until": fleet.start + timedelta(hours=1)}
    file = folder / "until-the-middle.yml"
    written = {"id": file.stem, "detections": [MSIEXEC], "reason": "r", "owner": "o", **times, "findings": predicate}
    file.write_text(yaml.safe_dump(written))
    return file


def _ingested(spark: SparkSession, folder: Path) -> tuple[Fleet, Settings]:
    """Ingests two hours of a small fleet; returns the fleet, and settings with that exclusion."""
    fleet = make_fleet(folder / "raw", hosts=6, hours=2, seed=3)
    settings = Settings(
        lake=folder / "lake",
        exclusions=ExclusionSettings(enabled=(str(_until_middle(folder, fleet)),)),
        risk=RiskSettings(throttle=timedelta(minutes=7), score=70),  # a grid that no window lies on
    )
    ingest(spark, settings, SOURCE, [str(f) for f in fleet.files], now=NOW)
    return fleet, settings


def _naive(time: datetime) -> datetime:
    return time.replace(tzinfo=None)  # as `collect` returns it: the tests' zone is UTC


@pytest.mark.spark
@pytest.mark.long
def test_a_preview_is_the_difference_of_two_runs(spark: SparkSession, tmp_path: Path) -> None:
    """With an exclusion, and without."""
    fleet, settings = _ingested(spark, tmp_path)
    period, lake = Window(fleet.start, fleet.end), Lake(spark, settings)
    mine = select(load_detections(default_conf_dir() / "detections"), [MSIEXEC])
    detect(spark, settings, period, mine)
    was = _rows(lake)
    change = preview(lake, Selection(mine, enabled_exclusions(settings)), Selection(mine), period)
    detect(spark, settings, period, mine, exclusions=())
    live = {r["finding_id"] for r in was if r["excluded_by"] is None}
    assert {r["finding_id"] for r in _rows(lake)} - live == {r["finding_id"] for r in change.added}
    assert change.added
    assert (change.removed, change.unchanged) == ((), len(live))


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.long
def test_findings_do_not_depend_on_how_a_period_is_cut(spark: SparkSession, tmp_path: Path) -> None:
    fleet, settings = _ingested(spark, tmp_path)
    lake = Lake(spark, settings)
    detections = select(load_detections(default_conf_dir() / "detections"), [MSIEXEC, "msiexec_any_port"])
    period = Window(fleet.start, fleet.end)

    done = backfill(spark, settings, period, detections, chunk=timedelta(days=1))
    at_once = _rows(lake)
    assert {r["excluded_by"] for r in at_once} == {None, "until-the-middle"}
    assert {r["excluded_by"] for r in at_once if r["event_time"] >= _naive(period.start + timedelta(hours=1))} == {None}
    assert done.findings == len(at_once)

    risk = _risk(lake)
    assert min(map(len, risk)) > 0, "there are risk events and incidents"
    assert len({r["finding_id"] for r in risk[0]}) < sum(r["excluded_by"] is None for r in at_once)

    hour = timedelta(hours=1)
    for window in reversed(period.chunks(hour)):
        detect(spark, settings, window, detections)
    assert _rows(lake) == at_once

    middle = period.start + hour + timedelta(minutes=17, seconds=3)
    detect(spark, settings, Window(middle - timedelta(minutes=40), middle), detections[1:])
    assert _rows(lake) == at_once
    assert _risk(lake) == risk

    again = backfill(spark, settings, period, detections, chunk=timedelta(days=1))
    assert not again.reports, "the ledger says that nothing has changed"
    assert _rows(lake) == at_once

    score = score_findings(_rows(lake, MSIEXEC), fleet.answers)
    assert not score.wrong
    assert not score.missed
