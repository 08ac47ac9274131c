"""An executor that is killed in the middle of the join changes no finding of the window.

The executors of `local-cluster` are processes. Their driver is a process too: this file, run as a script.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark.sql import SparkSession

from installer_lake import all_findings
from procnet.demo.fleet import SOURCE, make_fleet
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import detect
from procnet.runs.ingest import ingest
from procnet.runs.selection import Selection
from procnet.settings import AttributionSettings, Settings, default_conf_dir
from procnet.spark.session import SHORT_RUN, open_session

ROOT = Path(__file__).resolve().parents[2]
PERIOD = Window(datetime(2026, 3, 2, tzinfo=timezone.utc), datetime(2026, 3, 2, 6, tzinfo=timezone.utc))
SELECTION = Selection(select(load_detections(default_conf_dir() / "detections"), ["b0fd38c7", "msiexec_any_port"]))
_JOIN = re.compile("by_(process_id|guid)")
BROADCAST_LIMIT = {"broadcast": 1_000_000, "shuffled": 0}

CLUSTER = {
    **SHORT_RUN,
    "spark.executor.extraJavaOptions": SHORT_RUN["spark.driver.extraJavaOptions"],
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",  # as in conftest.py: to compile plans of a few rows takes longest
    "spark.sql.codegen.wholeStage": "false",
    "spark.master": "local-cluster[2,1,1024]",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "4",
    # Tables of a few rows: so that each stage has a task for either executor.
    "spark.sql.adaptive.coalescePartitions.enabled": "false",
    "spark.sql.files.maxPartitionBytes": "32k",
    "spark.ui.liveUpdate.period": "0",  # the status of running stages is current, not 100 ms old
}


@pytest.mark.spark
@pytest.mark.drill
@pytest.mark.classic("it is about executors, which the driver in their cluster starts and looks at in its JVM")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="executors are looked for in /proc")
def test_an_executor_killed_in_the_join_changes_no_finding(spark: SparkSession, tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path / "raw", hosts=20, hours=6, start=PERIOD.start)
    calm = Lake(spark, Settings(lake=tmp_path / "calm"))
    ingest(calm, SOURCE, [str(f) for f in fleet.files], now=PERIOD.end)
    for plan in BROADCAST_LIMIT:
        shutil.copytree(tmp_path / "calm", tmp_path / plan)
    detect(calm, SELECTION, PERIOD)
    expected = all_findings(calm)
    assert len(expected) > 10

    done = subprocess.run(
        [sys.executable, __file__, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "lib"), str(ROOT / "tests")))},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for plan, outcome in json.loads(done.stdout).items():
        assert outcome["plan"].startswith(plan)
        assert outcome["running"] > 0, f"{plan}: nothing of the join ran on the executor when it was killed: {outcome}"
        assert [why.split()[-1] for why in outcome["lost"]] == ["137"], (
            f"{plan}: no executor was lost by a kill: {outcome}"
        )
        assert outcome["failed_tasks"] > 0, f"{plan}: no task of the join was lost with it: {outcome}"
        assert all_findings(Lake(spark, Settings(lake=tmp_path / plan))) == expected, plan


# The functions below run in the process of the cluster's driver.


def main(folder: Path) -> None:
    spark = open_session(CLUSTER, lake=folder, app="procnet executor killed")
    app = spark.sparkContext.applicationId
    try:
        print(json.dumps({plan: run(spark, folder / plan, limit) for plan, limit in BROADCAST_LIMIT.items()}))  # noqa: T201
    finally:
        spark.stop()
        # Its workers keep jars and logs in Spark's own folder, and have no setting for another.
        shutil.rmtree(Path(pyspark.__file__).parent / "work" / app, ignore_errors=True)


def run(spark: SparkSession, lake: Path, limit: int) -> dict[str, Any]:
    """Evaluates the window and kills an executor in its join; returns what the test checks."""
    settings = Settings(lake=lake, attribution=AttributionSettings(broadcast_limit=limit))
    wait_until(lambda: len(executors(spark)) == 2)
    lost = len(removed(spark))
    with ThreadPoolExecutor(1) as pool:
        window = pool.submit(detect, Lake(spark, settings), SELECTION, PERIOD)
        join, running = kill_one(spark, window)
        report = window.result()
    return {
        "plan": report.plan,
        "running": running,
        "lost": removed(spark)[lost:],
        "failed_tasks": sum(s.numFailedTasks for s in stages_of(spark, join)),
    }


def kill_one(spark: SparkSession, window: Future[Any]) -> tuple[int | None, int]:
    """Kills an executor while it runs a task of the join; returns the join's query, and how many of its tasks ran.

    The executor is stopped first, and killed once the join makes no progress: the tasks that do not end are its own or
    wait for them. Without that, a stage of a few rows would often end between the check and the kill.
    """
    victim = None
    still, since = (0, 0), time.monotonic()
    try:
        while not window.done():
            join = running_join(spark)
            stages = stages_of(spark, join)
            state = (sum(s.numActiveTasks for s in stages), sum(s.numCompletedTasks for s in stages))
            if victim is None and all(state):  # results are lost with it, and tasks are left
                victim = executors(spark)[0]
                os.kill(victim, signal.SIGSTOP)
            if state != still:
                still, since = state, time.monotonic()
            elif victim is not None and state[0] and time.monotonic() - since > 2:
                os.kill(victim, signal.SIGKILL)
                return join, state[0]
            time.sleep(0.02)
    finally:
        if victim is not None:  # never left stopped
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGCONT)
    return None, 0


def running_join(spark: SparkSession) -> int | None:
    """Returns the id of the query that joins connections and processes, while it runs, by a column of its plan."""
    executions = spark._jsparkSession.sharedState().statusStore().executionsList()
    queries = (executions.apply(i) for i in reversed(range(executions.size())))
    running = (q for q in queries if not q.completionTime().isDefined())
    # `broadcast` joins connections with the candidates' ids, and the driver has the other rows; `shuffled` joins all.
    return next((q.executionId() for q in running if _JOIN.search(q.physicalPlanDescription())), None)


def stages_of(spark: SparkSession, query: int | None) -> list[Any]:
    """Returns the status of each stage of a query."""
    if query is None:
        return []
    ids = spark._jsparkSession.sharedState().statusStore().execution(query).get().stages().toSeq()
    stages = (spark.sparkContext.statusTracker().getStageInfo(ids.apply(i)) for i in range(ids.size()))
    return [s for s in stages if s is not None]


def removed(spark: SparkSession) -> list[str]:
    """Returns the reason of each lost executor."""
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    each = [executors.apply(i) for i in range(executors.size())]
    return [e.removeReason().getOrElse(None) or "" for e in each if not e.isActive()]


def executors(spark: SparkSession) -> list[int]:
    """Returns the process ids of this session's executors, by its application id and JVM."""
    jvm = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    return sorted(pid for pid, parent, words in processes() if parent == jvm and is_executor(words, spark))


def is_executor(words: list[str], spark: SparkSession) -> bool:
    wanted = ("org.apache.spark.executor.CoarseGrainedExecutorBackend", spark.sparkContext.applicationId)
    return all(w in words for w in wanted)


def processes() -> Iterator[tuple[int, int, list[str]]]:
    """Yields process id, parent and command line of every process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
        yield int(folder.name), int(parent), words


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not true after {seconds} s: {condition}")
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
