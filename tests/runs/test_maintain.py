"""Maintain deletes expired rows and old versions and merges small files; no finding changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from installer_lake import DAY, NOON, NOW, SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.engine.events import Events
from procnet.errors import DataError, PartlyDone, UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs import detect as detect_module
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.runs.gaps import gaps_of
from procnet.runs.maintain import TableUpkeep, maintain
from procnet.runs.retention import first_day as first_complete_day
from procnet.runs.retention import record_deletion
from procnet.runs.selection import Selection
from procnet.settings import MaintenanceSettings, Settings

pytestmark = [pytest.mark.spark, pytest.mark.long]
HOURS = hours_window(0, 6)
CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"


@pytest.fixture
def no_retention_check(spark: SparkSession) -> Iterator[None]:
    """Lets VACUUM delete files that were replaced a moment ago."""
    spark.conf.set(CHECK, "false")
    yield
    spark.conf.unset(CHECK)


@pytest.fixture(scope="module")
def lakes(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Layout -> a folder with a lake: six hours in as many commits, and their findings."""
    folders = {}
    for kind in ("compact", "liquid"):
        folders[kind] = tmp_path_factory.mktemp(kind)
        lake = new_lake(spark, folders[kind] / "lake", maintenance=MaintenanceSettings(layout=kind))
        append_events(lake, "process_events", (0, {}))
        for hour in range(6):
            append_events(lake, "network_events", (60 * hour + 5, {}), (60 * hour + 6, {"dest_port": 8080}))
        backfill(lake, SELECTION, HOURS)
    return folders


@pytest.fixture
def filled(spark: SparkSession, tmp_path: Path, lakes: dict[str, Path]) -> Callable[..., Lake]:
    """Returns a function that copies one of the lakes and gives it maintenance settings."""

    def make(**maintenance: Any) -> Lake:
        kind = "liquid" if maintenance.get("layout") == "liquid" else "compact"
        shutil.copytree(lakes[kind] / "lake", tmp_path / "lake")
        lake = Lake(spark, Settings(lake=tmp_path / "lake", maintenance=MaintenanceSettings(**maintenance)))
        assert len(all_findings(lake)) == 18
        return lake

    return make


def maintained(lake: Lake, now: datetime, *, dry_run: bool = False) -> dict[str, TableUpkeep]:
    return {report.table: report for report in maintain(lake, now, dry_run=dry_run)}


@pytest.mark.parametrize("layout", ["compact", "zorder", "liquid"])
def test_files_are_merged_and_no_finding_changes(spark: SparkSession, filled: Callable[..., Lake], layout: Any) -> None:
    lake = filled(layout=layout, zorder_over=400 * DAY)
    before = all_findings(lake)
    reports = maintained(lake, NOW)
    assert reports["network_events"].compacted >= 6
    assert reports["network_events"].files == 1
    assert {r.rows + r.vacuumed for r in reports.values()} == {0}, "nothing is old enough to be deleted"
    assert all_findings(lake) == before
    assert not backfill(lake, SELECTION, HOURS).reports
    assert not catch_up(lake, SELECTION).reports, "no row has changed"
    assert gaps_of(lake, SELECTION, HOURS, NOW) == []
    detect(lake, SELECTION, HOURS)
    assert all_findings(lake) == before
    if layout != "zorder":  # which rewrites the last days each time
        versions = {t: lake.version(t) for t in ("process_events", "network_events", "findings")}
        maintain(lake, NOW)
        assert {t: lake.version(t) for t in versions} == versions, "again: there is nothing to do, and no commit"


def test_a_dry_run_changes_nothing(
    spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake], no_retention_check: None
) -> None:
    lake = filled(keep_versions=timedelta(0), keep_events=30 * DAY, keep_findings=30 * DAY)
    detect(lake, Selection(SELECTION.detections[:1]), HOURS)
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    reports = maintained(lake, NOW, dry_run=True)
    assert (reports["network_events"].rows, reports["process_events"].rows, reports["findings"].rows) == (12, 1, 18)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == files


def test_old_files_are_deleted_but_none_that_the_next_catch_up_needs(
    spark: SparkSession, filled: Callable[..., Lake], no_retention_check: None
) -> None:
    lake = filled(keep_versions=timedelta(0))
    catch_up(lake, SELECTION)
    append_events(lake, "network_events", (7, {}))
    now = datetime.now(timezone.utc)
    assert maintained(lake, now)["network_events"].vacuumed == 0, "later commits are not checked yet"
    catch_up(lake, SELECTION)
    assert len(all_findings(lake)) == 20


def test_changes_whose_files_are_deleted_are_an_error(
    spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake], no_retention_check: None
) -> None:
    lake = filled(keep_versions=timedelta(0))
    append_events(lake, "network_events", (7, {}))
    for statement in ("OPTIMIZE {}", "VACUUM {} RETAIN 0 HOURS"):
        spark.sql(statement.format(lake.ref("network_events"))).collect()
    with pytest.raises(DataError, match="VACUUM deleted them before they were read"):
        catch_up(lake, SELECTION)
    backfill(lake, SELECTION, HOURS)
    assert len(all_findings(lake)) == 20


