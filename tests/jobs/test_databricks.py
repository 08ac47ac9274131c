"""The bundle for Databricks, without a workspace: its jobs against Databricks' own models, their parameters against
procnet's parser, and each task run as Databricks runs a wheel task."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import distribution
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.bundles.jobs import Job
from pyspark.sql import SparkSession

from procnet.cli.main import parser
from procnet.periods import parse_duration
from procnet.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "jobs" / "databricks").glob("*.job.yml"))
BUNDLE: dict[str, Any] = yaml.safe_load((ROOT / "databricks.yml").read_text("utf-8"))
BASE: dict[str, Any] = {
    name: job for f in FILES for name, job in yaml.safe_load(f.read_text("utf-8"))["resources"]["jobs"].items()
}
TARGETS = sorted(BUNDLE["targets"])


def deployed(name: str, target: str) -> dict[str, Any]:
    """Returns the job of a target: tasks are merged by their key; other keys of the target override the job's."""
    job, override = BASE[name], BUNDLE["targets"][target]["resources"]["jobs"][name]
    tasks = {t["task_key"]: t for t in job["tasks"]}
    for task in override["tasks"]:
        tasks[task["task_key"]] = tasks.get(task["task_key"], {}) | task
    return {**job, **override, "tasks": list(tasks.values())}


JOBS = [pytest.param(deployed(name, target), id=f"{name}-{target}") for name in sorted(BASE) for target in TARGETS]
ONCE = [pytest.param(deployed(name, TARGETS[0]), id=name) for name in sorted(BASE)]
DETECT = deployed("procnet_detect", TARGETS[0])


def arguments_of(job: dict[str, Any], schema: str = "lake.security", **params: str) -> list[str]:
    """Returns the arguments of the job's task after Databricks has filled in variables and parameters."""
    parameters = {p["name"]: p["default"] for p in job.get("parameters", [])} | params
    catalog, _, name = schema.partition(".")
    values = {
        "${workspace.file_path}": str(ROOT), "${var.catalog}": catalog, "${var.schema}": name,
        **{f"{{{{job.parameters.{k}}}}}": v for k, v in parameters.items()},
    }  # fmt: skip
    (task,) = job["tasks"]
    arguments = []
    for word in task["python_wheel_task"]["parameters"]:
        for variable, value in values.items():
            word = word.replace(variable, value)
        arguments.append(word)
    return arguments


def run(job: dict[str, Any], schema: str, **params: str) -> str:
    """Runs the job's task as Databricks does: calls the entry point by its name, and ignores its return value."""
    (task,) = job["tasks"]
    wheel = task["python_wheel_task"]
    (entry,) = [e for e in distribution(wheel["package_name"]).entry_points if e.name == wheel["entry_point"]]
    out, zone = StringIO(), os.environ.get("TZ")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(out):
        patch.setattr(sys, "argv", [wheel["package_name"], *arguments_of(job, schema, **params)])
        try:
            entry.load()()
        finally:
            os.environ.pop("TZ", None)
            if zone is not None:
                os.environ["TZ"] = zone
            time.tzset()
    return out.getvalue()


