"""Lakes of earlier schema versions are brought up to date by `init`, and keep their rows.

schema_1.json is what the first version created. A new version gets a file of its own beside it, and stays there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from installer_lake import CHOSEN, findings, hours, new_lake, put
from procnet.api import detect
from procnet.contract import FINDINGS, RUNS, SCHEMA_VERSION, TABLES
from procnet.errors import DataError
from procnet.lake.tables import Lake
from procnet.runs.init import init
from procnet.settings import Settings

pytestmark = pytest.mark.spark
FILES = sorted(Path(__file__).parent.glob("schema_*.json"))


def of_version(spark: SparkSession, folder: Path, file: Path) -> Lake:
    """A lake as that version created it."""
    for name, table in json.loads(file.read_text()).items():
        columns = ", ".join(f"{c} {t}" for c, t in table["columns"].items())
        by = f"PARTITIONED BY ({', '.join(table['partitions'])})" if table["partitions"] else ""
        version = file.stem.removeprefix("schema_")
        spark.sql(
            f"CREATE TABLE delta.`{folder / name}` ({columns}) USING DELTA {by} "
            f"TBLPROPERTIES ('procnet.schemaVersion' = '{version}')"
        )
    return Lake(spark, Settings(lake=folder))


@pytest.mark.long
@pytest.mark.parametrize("file", FILES, ids=[f.stem for f in FILES])
def test_an_older_lake_keeps_its_rows_and_gives_what_a_new_one_does(
    spark: SparkSession, tmp_path: Path, file: Path
) -> None:
    new = new_lake(spark, tmp_path / "new")
    put(new, "process_events", (0, {}))
    put(new, "network_events", (5, {}), (70, {"dest_port": 8080}))
    detect(spark, new.settings, hours(0, 2), CHOSEN.detections)

    old = of_version(spark, tmp_path / "old", file)
    for name in ("process_events", "network_events", "findings", "runs"):
        rows = new.read(name)
        rows.select(*[c for c in spark.table(old.ref(name)).columns if c in rows.columns]).writeTo(
            old.ref(name)
        ).append()
    assert set(init(old)) == set(TABLES) - set(json.loads(file.read_text()))
    assert init(old) == []
    for name, (schema, _) in TABLES.items():
        there = spark.table(old.ref(name))
        assert sorted(there.columns) == sorted(schema.names)
        assert there.count() == new.read(name).count()
        assert old.properties(name)["procnet.schemaVersion"] == str(SCHEMA_VERSION)
    kept = [f["finding_id"] for f in findings(old)]
    assert kept == [f["finding_id"] for f in findings(new)]
    detect(spark, old.settings, hours(0, 2), CHOSEN.detections)
    assert findings(old) == findings(new)
    assert old.properties("process_events")["delta.enableChangeDataFeed"] == "true"


def test_the_first_version_lacked_what_the_test_brings(spark: SparkSession, tmp_path: Path) -> None:
    first = json.loads(FILES[0].read_text())
    assert set(FINDINGS.names) - set(first["findings"]["columns"]) == {"risk_objects", "threat_objects"}
    assert set(RUNS.names) - set(first["runs"]["columns"]) == {"inputs", "health", "noisy", "broken"}


def test_what_the_owner_of_a_table_has_set_stays(spark: SparkSession, tmp_path: Path) -> None:
    lake = new_lake(spark, tmp_path / "lake")
    kept = {"delta.deletedFileRetentionDuration": "interval 20 days", "procnet.schemaVersion": "1"}
    lake.set_properties("findings", kept)
    init(lake)
    told = lake.properties("findings")
    assert told["delta.deletedFileRetentionDuration"] == "interval 20 days"
    assert told["procnet.schemaVersion"] == str(SCHEMA_VERSION)


def test_a_lake_of_a_newer_version_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    lake = new_lake(spark, tmp_path / "lake")
    spark.sql(f"ALTER TABLE {lake.ref('runs')} SET TBLPROPERTIES ('procnet.schemaVersion' = '99')")
    with pytest.raises(DataError, match=r"schema version 99; this procnet knows up to \d"):
        init(lake)