def test_expired_events_are_deleted_and_their_findings_stay(spark: SparkSession, filled: Callable[..., Lake]) -> None:
    lake = filled(keep_events=30 * DAY)
    catch_up(lake, SELECTION)
    before = all_findings(lake)
    append_events(lake, "network_events", (40 * 24 * 60, {}))
    now = NOON + 60 * DAY
    reports = maintained(lake, now)
    assert (reports["process_events"].rows, reports["network_events"].rows) == (1, 12)
    assert lake.read("network_events").count() == 1
    assert not catch_up(lake, SELECTION).reports, "a deletion is no late row"
    assert all_findings(lake) == before
    with pytest.raises(UsageError, match="would take away the findings"):
        detect(lake, SELECTION, HOURS)
    with pytest.raises(UsageError, match="would take away the findings"):
        backfill(lake, SELECTION, HOURS, chunk=timedelta(hours=1))
    first_day = NOON.replace(hour=0) + 30 * DAY
    gaps = gaps_of(lake, SELECTION, Window(NOON, NOON + 50 * DAY), NOW)
    assert [g.window for g in gaps] == [Window(first_day + 3 * DAY, NOON + 50 * DAY)], (
        "what cannot be evaluated is no gap"
    )
    record_deletion(lake, "network_events", (NOON - DAY).date())
    assert first_complete_day(lake.properties("network_events")) == first_day.date(), "the day never moves back"
    late = Window(NOON + 40 * DAY, NOON + 41 * DAY)
    assert detect(lake, SELECTION, late).counts["connections"] == 1


def test_events_that_expire_during_a_run_take_no_finding_away(
    spark: SparkSession, filled: Callable[..., Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first check of the run has passed; its events are deleted before it reads them all."""
    lake = filled(keep_events=30 * DAY)
    before = all_findings(lake)
    read_events = detect_module.read_events

    def expire_and_read(lake: Lake) -> Events:
        maintain(lake, NOON + 60 * DAY)
        return read_events(lake)

    monkeypatch.setattr(detect_module, "read_events", expire_and_read)
    with pytest.raises(UsageError, match="would take away the findings"):
        detect(lake, SELECTION, HOURS)
    assert all_findings(lake) == before
    monkeypatch.undo()
    without_retention = Lake(spark, Settings(lake=lake.settings.lake))
    with pytest.raises(UsageError, match="would take away the findings"):
        detect(without_retention, SELECTION, HOURS)
    assert not catch_up(without_retention, SELECTION).reports, "a deletion is no late row, whatever the settings say"
    assert all_findings(lake) == before


def test_findings_runs_and_quarantine_expire_too(spark: SparkSession, filled: Callable[..., Lake]) -> None:
    lake = filled(keep_findings=30 * DAY, keep_runs=30 * DAY, keep_quarantine=DAY)
    runs = lake.read("runs").count()
    append_events(lake, "network_events", (59 * 24 * 60, {"process_name": "msiexec.exe"}))
    detect(lake, SELECTION, Window(NOON + 59 * DAY, NOON + 60 * DAY))
    reports = maintained(lake, NOON + 60 * DAY)
    assert (reports["findings"].rows, reports["runs"].rows) == (18, 0)
    assert {f["event_time"].date() for f in all_findings(lake)} == {(NOON + 59 * DAY).date()}
    assert lake.read("runs").count() == runs + 2


def test_missing_checkpoints_are_reported(spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake]) -> None:
    lake = filled()
    assert {r.behind for r in maintain(lake, NOW)} == {None}
    lake.set_properties("network_events", {"delta.checkpointInterval": "1"})
    for n in range(12):
        append_events(lake, "network_events", (400 + n, {}))
    for file in (tmp_path / "lake" / "network_events" / "_delta_log").glob("*checkpoint*"):
        file.unlink()
    spark.sql(f"REFRESH TABLE {lake.ref('network_events')}")
    behind = maintained(lake, NOW, dry_run=True)["network_events"].behind
    assert behind is not None
    assert behind > 12


def test_one_table_that_fails_stops_no_other(spark: SparkSession, tmp_path: Path, filled: Callable[..., Lake]) -> None:
    lake = filled()
    liquid = Lake(spark, Settings(lake=tmp_path / "lake", maintenance=MaintenanceSettings(layout="liquid")))
    with pytest.raises(PartlyDone, match="is partitioned by event_date: it cannot be clustered"):
        maintain(liquid, NOW)
    (row,) = lake.read("runs").where("kind = 'maintain'").collect()
    assert row["status"] == "failed"
    assert row["counts"]["findings_compacted"] > 0
    with pytest.raises(DataError, match="there is no table to maintain"):
        maintain(Lake(spark, Settings(lake=tmp_path / "nowhere")), NOW)
