"""procnet's commands as Airflow DAGs: each run is one window, here, by spark-submit, or as a job of Databricks.

Nothing of procnet is imported: Airflow's environment need not have it, and must not share one with pyspark (Airflow's
Spark provider brings pyspark-client, which writes over pyspark).
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

# What procnet ends with, as `procnet --help` says it.
MEANINGS = {
    2: "usage or configuration",
    3: "the data breaks the contract",
    4: "the window failed and may be retried",
    5: "partly done; the text says what goes on",
}
MAY_BE_RETRIED = 4

# procnet's errors, by which a job of Databricks tells what an exit code tells elsewhere.
ERRORS = {
    "UsageError": 2,
    "ConfigError": 2,
    "DetectionError": 2,
    "ExclusionError": 2,
    "SourceError": 2,
    "SessionError": 2,
    "DataError": 3,
    "WindowFailed": 4,
    "PartlyDone": 5,
}


@dataclass(frozen=True)
class Setup:
    """Where procnet runs and with what; the defaults serve a worker that has `procnet` on its PATH."""

    runs_on: str = "local"  # or spark, databricks
    program: str = "procnet"  # local: the command
    jobs: str = "jobs"  # spark: folder or address that holds detect.py
    options: tuple[str, ...] = ()  # local, spark: of every command, such as --conf FILE
    delay: timedelta = timedelta(minutes=10)  # after the end of a window, for its events to arrive; as window.delay
    since: datetime | None = None  # first window that must be evaluated; from there on none is left out
    retry_delay: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        if self.runs_on not in OPERATORS:
            raise ValueError(f"PROCNET_RUNS_ON is {self.runs_on!r}; it must be one of {', '.join(OPERATORS)}")
        if self.options and self.runs_on == "databricks":
            raise ValueError("PROCNET_OPTIONS has no use on databricks: the options stand in the job there")

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Setup:
        """The setup that the variables PROCNET_... of Airflow's environment ask for; ValueError says which is wrong."""
        given: dict[str, Any] = {k: env[n] for k, n in _VARIABLES.items() if env.get(n)}
        if "options" in given:
            given["options"] = tuple(shlex.split(given["options"]))
        if "delay" in given:
            given["delay"] = timedelta(minutes=float(given["delay"]))
        if "since" in given:
            given["since"] = _instant(given["since"])
        return cls(**given)


_VARIABLES = {
    "runs_on": "PROCNET_RUNS_ON",
    "program": "PROCNET_PROGRAM",
    "jobs": "PROCNET_JOBS",
    "options": "PROCNET_OPTIONS",
    "delay": "PROCNET_DELAY_MINUTES",
    "since": "PROCNET_SINCE",
}


def scheduled(command: str, schedule: Any, setup: Setup, *, windowed: bool = True) -> DAG:
    """The DAG that runs `procnet COMMAND` by `schedule`: a cron line in UTC, or a timetable.

    A windowed command is given the run's interval as its window, once `setup.delay` has passed since its end. Another
    one is run as it is, when its time has come; what was missed is left out, since one run does the work of all.
    """
    if isinstance(schedule, str):
        # A plain cron line would be a CronTriggerTimetable in Airflow 3: its intervals have no length.
        timetable = CronDataIntervalTimetable if windowed else CronTriggerTimetable
        schedule = timetable(schedule, timezone="UTC")
    since = setup.since if windowed else None
    with DAG(
        dag_id=f"procnet_{command.replace('-', '_')}",
        schedule=schedule,
        start_date=since,
        catchup=since is not None,
        max_active_runs=1,  # never beside itself; after an outage hour by hour; a backfill says its own number
        default_args={"retries": 3, "retry_delay": setup.retry_delay},
        tags=["procnet"],
    ) as dag:
        run = OPERATORS[setup.runs_on](command, setup, windowed)
        if windowed:
            # The check comes here too, so that nobody waits for the refusal.
            arrived = TimeDeltaSensor(
                task_id="arrived", delta=setup.delay, mode="reschedule", poke_interval=60, pre_execute=window_of
            )
            arrived >> run
    return dag


