"""Delta tables with features that procnet does not set give the same findings, or an error that says what to do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cli.command import procnet
from installer_lake import NOW, SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.errors import DataError
from procnet.lake.table_upkeep import commits_since_checkpoint, table_detail
from procnet.lake.tables import Lake
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.runs.init import init
from procnet.runs.maintain import maintain
from procnet.settings import Settings, SourceSettings

pytestmark = pytest.mark.spark
FEATURES = {
    "process_events": {"enableDeletionVectors": "true", "enableRowTracking": "true"},
    "network_events": {"enableDeletionVectors": "true", "enableTypeWidening": "true"},
    "findings": {"enableDeletionVectors": "true", "enableInCommitTimestamps": "true", "columnMapping.mode": "name",
                 "checkpointPolicy": "v2", "checkpointInterval": "2"},
    "runs": {"columnMapping.mode": "name", "checkpointPolicy": "v2", "checkpointInterval": "2"},
}  # fmt: skip


def set_delta(lake: Lake, table: str, properties: dict[str, str]) -> None:
    lake.set_properties(table, {f"delta.{name}": value for name, value in properties.items()})


@pytest.mark.long
def test_features_of_delta_change_no_finding(spark: SparkSession, tmp_path: Path) -> None:
    """Column mapping comes between the runs and the catch-up, whose change data feed then spans it."""

    def run(folder: Path, *, features: bool) -> Lake:
        lake = new_lake(spark, folder, maintenance={"layout": "liquid"} if features else {})
        for table, properties in FEATURES.items() if features else ():
            set_delta(lake, table, properties)
        append_events(lake, "process_events", (0, {}), (1, {"process_id": 9}), (2, {"process_id": 11}))
        append_events(lake, "network_events", (5, {}), (20, {"process_id": 9}), (25, {"process_id": 11}), (70, {}))
        for hour in (0, 1):
            detect(lake, SELECTION, hours_window(hour, hour + 1))
        if features:
            for table in ("process_events", "network_events"):
                set_delta(lake, table, {"columnMapping.mode": "name"})
        append_events(lake, "process_events", (3, {"process_name": "other.exe"}))
        append_events(lake, "network_events", (30, {"process_id": 11}))
        for table in ("process_events", "network_events"):
            spark.sql(f"DELETE FROM {lake.ref(table)} WHERE process_id = 9").collect()
        assert catch_up(lake, SELECTION).looked
        return lake

    usual, unusual = run(tmp_path / "usual", features=False), run(tmp_path / "unusual", features=True)
    wanted = all_findings(usual)
    assert {f["process_id"] for f in wanted} == {11}
    assert all_findings(unusual) == wanted
    assert init(unusual) == []
    maintain(unusual, NOW)
    detect(unusual, SELECTION, hours_window(0, 2))
    assert all_findings(unusual) == wanted
    checkpoints = list((tmp_path / "unusual/runs/_delta_log").glob("*.checkpoint.*.json"))
    assert checkpoints, "of the policy v2"
    behind = commits_since_checkpoint(unusual, "runs", table_detail(unusual, "runs").location)
    assert behind is not None
    assert behind < 2


def commit(lake: Path, table: str, **action: object) -> None:
    """Writes one commit with one action, as another program would."""
    log = lake / table / "_delta_log"
    version = max(int(f.stem) for f in log.glob("*.json")) + 1
    (log / f"{version:020d}.json").write_text(json.dumps(action))


def protocol(reader: int, *features: str, known: tuple[str, ...] = ()) -> dict[str, object]:
    writer = {"minReaderVersion": reader, "minWriterVersion": 7, "writerFeatures": [*known, *features]}
    return {**writer, "readerFeatures": list(features)} if reader >= 3 else writer


def remove_commit(lake: Path, table: str) -> None:
    (lake / table / "_delta_log" / f"{1:020d}.json").unlink()


def damage_commit(lake: Path, table: str) -> None:
    for file in (lake / table / "_delta_log").glob(f"*{2:020d}.*"):
        file.unlink()
    (lake / table / "_delta_log" / f"{2:020d}.json").write_text('{"commitInfo": {"time')


def remove_data(lake: Path, table: str) -> None:
    next((lake / table).rglob("part-*.parquet")).unlink()


DAMAGES: dict[str, tuple[Callable[[Path, str], None], str, str]] = {
    "an unknown feature": (
        lambda lake, table: commit(lake, table, protocol=protocol(3, "madeUpFeature")),
        r"needs features that Delta does not have here.*madeUpFeature",
        "install a procnet with a newer Delta here",
    ),
    "a newer protocol": (
        lambda lake, table: commit(lake, table, protocol=protocol(4)),
        r"needs features that Delta does not have here.*requires reader version 4",
        "install a procnet with a newer Delta here",
    ),
    "a missing commit": (remove_commit, r"has a damaged log.*not contiguous", "restore _delta_log from a backup"),
    "a damaged commit": (damage_commit, r"has a damaged log", "restore _delta_log from a backup"),
    "missing data": (remove_data, r"lacks files of its rows", "restore the files"),
}


@pytest.fixture(scope="module")
def small_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two commits of rows in every table of events."""
    folder = tmp_path_factory.mktemp("small") / "lake"
    lake = new_lake(spark, folder)
    for minute in (0, 1):
        append_events(lake, "process_events", (minute, {}))
        append_events(lake, "network_events", (minute + 5, {}))
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_table_that_cannot_be_read_is_an_error_that_says_what_to_do(
    small_lake: Path, tmp_path: Path, damage: str
) -> None:
    shutil.copytree(small_lake, tmp_path / "lake")
    apply, problem, remedy = DAMAGES[damage]
    apply(tmp_path / "lake", "network_events")
    result = procnet("status", "--lake", tmp_path / "lake", "--json")
    error = json.loads(result.out)
    assert (result.code, error["error"]) == (3, "DataError")
    assert "network_events" in error["message"]
    assert re.search(problem, error["message"], re.DOTALL)
    assert remedy in error["hint"]


