"""Ingests that run at the same time: every row is added once, and counted once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conftest import INTERPRETED
from procnet.errors import PartlyDone
from procnet.lake.tables import Lake
from procnet.runs import ingest as ingest_module
from procnet.runs.ingest import ingest
from procnet.settings import Settings
from procnet.spark.session import SHORT_RUN
from runs.ingests_at_once import waiting_for_each_other

pytestmark = pytest.mark.spark
NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)
HERE = Path(__file__).parent
ROWS = {"process_events": 2, "network_events": 1, "quarantine": 1}
SYSMON = {"SourceName": "Microsoft-Windows-Sysmon", "Hostname": "pc1", "@timestamp": "2026-03-01T10:00:00.5Z"}


def write_records(folder: Path, process_id: str) -> Path:
    """Writes two process events, a connection twice and a line that is no record, all with this process id."""
    connection = {**SYSMON, "EventID": 3, "ProcessId": process_id, "DestinationIp": "192.0.2.7"}
    events = [{**SYSMON, "EventID": n, "ProcessId": process_id, "Image": "C:\\a.exe"} for n in (1, 5)]
    lines = [*map(json.dumps, [*events, connection, connection]), f'{{"ProcessId": "{process_id}", "Comp']
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_text("\n".join(lines))
    return folder


def counts(lake: Lake) -> dict[str, int]:
    return {table: lake.read(table).count() for table in ROWS}


@pytest.mark.long
def test_two_ingests_of_one_folder_at_the_same_time(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two threads: tables without rows first, then tables that have others' rows of the same day."""
    lake = Lake(spark, Settings(lake=tmp_path / "lake"))
    lake.create()
    add = ingest_module._add
    for n, process_id in enumerate(("77", "78"), start=1):
        raw = write_records(tmp_path / "raw", process_id)
        monkeypatch.setattr(ingest_module, "_add", waiting_for_each_other(add, tmp_path / process_id))
        with ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(partial(ingest, lake, "windows_flat", [raw], now=NOW.replace(hour=h))) for h in (0, 1)]
            new = [run.result().new for run in runs]
        assert counts(lake) == {table: rows * n for table, rows in ROWS.items()}
        assert {table: sum(added[table] for added in new) for table in ROWS} == ROWS, "each is counted once"


@pytest.mark.long
def test_two_processes_that_ingest_one_folder_at_the_same_time(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(spark, Settings(lake=tmp_path / "lake"))
    lake.create()
    command = [sys.executable, str(HERE / "ingests_at_once.py"), str(tmp_path / "meeting"), "ingest", "--json"]
    command += [
        "--source",
        "windows_flat",
        "--lake",
        str(lake.settings.lake),
        str(write_records(tmp_path / "raw", "77")),
    ]
    command += [w for k, v in (SHORT_RUN | INTERPRETED).items() for w in ("--set", f"spark.{k}={v}")]
    # With these variables of pyspark a child would be a client of this process's Connect server.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_CONNECT", "SPARK_LOCAL_REMOTE"))}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    start = partial(subprocess.Popen, command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    outputs = [(p, *p.communicate(timeout=300)) for p in [start(), start()]]
    assert {p.returncode for p, _, _ in outputs} <= {0, PartlyDone.exit_code}, outputs  # a fifth is quarantined
    assert counts(lake) == ROWS
    new = [json.loads(out)["new"] for _, out, _ in outputs]
    assert {table: sum(added[table] for added in new) for table in ROWS} == ROWS
