"""The arguments of a run, and what its exit code means; without a database."""

from __future__ import annotations

import importlib.util
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.sdk import CronDataIntervalTimetable, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from conftest import HOME, calls
from procnet_jobs import (
    ERRORS,
    LocalCommand,
    Setup,
    arguments,
    databricks_exit_code,
    failure,
    scheduled,
    spark_exit_code,
    window,
)

ROOT = Path(__file__).resolve().parents[3]
HOUR = datetime(2026, 3, 2, 9, tzinfo=timezone.utc)
PERIOD = ["--start", "2026-03-02T09:00:00+00:00", "--end", "2026-03-02T10:00:00+00:00"]
WINDOWLESS = ("catch-up", "maintain")
CONTEXT = {
    "dag": SimpleNamespace(timetable=CronDataIntervalTimetable("0 * * * *", timezone="UTC")),
    "data_interval_start": HOUR,
    "data_interval_end": HOUR + timedelta(hours=1),
}


def test_an_interval_is_passed_in_utc() -> None:
    zone = timezone(timedelta(hours=2))
    assert arguments(window(HOUR.astimezone(zone), HOUR + timedelta(hours=1), "T")) == PERIOD


@pytest.mark.parametrize(
    ("end", "says"), [(HOUR, "CronTriggerTimetable gave this run an interval without a length"), (None, "no data int")]
)
def test_an_interval_without_a_length_is_no_window(end: datetime | None, says: str) -> None:
    with pytest.raises(AirflowFailException, match=f"{says}[\\s\\S]*next:"):
        window(HOUR, end, "CronTriggerTimetable")


def test_a_run_for_a_past_date_does_not_evaluate_the_present() -> None:
    hour = timedelta(hours=1)
    for dated in (HOUR, HOUR + hour, HOUR + timedelta(minutes=65), None):  # scheduled; by hand, as `dags test` does
        assert window(HOUR, HOUR + hour, "T", dated)
    with pytest.raises(AirflowFailException, match=r"is dated 2026-03-02T08[\s\S]*backfill create"):
        window(HOUR, HOUR + hour, "T", HOUR - hour)


@pytest.mark.parametrize("code", [None, 1, 2, 3, 5, -9, 137])
def test_every_error_but_a_failed_window_fails_at_once(code: int | None) -> None:
    assert isinstance(failure(code, "why"), AirflowFailException)


def test_a_failed_window_is_retried_and_every_error_has_the_output() -> None:
    assert type(failure(4, "why")) is AirflowException
    assert "partly done" in str(failure(5, "procnet backfill goes on"))
    assert "procnet backfill goes on" in str(failure(5, "procnet backfill goes on"))