def test_a_table_that_only_a_newer_delta_may_write_can_be_read(
    spark: SparkSession, small_lake: Path, tmp_path: Path
) -> None:
    shutil.copytree(small_lake, tmp_path / "lake")
    lake = Lake(spark, Settings(lake=tmp_path / "lake"))
    known = ("appendOnly", "invariants", "changeDataFeed")
    commit(tmp_path / "lake", "network_events", protocol=protocol(1, "madeUpFeature", known=known))
    assert lake.read("network_events").count() == 2
    with pytest.raises(DataError, match=r"network_events` needs features that Delta does not have here.*madeUpFeature"):
        append_events(lake, "network_events", (9, {}))


def test_a_source_in_place_with_an_unknown_feature_stops_the_window(
    spark: SparkSession, small_lake: Path, tmp_path: Path
) -> None:
    """It would be read as no rows otherwise, and its findings would be missing."""
    shutil.copytree(small_lake, tmp_path / "lake")
    raw = tmp_path / "raw"
    shutil.copytree(tmp_path / "lake/network_events", raw)
    commit(tmp_path, "raw", protocol=protocol(3, "madeUpFeature"))
    sources = {"raw": SourceSettings(mapping="cim", tables=(str(raw),))}
    lake = Lake(spark, Settings(lake=tmp_path / "lake", sources=sources))
    with pytest.raises(DataError, match=r"raw` needs features that Delta does not have here"):
        detect(lake, SELECTION, hours_window(0, 1))
    own = Lake(spark, Settings(lake=tmp_path / "lake"))
    commit(tmp_path / "lake", "network_events", protocol=protocol(3, "madeUpFeature"))
    with pytest.raises(DataError, match=r"network_events` needs features"):
        detect(own, SELECTION, hours_window(0, 1))
