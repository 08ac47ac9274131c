"""Airflow DAGs that run procnet's commands: on the worker, by spark-submit, or as a job of Databricks.

Nothing of procnet is imported: Airflow's environment need not have it, and must not have pyspark (Airflow's Spark
provider installs pyspark-client, which overwrites pyspark).
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# The exit codes of `procnet --help`.
EXIT_CODES = {
    2: "usage or configuration",
    3: "the data breaks the contract",
    4: "the window failed and may be retried",
    5: "partly done; the message has the command that goes on",
}
WINDOW_FAILED = 4

# procnet's errors and their exit codes: a job of Databricks ends with the error's text in place of an exit code.
ERRORS = {
    "UsageError": 2,
    "ConfigError": 2,
    "DetectionError": 2,
    "ExclusionError": 2,
    "SourceError": 2,
    "SessionError": 2,
    "DataError": 3,
    "WindowFailed": 4,
    "Overtaken": 4,
    "PartlyDone": 5,
}


@dataclass(frozen=True)
class Setup:
    """Where procnet runs, and with which options. The defaults are for a worker with `procnet` on its PATH."""

    runs_on: str = "local"  # or spark, databricks
    program: str = "procnet"  # local: the program
    jobs: str = "jobs"  # spark: folder or address that holds detect.py
    options: tuple[str, ...] = ()  # local, spark: options of every command, such as --conf FILE
    delay: timedelta = timedelta(minutes=10)  # waited after the end of a window; as window.delay of the settings
    since: datetime | None = None  # start of the first window; every window from then on is run
    retry_delay: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if self.runs_on not in OPERATORS:
            raise ValueError(f"PROCNET_RUNS_ON is {self.runs_on!r}; it must be one of {', '.join(OPERATORS)}")
        if self.options and self.runs_on == "databricks":
            raise ValueError("PROCNET_OPTIONS is not used on databricks: the options are in the job there")

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Setup:
        """Returns the setup of the environment variables PROCNET_...; ValueError names the one that is wrong."""
        values: dict[str, Any] = {k: env[n] for k, n in _VARIABLES.items() if env.get(n)}
        if "options" in values:
            values["options"] = tuple(shlex.split(values["options"]))
        if "delay" in values:
            values["delay"] = timedelta(minutes=float(values["delay"]))
        if "since" in values:
            values["since"] = _instant(values["since"])
        return cls(**values)


_VARIABLES = {
    "runs_on": "PROCNET_RUNS_ON",
    "program": "PROCNET_PROGRAM",
    "jobs": "PROCNET_JOBS",
    "options": "PROCNET_OPTIONS",
    "delay": "PROCNET_DELAY_MINUTES",
    "since": "PROCNET_SINCE",
}


def scheduled(command: str, schedule: Any, setup: Setup, *, windowed: bool = True) -> DAG:
    """Returns a DAG that runs `procnet COMMAND` by `schedule`: a cron line in UTC, or a timetable.

    A windowed command gets the data interval of the run as its window, `setup.delay` after the interval's end. Another
    command gets no window; its missed runs are skipped, since one run does the work of all.
    """
    if isinstance(schedule, str):
        # In Airflow 3 a cron line alone means CronTriggerTimetable, whose intervals have no length.
        timetable = CronDataIntervalTimetable if windowed else CronTriggerTimetable
        schedule = timetable(schedule, timezone="UTC")
    since = setup.since if windowed else None
    with DAG(
        dag_id=f"procnet_{command.replace('-', '_')}",
        schedule=schedule,
        start_date=since,
        catchup=since is not None,
        max_active_runs=1,  # after an outage one hour after the other; `airflow backfill` has its own limit
        default_args={"retries": 3, "retry_delay": setup.retry_delay},
        tags=["procnet"],
    ) as dag:
        run = OPERATORS[setup.runs_on](command, setup, windowed)
        if windowed:
            # window_of is called here too, so that a refused run fails before the wait.
            arrived = TimeDeltaSensor(
                task_id="arrived", delta=setup.delay, mode="reschedule", poke_interval=60, pre_execute=window_of
            )
            arrived >> run
    return dag


def window(
    start: datetime | None, end: datetime | None, timetable: str, dated: datetime | None = None
) -> dict[str, str]:
    """Returns the window [start, end) of a run's interval as ISO 8601 texts in UTC.

    `dated` is the run's logical date. Airflow 3 gives a run that is triggered by hand for a past date the last interval
    before now: evaluating that interval would look as if the past hour were done. Raises AirflowFailException for such
    a run, and for an interval without a length.
    """
    if start is None or end is None:
        raise AirflowFailException(
            f"this run has no data interval, so no window (timetable {timetable})\n"
            "  next: airflow backfill create, for the hours to evaluate"
        )
    if start >= end:
        raise AirflowFailException(
            f"{timetable} gave this run an interval without a length: {start.isoformat()} to {end.isoformat()}\n"
            "  next: give the DAG a CronDataIntervalTimetable, whose interval is the time between two runs"
        )
    if dated is not None and dated < start:
        raise AirflowFailException(
            f"this run is dated {dated.isoformat()}, but its interval is {start.isoformat()} to {end.isoformat()}: "
            "Airflow gives a run that is triggered by hand the last interval before now\n"
            "  next: delete this run, then airflow backfill create for the hours to evaluate"
        )
    return {"start": _iso(start), "end": _iso(end)}


def arguments(period: Mapping[str, str]) -> list[str]:
    """Returns `--start T --end T` as separate arguments; no shell reads them."""
    return [word for name, value in period.items() for word in (f"--{name}", value)]


def failure(code: int | None, output: str) -> AirflowException:
    """Returns the error for an exit code and the program's last output. Airflow retries the task where a window failed;
    every other error fails it at once."""
    if code is None:
        return AirflowFailException(f"procnet ended with an unknown exit code:\n{output}")
    kind = AirflowException if code == WINDOW_FAILED else AirflowFailException
    return kind(f"procnet ended with exit code {code} ({EXIT_CODES.get(code, 'not one of procnet')}):\n{output}")


def window_of(context: Any) -> dict[str, str]:
    """Returns the window of the run with Airflow's task context."""
    start, end, dated = (context.get(k) for k in ("data_interval_start", "data_interval_end", "logical_date"))
    return window(start, end, type(context["dag"].timetable).__name__, dated)


