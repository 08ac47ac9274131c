"""The DAGs in a real Airflow: imported, run for a past hour, retried or not as the exit code says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import CronDataIntervalTimetable, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.timezone import coerce_datetime
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DagRunInfo, DataInterval

from conftest import HOME, airflow, calls
from procnet_jobs import Setup, scheduled
from test_jobs import CONTEXT, ROOT

PROCNET = ROOT / ".venv" / "bin" / "procnet"  # an environment of its own: pyspark and Airflow do not share one
TEN = datetime(2026, 3, 2, 10, tzinfo=timezone.utc)


def dag_bag() -> BundleDagBag:
    """As Airflow's DAG processor reads a folder."""
    return BundleDagBag(dag_folder=HOME / "dags", bundle_path=HOME / "dags", bundle_name="dags-folder")


@pytest.mark.parametrize("runs_on", ["local", "spark", "databricks"])
def test_dags_import_wherever_procnet_runs(runs_on: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCNET_RUNS_ON", runs_on)
    bag = dag_bag()
    assert bag.import_errors == {}
    assert isinstance(bag.dags["procnet_detect"].timetable, CronDataIntervalTimetable)
    assert bag.dags["procnet_detect"].task_ids == ["detect", "arrived"]
    for command in ("catch_up", "maintain"):
        assert isinstance(bag.dags[f"procnet_{command}"].timetable, CronTriggerTimetable)
        assert bag.dags[f"procnet_{command}"].task_ids == [command]


def test_after_an_outage_each_hour_is_detected_and_what_has_no_window_runs_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROCNET_SINCE", "2026-03-01T00:00Z")
    bag, due = dag_bag(), {}
    for name in ("detect", "catch_up", "maintain"):
        dag = bag.dags[f"procnet_{name}"]
        assert dag.max_active_runs == 1
        planned = DagSerialization.from_dict(DagSerialization.to_dict(dag))  # as the scheduler has it
        last = coerce_datetime(datetime.now(timezone.utc)).start_of("hour").subtract(hours=300)
        run: Any = DagRunInfo(last, DataInterval(last.subtract(hours=1), last))
        due[name] = -1
        while run.run_after <= datetime.now(timezone.utc):
            run, due[name] = planned.next_dagrun_info(last_automated_run_info=run), due[name] + 1
    assert due == {"detect": 300, "catch_up": 1, "maintain": 1}


def test_a_provider_is_imported_only_where_it_is_chosen() -> None:
    code = "import sys, procnet_dags; print([m for m in sys.modules if '.databricks.op' in m or '.spark.op' in m])"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOME / "dags", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_each_shipped_dag_runs_a_command_that_procnet_has() -> None:
    helped = subprocess.run([PROCNET, "--help"], capture_output=True, text=True, check=True).stdout
    shipped = sorted(d.dag_id for d in dag_bag().dags.values() if d.fileloc.endswith("procnet_dags.py"))
    assert shipped == ["procnet_catch_up", "procnet_detect", "procnet_maintain"]
    for dag_id in shipped:
        assert f"\n    {dag_id.removeprefix('procnet_').replace('_', '-')} " in helped


def states(dag_id: str) -> dict[str, tuple[str, int]]:
    """Each task of a run for ten o'clock: how it ended, in which try."""
    run = dag_bag().dags[dag_id].test(logical_date=TEN)
    return {ti.task_id: (str(ti.state), ti.try_number) for ti in run.get_task_instances()}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("code", "state", "tries"),
    [(0, "success", 1), (1, "failed", 1), (2, "failed", 1), (3, "failed", 1), (4, "failed", 4), (5, "failed", 1)],
)
def test_only_a_failed_window_is_tried_again(code: int, state: str, tries: int) -> None:
    calls()
    assert states(f"procnet_exit_{code}") == {"arrived": ("success", 1), f"exit_{code}": (state, tries)}
    hostile = "$(touch pwned) `touch pwned`; touch pwned {{ ds }}"
    period = ["--start", "2026-03-02T09:00:00+00:00", "--end", "2026-03-02T10:00:00+00:00"]
    assert calls() == [[f"exit-{code}", "--lake", hostile, *period]] * tries


