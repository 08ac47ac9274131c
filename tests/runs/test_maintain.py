"""Upkeep: small files, old versions and rows past their time go, and no finding changes by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from installer_lake import CHOSEN, DAY, NOON, NOW, findings, hours, new_lake, put
from procnet.errors import DataError, PartlyDone, UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.runs.gaps import gaps_of
from procnet.runs.maintain import TableUpkeep, maintain
from procnet.runs.retention import record_deletion
from procnet.settings import MaintenanceSettings, Settings

pytestmark = [pytest.mark.spark, pytest.mark.long]
HOURS = hours(0, 6)
CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"


@pytest.fixture
def anything_goes(spark: SparkSession) -> Iterator[None]:
    """Delta lets files go that were replaced a moment ago."""
    spark.conf.set(CHECK, "false")
    yield
    spark.conf.unset(CHECK)


@pytest.fixture(scope="module")
def made_once(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A lake of each kind: six hours in as many commits, and their findings."""
    found = {}
    for kind in ("compact", "liquid"):
        found[kind] = tmp_path_factory.mktemp(kind)
        lake = new_lake(spark, found[kind] / "lake", maintenance=MaintenanceSettings(layout=kind))
        put(lake, "process_events", (0, {}))
        for hour in range(6):
            put(lake, "network_events", (60 * hour + 5, {}), (60 * hour + 6, {"dest_port": 8080}))
        backfill(spark, lake.settings, HOURS, CHOSEN.detections)
    return found


@pytest.fixture
def filled(spark: SparkSession, tmp_path: Path, made_once: dict[str, Path]) -> Callable[..., Lake]:
    """A copy of it, with settings of its own."""

    def make(**maintenance: Any) -> Lake:
        kind = "liquid" if maintenance.get("layout") == "liquid" else "compact"
        shutil.copytree(made_once[kind] / "lake", tmp_path / "lake")
        lake = Lake(spark, Settings(lake=tmp_path / "lake", maintenance=MaintenanceSettings(**maintenance)))
        assert len(findings(lake)) == 18
        return lake

    return make


def by_table(kept: list[TableUpkeep]) -> dict[str, TableUpkeep]:
    return {k.table: k for k in kept}


@pytest.mark.parametrize("layout", ["compact", "zorder", "liquid"])
def test_files_are_put_together_and_no_finding_changes(
    spark: SparkSession, filled: Callable[..., Lake], layout: Any
) -> None:
    lake = filled(layout=layout, zorder_over=400 * DAY)
    before = findings(lake)
    kept = by_table(maintain(lake, NOW))
    assert kept["network_events"].compacted >= 6
    assert kept["network_events"].files == 1
    assert {k.rows + k.vacuumed for k in kept.values()} == {0}, "nothing is old enough to go"
    assert findings(lake) == before
    assert not backfill(spark, lake.settings, HOURS, CHOSEN.detections).reports
    assert not catch_up(spark, lake.settings, CHOSEN).reports, "no row is another one"
    assert gaps_of(lake, CHOSEN, HOURS, NOW) == []
    detect(spark, lake.settings, HOURS, CHOSEN.detections)
    assert findings(lake) == before
    if layout != "zorder":  # which lays the last days out anew each time
        versions = {t: lake.version(t) for t in ("process_events", "network_events", "findings")}
        maintain(lake, NOW)
        assert {t: lake.version(t) for t in versions} == versions, "again: there is nothing to do, and no commit"


def test_a_dry_run_changes_nothing(
    spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake], anything_goes: None
) -> None:
    lake = filled(keep_versions=timedelta(0), keep_events=30 * DAY, keep_findings=30 * DAY)
    detect(spark, lake.settings, HOURS, CHOSEN.detections[:1])
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    kept = by_table(maintain(lake, NOW, dry_run=True))
    assert (kept["network_events"].rows, kept["process_events"].rows, kept["findings"].rows) == (12, 1, 18)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == files


def test_old_files_go_but_none_that_a_look_for_late_rows_needs(
    spark: SparkSession, filled: Callable[..., Lake], anything_goes: None
) -> None:
    lake = filled(keep_versions=timedelta(0))
    catch_up(spark, lake.settings, CHOSEN)
    put(lake, "network_events", (7, {}))
    now = datetime.now(timezone.utc)
    assert by_table(maintain(lake, now))["network_events"].vacuumed == 0, "what came since has not been looked at"
    catch_up(spark, lake.settings, CHOSEN)
    assert len(findings(lake)) == 20