def window(
    start: datetime | None, end: datetime | None, timetable: str, dated: datetime | None = None
) -> dict[str, str]:
    """The window [start, end) of a run's interval, as procnet takes times; refused where it has no length.

    `dated` is the run's logical date. A run triggered by hand for a past date is given the last interval before now, in
    Airflow 3: evaluating that would look as if the past hour were done.
    """
    if start is None or end is None:
        raise AirflowFailException(
            f"this run has no data interval, so no window (timetable {timetable})\n"
            "  next: airflow backfill create, for the hours that are meant"
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
            "  next: delete this run, then airflow backfill create for the hours that are meant"
        )
    return {"start": _spelled(start), "end": _spelled(end)}


def arguments(period: Mapping[str, str]) -> list[str]:
    """`--start T --end T`, word by word; no shell reads them."""
    return [word for name, value in period.items() for word in (f"--{name}", value)]


def failure(code: int | None, told: str) -> AirflowException:
    """What a run that went wrong is raised as: a window that failed is tried again, all else fails at once."""
    if code is None:
        return AirflowFailException(f"procnet ended with an exit code that is not told:\n{told}")
    kind = AirflowException if code == MAY_BE_RETRIED else AirflowFailException
    return kind(f"procnet ended with exit code {code} ({MEANINGS.get(code, 'none of its own')}):\n{told}")


def window_of(context: Any) -> dict[str, str]:
    """The window of the run that Airflow describes."""
    start, end, dated = (context.get(k) for k in ("data_interval_start", "data_interval_end", "logical_date"))
    return window(start, end, type(context["dag"].timetable).__name__, dated)


class LocalCommand(BaseOperator):
    """A command of procnet as a child of the worker: its lines go to the task's log, its exit code judges the task."""

    def __init__(self, *, words: Sequence[str], windowed: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = list(words)
        self.windowed = windowed
        self._child: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> None:
        """Run the command to its end; raises what `failure` says of its exit code."""
        words = [*self.words, *(arguments(window_of(context)) if self.windowed else [])]
        self.log.info("%s", shlex.join(words))
        last: deque[str] = deque(maxlen=30)
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
            assert child.stdout is not None, "it was asked for"
            for line in child.stdout:
                last.append(line.rstrip())
                self.log.info("%s", last[-1])
        if child.returncode:
            raise failure(child.returncode, "\n".join(last))

    def on_kill(self) -> None:
        """A window that is stopped is not recorded as done; the next run of it replaces what there is."""
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
            _judged(super().execute, context, spark_exit_code)

    application = f"{setup.jobs}/{command.replace('-', '_')}.py"
    # Durable, a task that is cleared would find its finished job again and evaluate nothing.
    return Submitted(task_id=_task_id(command), application=application, name=f"procnet {command}", durable=False)


def _databricks(command: str, setup: Setup, windowed: bool) -> BaseOperator:
    from airflow.providers.databricks.operators.databricks import DatabricksRunNowOperator

    class RunNow(DatabricksRunNowOperator):
        def execute(self, context: Any) -> None:
            self.job_parameters = window_of(context) if windowed else None
            _judged(super().execute, context, databricks_exit_code)

    return RunNow(task_id=_task_id(command), job_name=f"procnet {command}", durable=False)


OPERATORS: dict[str, Callable[[str, Setup, bool], BaseOperator]] = {
    "local": _local,
    "spark": _spark,
    "databricks": _databricks,
}


def spark_exit_code(said: str) -> int | None:
    """The code in the provider's error. In client mode it is procnet's own; in cluster mode most masters say 1."""
    code = re.search(r"\. Error code is: (\d+)\.(?: Kubernetes spark exit code is: (\d+))?", said)
    return int(code[2] or code[1]) if code else None


def databricks_exit_code(said: str) -> int | None:
    """The code of the error that the task ended with. A wheel task has none of its own: the bundle's jobs raise."""
    error = re.search(rf"\b({'|'.join(ERRORS)})\b", said)
    return ERRORS[error[1]] if error else None


def _judged(execute: Callable[[Any], Any], context: Any, exit_code: Callable[[str], int | None]) -> None:
    try:
        execute(context)
    except AirflowException as e:
        raise failure(exit_code(str(e)), str(e)) from e


def _task_id(command: str) -> str:
    return command.replace("-", "_")


def _spelled(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat()


def _instant(text: str) -> datetime:
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z
    if time.tzinfo is None:
        raise ValueError(f"PROCNET_SINCE is {text!r}, without a zone; write 2026-03-01T00:00Z")
    return time