class LocalCommand(BaseOperator):
    """Runs a command of procnet as a child process: its output is logged, its exit code decides how the task ends."""

    def __init__(self, *, words: Sequence[str], windowed: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = list(words)
        self.windowed = windowed
        self._child: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> None:
        """Runs the command to its end. Raises `failure` for an exit code that is not 0."""
        words = [*self.words, *(arguments(window_of(context)) if self.windowed else [])]
        self.log.info("%s", shlex.join(words))
        last_lines: deque[str] = deque(maxlen=30)
        try:
            # A session of its own, so that on_kill reaches the JVM too.
            self._child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", start_new_session=True,
            )  # fmt: skip
        except OSError as e:
            raise AirflowFailException(
                f"{words[0]} cannot be started: {e.strerror}\n  next: set PROCNET_PROGRAM to the path of procnet"
            ) from None
        with self._child as child:
            assert child.stdout is not None, "stdout is a pipe"
            for line in child.stdout:
                last_lines.append(line.rstrip())
                self.log.info("%s", last_lines[-1])
        if child.returncode:
            raise failure(child.returncode, "\n".join(last_lines))

    def on_kill(self) -> None:
        """Ends the child and its JVM. The window is not recorded as done, and its next run replaces its findings."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGTERM)


def _local(command: str, setup: Setup, windowed: bool) -> BaseOperator:
    return LocalCommand(task_id=_task_id(command), words=[setup.program, command, *setup.options], windowed=windowed)


def _spark(command: str, setup: Setup, windowed: bool) -> BaseOperator:
    from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

    class Submitted(SparkSubmitOperator):
        def execute(self, context: Any) -> None:
            self.application_args = [*setup.options, *(arguments(window_of(context)) if windowed else [])]
            _run(super().execute, context, spark_exit_code)

    application = f"{setup.jobs}/{command.replace('-', '_')}.py"
    # With durable=True a task that is cleared would find its finished job again and evaluate nothing.
    return Submitted(task_id=_task_id(command), application=application, name=f"procnet {command}", durable=False)


def _databricks(command: str, setup: Setup, windowed: bool) -> BaseOperator:
    from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator

    class RunNow(DatabricksRunNowOperator):
        def execute(self, context: Any) -> None:
            self.job_parameters = window_of(context) if windowed else None
            _run(super().execute, context, databricks_exit_code)

    return RunNow(task_id=_task_id(command), job_name=f"procnet {command}", durable=False)


OPERATORS: dict[str, Callable[[str, Setup, bool], BaseOperator]] = {
    "local": _local,
    "spark": _spark,
    "databricks": _databricks,
}


def spark_exit_code(error: str) -> int | None:
    """Returns the exit code in the Spark provider's error: procnet's own in client mode; in cluster mode mostly 1."""
    code = re.search(r"\. Error code is: (\d+)\.(?: Kubernetes spark exit code is: (\d+))?", error)
    return int(code[2] or code[1]) if code else None


def databricks_exit_code(error: str) -> int | None:
    """Returns the exit code of procnet's error in the task's error: a wheel task has no exit code."""
    name = re.search(rf"\b({'|'.join(ERRORS)})\b", error)
    return ERRORS[name[1]] if name else None


def _run(execute: Callable[[Any], Any], context: Any, exit_code: Callable[[str], int | None]) -> None:
    """Runs an operator of a provider, and turns its error into `failure`."""
    try:
        execute(context)
    except AirflowException as e:
        raise failure(exit_code(str(e)), str(e)) from e


def _task_id(command: str) -> str:
    return command.replace("-", "_")


def _iso(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat()


def _instant(text: str) -> datetime:
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    if time.tzinfo is None:
        raise ValueError(f"PROCNET_SINCE is {text!r}, without a zone; write 2026-03-01T00:00Z")
    return time