@pytest.mark.usefixtures("database")
def test_a_command_without_a_window_is_run_as_it_is() -> None:
    calls()
    assert states("procnet_no_window") == {"no_window": ("success", 1)}
    assert [words[0] for words in calls()] == ["no-window"]
    assert calls() == []


@pytest.mark.usefixtures("database")
def test_an_interval_without_a_length_is_refused_with_the_name_of_its_timetable() -> None:
    calls()
    done = airflow("dags", "test", "procnet_zero_width", "2026-03-02T10:00:00+00:00")
    assert done.returncode != 0
    assert "CronTriggerTimetable gave this run an interval without a length" in done.stdout
    assert calls() == []


@pytest.mark.usefixtures("database")
def test_a_backfill_makes_a_run_for_each_hour() -> None:
    assert airflow("dags", "reserialize").returncode == 0
    done = airflow("backfill", "create", "--dag-id", "procnet_detect", "--from-date", "2026-03-01T00:00Z",
                   "--to-date", "2026-03-01T02:00Z", "--dry-run")  # fmt: skip
    hours = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| 2026")]
    assert hours == [f"2026-03-01 0{h}:00:00+00:00" for h in range(3)], done.stdout


def test_an_exit_code_of_procnet_passes_through_spark_submit(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from procnet.spark.java import *; print(launcher_home(find_java()))"
    python = PROCNET.with_name("python")
    java = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    monkeypatch.setenv("JAVA_HOME", java)
    monkeypatch.setenv("PYSPARK_PYTHON", str(python))
    monkeypatch.setenv("PATH", f"{PROCNET.parent}{os.pathsep}{os.environ['PATH']}")
    setup = Setup("spark", jobs=str(ROOT / "jobs"), options=("--set", "no.such.key=1"))
    with pytest.raises(AirflowFailException, match=r"exit code 2 [\s\S]*no\.such\.key"):
        scheduled("detect", "0 * * * *", setup).get_task("detect").execute(CONTEXT)


def procnet(*words: object) -> str:
    done = subprocess.run([PROCNET, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# Sessions of seconds, as in tests/conftest.py: few partitions, nothing compiled for long.
QUICK = {
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
}


# A connection whose record names msiexec, so a finding; it is ingested after its hour was evaluated.
LATE = {
    "@timestamp": "2026-03-02T00:30:00Z", "EventID": 3, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "late-1",
    "ProcessId": "2040", "Image": "C:\\Windows\\System32\\msiexec.exe", "Protocol": "tcp", "Initiated": "true",
    "DestinationIp": "203.0.113.80", "DestinationPort": "80",
}  # fmt: skip


@pytest.mark.usefixtures("database")
def test_a_past_hour_is_evaluated_then_what_came_late_then_the_tables_are_tended(tmp_path: Path) -> None:
    conf = tmp_path / "own settings.yml"
    local = yaml.safe_load((ROOT / "conf" / "local.yml").read_text("utf-8"))
    lake = tmp_path / "lake"
    conf.write_text(yaml.safe_dump({**local, "lake": str(lake), "spark": QUICK}))

    def tested(dag_id: str, *dated: str) -> str:
        options = f"--conf '{conf}'"
        done = airflow("dags", "test", dag_id, *dated, PROCNET_PROGRAM=str(PROCNET), PROCNET_OPTIONS=options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def found() -> list[dict[str, Any]]:
        output = procnet("findings", "--conf", conf, "--format", "json")
        return [json.loads(line) for line in output.splitlines()]

    made = procnet("demo", "--conf", conf, "--lake", lake, "--no-detect", "--hosts", 2, "--hours", 2, "--json")
    assert json.loads(made)["start"].startswith("2026-03-02T00:00:00")
    tested("procnet_detect", "2026-03-02T01:05:00+00:00")
    in_time = found()
    assert in_time
    assert {f["event_time"][:13] for f in in_time} == {"2026-03-02T00"}, "the hour before, and no other"

    (tmp_path / "late.jsonl").write_text(json.dumps(LATE))
    procnet("ingest", "--conf", conf, "--source", "windows_flat", tmp_path / "late.jsonl")
    tested("procnet_catch_up")
    assert {f["host"] for f in found()} == {f["host"] for f in in_time} | {"late-1"}

    tested("procnet_maintain")
    assert len(found()) == len(in_time) + 1