def test_errors_have_the_exit_codes_of_procnet() -> None:
    spec = importlib.util.spec_from_file_location("errors", ROOT / "lib" / "procnet" / "errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    base = module.ProcnetError
    errors: list[Any] = [e for e in vars(module).values() if isinstance(e, type) and issubclass(e, base)]
    assert {e.__name__: e.exit_code for e in errors if e is not base} == ERRORS


def test_setup_is_read_from_the_environment() -> None:
    env = {"PROCNET_RUNS_ON": "spark", "PROCNET_OPTIONS": "--conf '/a b.yml'", "PROCNET_DELAY_MINUTES": "90",
           "PROCNET_SINCE": "2026-03-01T00:00Z", "PROCNET_PROGRAM": ""}  # fmt: skip
    since = datetime(2026, 3, 1, tzinfo=timezone.utc)
    assert Setup.of(env) == Setup("spark", options=("--conf", "/a b.yml"), delay=timedelta(minutes=90), since=since)
    local = yaml.safe_load((ROOT / "conf" / "local.yml").read_text("utf-8"))
    assert local["window"]["delay"] == f"{Setup().delay // timedelta(minutes=1)}m"


@pytest.mark.parametrize(
    "env",
    [
        {"PROCNET_RUNS_ON": "yarn"},
        {"PROCNET_RUNS_ON": "databricks", "PROCNET_OPTIONS": "--conf x"},
        {"PROCNET_SINCE": "2026-03-01"},
    ],
)
def test_a_wrong_variable_is_named(env: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=list(env)[-1]):
        Setup.of(env)


def test_missed_runs_without_a_window_are_skipped() -> None:
    for setup in (Setup(), Setup(since=HOUR)):
        dag = scheduled("catch-up", "40 * * * *", setup, windowed=False)
        assert (dag.catchup, dag.start_date) == (False, None)
        assert isinstance(dag.timetable, CronTriggerTimetable)


def test_missed_hours_are_skipped_unless_a_first_one_is_set() -> None:
    assert scheduled("detect", "0 * * * *", Setup()).catchup is False
    assert scheduled("detect", "0 * * * *", Setup(since=HOUR)).catchup is True


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(AirflowFailException, match=r"/no/procnet[\s\S]*PROCNET_PROGRAM"):
        LocalCommand(task_id="t", words=["/no/procnet", "detect"], windowed=True).execute(CONTEXT)


def test_a_task_that_is_killed_ends_its_program_and_what_that_started() -> None:
    written_later = HOME / "written_later"
    task = LocalCommand(
        task_id="t", words=["/bin/sh", "-c", f"(sleep 60; touch {written_later}) & echo $! ; wait"], windowed=False
    )
    ended: list[Any] = []

    def run() -> None:
        try:
            task.execute(CONTEXT)
        except AirflowFailException as e:
            ended.append(str(e))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while task._child is None:
        time.sleep(0.05)
    time.sleep(0.3)
    task.on_kill()
    thread.join(20)  # the pipe closes only when the last process has ended
    assert not thread.is_alive()
    assert "exit code -15" in ended[0]


def operator(setup: Setup, command: str = "detect", *, windowed: bool = True) -> Any:
    return scheduled(command, "0 * * * *", setup, windowed=windowed).get_task(command.replace("-", "_"))


def test_spark_submit_gets_the_job_and_the_window() -> None:
    calls()
    operator(Setup("spark", jobs="/opt/jobs", options=("--conf", "a b.yml"))).execute(CONTEXT)
    (words,) = calls()
    assert words[words.index("--master") + 1] == "local[1]"
    assert words[words.index("/opt/jobs/detect.py") :] == ["/opt/jobs/detect.py", "--conf", "a b.yml", *PERIOD]
    for command in WINDOWLESS:
        job = f"jobs/{command.replace('-', '_')}.py"
        assert (ROOT / job).is_file()
        operator(Setup("spark", options=("--conf", "a b.yml")), command, windowed=False).execute(CONTEXT)
        (words,) = calls()
        assert words[words.index(job) :] == [job, "--conf", "a b.yml"]


@pytest.mark.parametrize(
    ("code", "kind"), [(2, AirflowFailException), (4, AirflowException), (5, AirflowFailException)]
)
def test_exit_codes_of_spark_submit_become_errors(code: int, kind: type[Exception]) -> None:
    with pytest.raises(AirflowException, match=f"exit code {code}") as e:
        operator(Setup("spark"), f"exit-{code}").execute(CONTEXT)
    assert type(e.value) is kind
    assert "printed by the program" in str(e.value)


def test_the_exit_code_of_a_pod_takes_precedence() -> None:
    assert spark_exit_code("Cannot execute: x. Error code is: 1. Kubernetes spark exit code is: 4\nLast") == 4
    assert spark_exit_code("No driver id is known") is None


class Hook:
    """The parts of DatabricksHook that the operator calls: one run, which ends with `error`."""

    error: str | None = None
    request: dict[str, Any]

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def find_job_id_by_name(self, name: str) -> int | None:
        return {"procnet detect": 7, "procnet catch-up": 8, "procnet maintain": 9}.get(name)

    def run_now(self, json: dict[str, Any]) -> int:
        Hook.request = json
        return 1

    def get_run_page_url(self, _: int) -> str:
        return "page"

    def get_run(self, _: int) -> dict[str, Any]:
        state = {"life_cycle_state": "TERMINATED", "result_state": "FAILED" if self.error else "SUCCESS",
                 "state_message": ""}  # fmt: skip
        return {"state": state, "tasks": [{"task_key": "detect", "run_id": 2, "state": state}]}

    def get_run_output(self, _: int) -> dict[str, str | None]:
        return {"error": self.error}


@pytest.fixture
def _databricks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.providers.databricks.operators.databricks.DatabricksHook", Hook)


class Pushed:
    def xcom_push(self, **_: Any) -> None: ...


@pytest.mark.usefixtures("_databricks")
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (None, None),
        ("WindowFailed: window a .. b failed", AirflowException),
        ("DataError: no table", AirflowFailException),
        ("ImportError: no procnet", AirflowFailException),
    ],
)
def test_the_job_of_the_bundle_is_run_for_the_window(
    error: str | None, kind: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hook, "error", error)
    run = operator(Setup("databricks"))
    if kind is None:
        run.execute({**CONTEXT, "ti": Pushed()})
    else:
        with pytest.raises(AirflowException) as e:
            run.execute({**CONTEXT, "ti": Pushed()})
        assert type(e.value) is kind
        assert str(error) in str(e.value)
    assert Hook.request == {"job_id": 7, "job_parameters": {"start": PERIOD[1], "end": PERIOD[3]}}
    assert databricks_exit_code("PartlyDone: some") == 5


@pytest.mark.usefixtures("_databricks")
def test_a_job_without_a_window_is_run_without_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hook, "error", None)
    for command, job_id in zip(WINDOWLESS, (8, 9), strict=True):
        operator(Setup("databricks"), command, windowed=False).execute({**CONTEXT, "ti": Pushed()})
        assert Hook.request == {"job_id": job_id}


def test_the_bundle_has_the_jobs_under_those_names_and_they_take_those_parameters() -> None:
    for command, takes in (("detect", ["start", "end"]), ("catch-up", []), ("maintain", [])):
        file = ROOT / f"jobs/databricks/{command.replace('-', '_')}.job.yml"
        (job,) = yaml.safe_load(file.read_text("utf-8"))["resources"]["jobs"].values()
        assert job["name"] == f"procnet {command}"
        assert [p["name"] for p in job.get("parameters", [])] == takes
