"""`init` upgrades lakes of earlier schema versions and keeps their rows.

schema_<version>.json has the tables of a schema version: each version gets a file before the next one.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from installer_lake import SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.api import detect
from procnet.contract import OPEN_PROCESSES, SCHEMA_VERSION, TABLES
from procnet.errors import DataError
from procnet.lake.tables import Lake
from procnet.runs.init import init
from procnet.settings import Settings

pytestmark = pytest.mark.spark
FILES = sorted(Path(__file__).parent.glob("schema_*.json"))


def create_lake(spark: SparkSession, folder: Path, file: Path) -> Lake:
    """An empty lake with the tables in the file."""
    for name, table in json.loads(file.read_text()).items():
        columns = ", ".join(f"{c} {t}" for c, t in table["columns"].items())
        partitioning = f"PARTITIONED BY ({', '.join(table['partitions'])})" if table["partitions"] else ""
        version = file.stem.removeprefix("schema_")
        spark.sql(
            f"CREATE TABLE delta.`{folder / name}` ({columns}) USING DELTA {partitioning} "
            f"TBLPROPERTIES ('procnet.schemaVersion' = '{version}')"
        )
    return Lake(spark, Settings(lake=folder))


@pytest.mark.long
@pytest.mark.parametrize("file", FILES, ids=[f.stem for f in FILES])
def test_an_older_lake_keeps_its_rows_and_gives_the_findings_of_a_new_one(
    spark: SparkSession, tmp_path: Path, file: Path
) -> None:
    new = new_lake(spark, tmp_path / "new")
    append_events(new, "process_events", (0, {}))
    append_events(new, "network_events", (5, {}), (70, {"dest_port": 8080}))
    detect(spark, new.settings, hours_window(0, 2), SELECTION.detections)

    old = create_lake(spark, tmp_path / "old", file)
    for name in ("process_events", "network_events", "findings", "runs"):
        rows = new.read(name)
        rows.select(*[c for c in spark.table(old.ref(name)).columns if c in rows.columns]).writeTo(
            old.ref(name)
        ).append()
    assert set(init(old)) == set(TABLES) - set(json.loads(file.read_text()))
    assert init(old) == []
    for name, (schema, _) in TABLES.items():
        table = spark.table(old.ref(name))
        assert sorted(table.columns) == sorted(schema.names)
        assert table.count() == new.read(name).count()
        assert old.properties(name)["procnet.schemaVersion"] == str(SCHEMA_VERSION)
    assert [f["finding_id"] for f in all_findings(old)] == [f["finding_id"] for f in all_findings(new)]
    detect(spark, old.settings, hours_window(0, 2), SELECTION.detections)
    assert all_findings(old) == all_findings(new)
    assert old.properties("process_events")["delta.enableChangeDataFeed"] == "true"


def test_the_columns_added_since_each_version() -> None:
    added = {  # in the next version
        1: {"findings": {"risk_objects", "threat_objects"}, "runs": {"inputs", "health", "noisy", "broken"}},
        2: {"runs": {"plan_reason", "rows_collected"}},
        3: {
            "network_events": {"dest_name"},
            "findings": {"dest_name", "dest_name_by", "dest_names", "flow_uid", "community_id", "duration",
                         "server_name", "url", "ja3", "ja4"},
        },
    }  # fmt: skip
    for version, file in enumerate(FILES, 1):
        columns = {name: set(table["columns"]) for name, table in json.loads(file.read_text()).items()}
        for name in ("process_events", "network_events", "findings", "runs"):
            since = set[str]().union(*[added[v].get(name, set()) for v in range(version, SCHEMA_VERSION)])
            assert set(TABLES[name][0].names) - columns[name] == since, (version, name)


def test_an_earlier_lake_wants_init_which_replaces_its_cache_by_an_empty_table(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = create_lake(spark, tmp_path, Path(__file__).with_name("schema_2.json"))
    spark.sql(f"INSERT INTO {lake.ref('open_processes')} (part, state_date) VALUES ('p', DATE'2026-03-01')")
    with pytest.raises(DataError, match=r"network_events` lacks dest_name") as before_init:
        detect(spark, lake.settings, hours_window(0, 1), SELECTION.detections)
    assert "procnet init" in str(before_init.value)
    assert init(lake) == ["dns_events", "flow_events"]
    table = spark.table(lake.ref("open_processes"))
    assert table.columns == OPEN_PROCESSES.names
    assert table.count() == 0
    assert lake.properties("open_processes")["procnet.schemaVersion"] == str(SCHEMA_VERSION)


def test_properties_that_the_owner_of_a_table_has_set_stay(spark: SparkSession, tmp_path: Path) -> None:
    lake = new_lake(spark, tmp_path / "lake")
    owners = {"delta.deletedFileRetentionDuration": "interval 20 days", "procnet.schemaVersion": "1"}
    lake.set_properties("findings", owners)
    init(lake)
    properties = lake.properties("findings")
    assert properties["delta.deletedFileRetentionDuration"] == "interval 20 days"
    assert properties["procnet.schemaVersion"] == str(SCHEMA_VERSION)


def test_a_lake_of_a_newer_version_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    lake = new_lake(spark, tmp_path / "lake")
    spark.sql(f"ALTER TABLE {lake.ref('runs')} SET TBLPROPERTIES ('procnet.schemaVersion' = '99')")
    with pytest.raises(DataError, match=r"schema version 99; this procnet knows up to \d"):
        init(lake)