@pytest.mark.parametrize("job", JOBS)
def test_every_job_is_valid_for_databricks(job: dict[str, Any]) -> None:
    assert Job.from_dict(job).as_dict()["tasks"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_concurent_runs": 1}, "max_concurent_runs"),
        ({"schedule": {"quartz_cron_expression": "0 15 * * * ?", "timezone_id": "UTC", "pause_status": "ON"}}, "ON"),
        ({"tasks": [{"task_key": "a", "python_wheel_task": {"package_name": "procnet"}}]}, "entry_point"),
    ],
)
def test_the_models_refuse_what_databricks_would(change: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Job.from_dict(DETECT | change)  # type: ignore[arg-type]


def test_every_job_is_included_and_runs_in_every_target() -> None:
    assert FILES
    assert {f for pattern in BUNDLE["include"] for f in ROOT.glob(pattern)} == set(FILES)
    for target in TARGETS:
        jobs = BUNDLE["targets"][target]["resources"]["jobs"]
        assert set(jobs) == set(BASE)
        for name, job in jobs.items():
            assert [t["task_key"] for t in job["tasks"]] == [t["task_key"] for t in BASE[name]["tasks"]]


@pytest.mark.parametrize("job", JOBS)
def test_a_task_has_the_wheel_that_is_built_and_a_place_to_run(job: dict[str, Any]) -> None:
    wheel = "./dist/*.whl"
    assert "--wheel-dir dist" in BUNDLE["artifacts"]["procnet"]["build"]
    for task in job["tasks"]:
        serverless, classic = task.get("environment_key"), task.get("job_cluster_key")
        assert (serverless is None) != (classic is None)
        if serverless:
            (place,) = [e for e in job["environments"] if e["environment_key"] == serverless]
            assert place["spec"]["dependencies"] == [wheel]
            assert place["spec"]["environment_version"].isdecimal()
        else:
            assert classic in [c["job_cluster_key"] for c in job["job_clusters"]]
            assert task["libraries"] == [{"whl": wheel}]


@pytest.mark.parametrize("job", ONCE)
def test_the_arguments_of_a_task_are_those_of_the_command_line(job: dict[str, Any]) -> None:
    args = parser().parse_args(arguments_of(job))
    assert load_settings(args.conf, overrides=args.overrides, lake=args.lake).namespace == "lake.security"
    assert job["tasks"][0]["python_wheel_task"]["entry_point"] == "procnet-task", "it raises an error for an exit code"
    (task,) = job["tasks"]
    used = re.findall(r"\{\{job\.parameters\.(\w+)\}\}", " ".join(task["python_wheel_task"]["parameters"]))
    assert used == [p["name"] for p in job.get("parameters", [])]


def test_a_run_without_times_evaluates_the_last_complete_window_and_others_the_given_one() -> None:
    args = parser().parse_args(arguments_of(DETECT))
    assert (args.start, args.end) == ("", "")
    args = parser().parse_args(arguments_of(DETECT, start="2026-03-01T00:00Z", end="2026-03-01T01:00Z"))
    assert (args.start, args.end) == ("2026-03-01T00:00Z", "2026-03-01T01:00Z")


# Quartz: second, minute, hour, day of month, month, day of week; one of the two days must be `?`.
QUARTZ = re.compile(r"0 ([0-5]?\d) (\*|[01]?\d|2[0-3]) (?:\* \* \?|\? \* \*)")


def test_detect_is_hourly_later_than_the_delay_then_catch_up_and_once_a_day_maintain() -> None:
    at = {}
    for name, job in BASE.items():
        if schedule := job.get("schedule"):
            cron = QUARTZ.fullmatch(schedule["quartz_cron_expression"])
            assert cron, schedule
            at[name] = (cron[2], int(cron[1]))
            assert schedule["timezone_id"] == "UTC"
            assert schedule["pause_status"] == "${var.schedule}"
    assert BUNDLE["variables"]["schedule"]["default"] == "PAUSED"
    assert {name: hour for name, (hour, _) in at.items()} == {
        "procnet_detect": "*", "procnet_catch_up": "*", "procnet_maintain": "3",
    }  # fmt: skip
    assert len({minute for _, minute in at.values()}) == 3, "no two start at the same time"
    detect, catch_up = (parse_duration(f"{at[name][1]}m") for name in ("procnet_detect", "procnet_catch_up"))
    window = load_settings(ROOT / "conf" / "databricks.yml").window
    assert window.delay < detect < catch_up < window.length


@pytest.mark.parametrize("job", ONCE)
def test_one_run_at_a_time_and_the_next_one_waits(job: dict[str, Any]) -> None:
    assert job["max_concurrent_runs"] == 1
    assert job["queue"] == {"enabled": True}


def test_every_variable_is_declared_and_every_declared_one_is_used() -> None:
    text = json.dumps([BUNDLE, BASE])
    assert set(re.findall(r"\$\{var\.(\w+)\}", text)) == set(BUNDLE["variables"])
    assert set(re.findall(r"\$\{(?!var\.)([\w.]+)\}", text)) == {"workspace.file_path"}


def test_no_workspace_no_person_and_no_secret_is_named() -> None:
    for file in (ROOT / "databricks.yml", ROOT / "conf" / "databricks.yml", *FILES):
        text = file.read_text("utf-8")
        assert not re.search(r"https?://|\bhost\s*:|\bdapi[0-9a-f]{8}|\b(token|secret|password)\b|@", text, re.I), file


@pytest.fixture
def schema(spark: SparkSession) -> Iterator[str]:
    spark.sql("CREATE SCHEMA IF NOT EXISTS databricks_jobs")
    yield "spark_catalog.databricks_jobs"
    spark.sql("DROP SCHEMA databricks_jobs CASCADE")


HOUR = {"start": "2026-03-01T00:00Z", "end": "2026-03-01T02:00Z"}


@pytest.mark.spark
@pytest.mark.long
def test_the_jobs_run_one_after_the_other_by_the_names_of_a_catalog(spark: SparkSession, schema: str) -> None:
    run(BASE["procnet_init"], schema)
    assert "nothing_to_read" in run(BASE["procnet_detect"], schema)
    assert "2 chunks" in run(BASE["procnet_backfill"], schema, **HOUR, chunk="1h")
    run(BASE["procnet_catch_up"], schema)
    run(BASE["procnet_maintain"], schema)
    kinds = [r.kind for r in spark.table(f"{schema}.runs").select("kind").collect()]
    assert sorted(kinds) == ["backfill", "backfill", "detect", "maintain"], (
        "no table changed, so catch-up recorded nothing"
    )


LATE = """SELECT TIMESTAMP '2026-03-01T00:30:00Z' AS event_time, DATE '2026-03-01' AS event_date, 'ws-1' AS host,
    'msiexec.exe' AS process_name, 'C:\\\\Windows\\\\System32\\\\msiexec.exe' AS process_path,
    '203.0.113.80' AS dest_ip, 443 AS dest_port"""


@pytest.mark.spark
@pytest.mark.long
def test_the_scheduled_catch_up_finds_a_late_row(spark: SparkSession, schema: str) -> None:
    run(BASE["procnet_init"], schema)
    run(BASE["procnet_detect"], schema, **HOUR)
    spark.sql(LATE).write.format("delta").mode("append").saveAsTable(f"{schema}.network_events")
    assert spark.table(f"{schema}.findings").count() == 0
    run(BASE["procnet_catch_up"], schema)
    assert [r.host for r in spark.table(f"{schema}.findings").collect()] == ["ws-1"]


@pytest.mark.spark
def test_a_task_that_fails_raises_an_error(spark: SparkSession, schema: str) -> None:
    for job, values, code in (
        (BASE["procnet_detect"], {}, 3),  # no tables
        (BASE["procnet_backfill"], {}, 2),  # no period
        (BASE["procnet_detect"], {"start": "2026-03-01T00:00Z"}, 2),
        (BASE["procnet_catch_up"], {}, 3),
        (BASE["procnet_maintain"], {}, 3),
    ):
        with pytest.raises(RuntimeError, match=f"exit code {code}"):
            run(job, schema, **values)
