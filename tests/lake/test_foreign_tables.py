"""Places of a lake's tables that have something else: another's table, a view, files without a Delta log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cli.command import files_of, procnet
from installer_lake import append_events, new_lake
from procnet.contract import TABLES
from procnet.errors import DataError
from procnet.lake.tables import Lake
from procnet.runs.init import init
from procnet.settings import Settings

pytestmark = pytest.mark.spark
RECORD = {"EventID": 1, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "a", "ProcessId": "8",
          "@timestamp": "2026-03-01T12:00:00Z", "Image": "C:\\a.exe"}  # fmt: skip


def test_anothers_table_is_neither_changed_nor_written_to(spark: SparkSession, tmp_path: Path) -> None:
    lake, records = tmp_path / "lake", tmp_path / "records.jsonl"
    records.write_text(json.dumps(RECORD))
    spark.sql(f"CREATE TABLE delta.`{lake}/findings` (host string, event_time timestamp, analyst string) USING DELTA")
    spark.sql(f"INSERT INTO delta.`{lake}/findings` VALUES ('a', NULL, 'b')")
    before = files_of(lake)
    calls = {
        "init": ("init",),
        "ingest": ("ingest", "--source", "windows_flat", records),
        "findings": ("findings",),
        "maintain": ("maintain",),
    }
    results = {name: procnet(*argv, "--lake", lake) for name, argv in calls.items()}
    assert {name: r.code for name, r in results.items()} == {"init": 3, "ingest": 3, "findings": 3, "maintain": 5}
    assert files_of(lake) == before, "no table beside it was made either"
    for name in ("init", "ingest", "maintain"):
        assert "was not made by procnet" in results[name].err
        assert "analyst, event_time, host" in results[name].err
    assert "tables.findings in the settings" in results["init"].err
    assert "lacks finding_id" in results["findings"].err

    spark.sql(f"ALTER TABLE delta.`{lake}/findings` SET TBLPROPERTIES ('procnet.schemaVersion' = '1')")
    assert procnet("init", "--lake", lake).code == 0, "the hint says how to make a table of an older procnet known"


def test_a_table_with_all_columns_of_the_contract_needs_no_property(spark: SparkSession, tmp_path: Path) -> None:
    lake = new_lake(spark, tmp_path)
    owned = ", ".join(f"'{p}'" for p in lake.properties("findings") if p.startswith("procnet."))
    spark.sql(f"ALTER TABLE {lake.ref('findings')} UNSET TBLPROPERTIES ({owned})")
    spark.sql(f"ALTER TABLE {lake.ref('findings')} ADD COLUMNS (analyst string)")
    assert init(lake) == []
    assert lake.properties("findings")["procnet.schemaVersion"]


@pytest.fixture
def schema(spark: SparkSession) -> Iterator[str]:
    spark.sql("CREATE SCHEMA others")
    yield "others"
    spark.sql("DROP SCHEMA others CASCADE")


def test_a_view_or_a_table_of_another_format_is_refused(spark: SparkSession, schema: str) -> None:
    lake = Lake(spark, Settings(namespace=schema))
    for kind, definition in (("TABLE", "(run_id string) USING PARQUET"), ("VIEW", "AS SELECT 'a' AS run_id")):
        spark.sql(f"CREATE {kind} others.runs {definition}")
        with pytest.raises(DataError, match=r"runs` is no Delta table .* columns run_id: procnet cannot write to it"):
            init(lake)
        spark.sql(f"DROP {kind} others.runs")
    assert spark.sql("SHOW TABLES IN others").isEmpty(), "no table beside it was made"


def test_files_without_a_log_are_no_table_and_init_says_so(spark: SparkSession, tmp_path: Path) -> None:
    """Delta's CREATE TABLE IF NOT EXISTS does nothing there, and raises nothing."""
    lake = new_lake(spark, tmp_path / "lake")
    append_events(lake, "process_events", (0, {}))
    places = {name: tmp_path / "lake" / name for name in TABLES}
    shutil.rmtree(places["process_events"] / "_delta_log")
    for name in ("network_events", "quarantine"):
        shutil.rmtree(places[name])
    places["network_events"].mkdir()
    (places["network_events"] / "notes.txt").write_text("a")
    places["quarantine"].write_text("a file")
    for name in ("process_events", "network_events", "quarantine"):
        for call in (lambda: init(lake), lambda name=name: lake.read(name)):
            with pytest.raises(DataError, match=rf"{name}` is no Delta table: there are files, and no log") as error:
                call()
            assert "restore _delta_log from a backup, or move the files away" in str(error.value)
        shutil.rmtree(places[name], ignore_errors=True)
        places[name].unlink(missing_ok=True)
    (places["quarantine"] / "_delta_log").mkdir(parents=True)
    with pytest.raises(DataError, match=r"quarantine` is no Delta table"):
        init(lake)
    shutil.rmtree(places["quarantine"])
    assert init(lake) == ["quarantine"]
    assert all(lake.read(name).isEmpty() for name in TABLES)


def test_a_lake_that_does_not_exist_has_no_gaps_but_an_error(spark: SparkSession, tmp_path: Path) -> None:
    for argv in (("gaps",), ("backfill", "--gaps"), ("status",), ("maintain",)):
        result = procnet(*argv, "--lake", tmp_path / "lake")
        assert (argv, result.code) == (argv, 3)
        assert "procnet init creates the tables" in result.err