def test_changes_whose_files_are_gone_are_told(
    spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake], anything_goes: None
) -> None:
    lake = filled(keep_versions=timedelta(0))
    put(lake, "network_events", (7, {}))
    for said in ("OPTIMIZE {}", "VACUUM {} RETAIN 0 HOURS"):
        spark.sql(said.format(lake.ref("network_events"))).collect()
    with pytest.raises(DataError, match="a VACUUM took what was not looked at yet"):
        catch_up(spark, lake.settings, CHOSEN)
    backfill(spark, lake.settings, HOURS, CHOSEN.detections)
    assert len(findings(lake)) == 20


def test_events_past_their_time_go_and_their_findings_stay(spark: SparkSession, filled: Callable[..., Lake]) -> None:
    lake = filled(keep_events=30 * DAY)
    catch_up(spark, lake.settings, CHOSEN)
    before = findings(lake)
    put(lake, "network_events", (40 * 24 * 60, {}))
    now = NOON + 60 * DAY
    kept = by_table(maintain(lake, now))
    assert (kept["process_events"].rows, kept["network_events"].rows) == (1, 12)
    assert lake.read("network_events").count() == 1
    assert not catch_up(spark, lake.settings, CHOSEN).reports, "what was deleted is not late"
    assert findings(lake) == before
    with pytest.raises(UsageError, match="would take away the findings"):
        detect(spark, lake.settings, HOURS, CHOSEN.detections)
    with pytest.raises(UsageError, match="would take away the findings"):
        backfill(spark, lake.settings, HOURS, CHOSEN.detections, chunk=timedelta(hours=1))
    gone_to = NOON.replace(hour=0) + 30 * DAY
    gaps = gaps_of(lake, CHOSEN, Window(NOON, NOON + 50 * DAY), NOW)
    assert [g.window for g in gaps] == [Window(gone_to + 3 * DAY, NOON + 50 * DAY)], "what cannot be run is no gap"
    record_deletion(lake, "network_events", (NOON - DAY).date())
    assert lake.properties("network_events")["procnet.keptFrom"] == gone_to.date().isoformat(), "it does not come back"
    late = Window(NOON + 40 * DAY, NOON + 41 * DAY)
    assert detect(spark, lake.settings, late, CHOSEN.detections).counts["connections"] == 1


def test_findings_runs_and_quarantine_have_a_time_too(spark: SparkSession, filled: Callable[..., Lake]) -> None:
    lake = filled(keep_findings=30 * DAY, keep_runs=30 * DAY, keep_quarantine=DAY)
    runs = lake.read("runs").count()
    put(lake, "network_events", (59 * 24 * 60, {"process_name": "msiexec.exe"}))
    detect(spark, lake.settings, Window(NOON + 59 * DAY, NOON + 60 * DAY), CHOSEN.detections)
    kept = by_table(maintain(lake, NOON + 60 * DAY))
    assert (kept["findings"].rows, kept["runs"].rows) == (18, 0)
    assert {f["event_time"].date() for f in findings(lake)} == {(NOON + 59 * DAY).date()}
    assert lake.read("runs").count() == runs + 2


def test_missing_checkpoints_are_told(spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake]) -> None:
    lake = filled()
    assert {k.behind for k in maintain(lake, NOW)} == {None}
    lake.set_properties("network_events", {"delta.checkpointInterval": "1"})
    for n in range(12):
        put(lake, "network_events", (400 + n, {}))
    for file in (tmp_path / "lake" / "network_events" / "_delta_log").glob("*checkpoint*"):
        file.unlink()
    spark.sql(f"REFRESH TABLE {lake.ref('network_events')}")
    behind = by_table(maintain(lake, NOW, dry_run=True))["network_events"].behind
    assert behind is not None
    assert behind > 12


def test_one_table_that_cannot_be_kept_stops_no_other(
    spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake]
) -> None:
    lake = filled()
    liquid = Lake(spark, Settings(lake=tmp_path / "lake", maintenance=MaintenanceSettings(layout="liquid")))
    with pytest.raises(PartlyDone, match="is partitioned by event_date: it cannot be clustered"):
        maintain(liquid, NOW)
    (row,) = lake.read("runs").where("kind = 'maintain'").collect()
    assert row["status"] == "failed"
    assert row["counts"]["findings_compacted"] > 0
    with pytest.raises(DataError, match="there is no table to keep"):
        maintain(Lake(spark, Settings(lake=tmp_path / "nowhere")), NOW)
