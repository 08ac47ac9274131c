"""An executor dies in the middle of the join: the window is done all the same, with the findings of a calm local run.

The executors of `local-cluster` are processes of their own. Their driver is one too: this file, run as a script.
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

from procnet.demo.fleet import SOURCE, make_fleet
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import detect
from procnet.runs.ingest import ingest
from procnet.settings import AttributionSettings, Settings, default_conf_dir
from procnet.spark.session import SHORT_RUN, open_session

ROOT = Path(__file__).resolve().parents[2]
PERIOD = Window(datetime(2026, 3, 2, tzinfo=timezone.utc), datetime(2026, 3, 2, 6, tzinfo=timezone.utc))
FEW = select(load_detections(default_conf_dir() / "detections"), ["b0fd38c7", "msiexec_any_port"])
_MEETS = re.compile("by_(process_id|guid)")
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
    "spark.ui.liveUpdate.period": "0",  # what is asked about running stages is true now, not 100 ms ago
}


def findings(spark: SparkSession, lake: Path) -> list[dict[str, Any]]:
    table = Lake(spark, Settings(lake=lake)).read("findings")
    return [dict(r) for r in table.orderBy("finding_id", "detection_id").toArrow().to_pylist()]


@pytest.mark.spark
@pytest.mark.drill
@pytest.mark.classic("it is about executors, which the driver in their cluster starts and looks at in its JVM")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="executors are looked for in /proc")
def test_an_executor_killed_in_the_join_changes_no_finding(spark: SparkSession, tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path / "raw", hosts=20, hours=6, start=PERIOD.start)
    calm = tmp_path / "calm"
    ingest(spark, Settings(lake=calm), SOURCE, [str(f) for f in fleet.files], now=PERIOD.end)
    for plan in BROADCAST_LIMIT:
        shutil.copytree(calm, tmp_path / plan)
    detect(spark, Settings(lake=calm), PERIOD, FEW)
    expected = findings(spark, calm)
    assert len(expected) > 10

    done = subprocess.run(
        [sys.executable, __file__, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib")},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for plan, told in json.loads(done.stdout).items():
        assert told["plan"].startswith(plan)
        assert told["running"] > 0, f"{plan}: nothing of the join ran on the executor when it was killed: {told}"
        assert [why.split()[-1] for why in told["lost"]] == ["137"], f"{plan}: no executor was lost by a kill: {told}"
        assert told["failed_tasks"] > 0, f"{plan}: no task of the join was lost with it: {told}"
        assert findings(spark, tmp_path / plan) == expected, plan


# From here on: in the process of the cluster's driver.


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
    """One window, and an executor killed in its join."""
    settings = Settings(lake=lake, attribution=AttributionSettings(broadcast_limit=limit))
    wait_until(lambda: len(executors(spark)) == 2)
    lost = len(removed(spark))
    with ThreadPoolExecutor(1) as beside:
        window = beside.submit(detect, spark, settings, PERIOD, FEW)
        join, running = kill_one(spark, window)
        report = window.result()
    return {
        "plan": report.plan,
        "running": running,
        "lost": removed(spark)[lost:],
        "failed_tasks": sum(s.numFailedTasks for s in stages_of(spark, join)),
    }


def kill_one(spark: SparkSession, window: Future[Any]) -> tuple[int | None, int]:
    """Kill an executor while it has a task of the join; returns the join's query, and how many of its tasks ran.

    It is stopped first, and killed once the join stands still: what does not end then is its task, or waits for it.
    Without that, a stage of a few rows would as often as not be over between a look and the kill.
    """
    victim = None
    still, since = (0, 0), time.monotonic()
    try:
        while not window.done():
            join = running_join(spark)
            stages = stages_of(spark, join)
            state = (sum(s.numActiveTasks for s in stages), sum(s.numCompletedTasks for s in stages))
            if victim is None and all(state):  # some of it is done, so that results die with it, and more is to do
                victim = executors(spark)[0]
                os.kill(victim, signal.SIGSTOP)
            if state != still:
                still, since = state, time.monotonic()
            elif victim is not None and state[0] and time.monotonic() - since > 2:
                os.kill(victim, signal.SIGKILL)
                return join, state[0]
            time.sleep(0.02)
    finally:
        if victim is not None:  # never left behind asleep, whatever went wrong
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGCONT)
    return None, 0


def running_join(spark: SparkSession) -> int | None:
    """The number of the query that meets connections and processes, while it runs: known by a column of its plan."""
    told = spark._jsparkSession.sharedState().statusStore().executionsList()
    queries = (told.apply(i) for i in reversed(range(told.size())))
    running = (q for q in queries if not q.completionTime().isDefined())
    # Broadcast: connections by the candidates' ids, since the few that are left are the driver's. Shuffled: all by all.
    return next((q.executionId() for q in running if _MEETS.search(q.physicalPlanDescription())), None)


def stages_of(spark: SparkSession, query: int | None) -> list[Any]:
    """What the tracker says of each stage of a query."""
    if query is None:
        return []
    ids = spark._jsparkSession.sharedState().statusStore().execution(query).get().stages().toSeq()
    stages = (spark.sparkContext.statusTracker().getStageInfo(ids.apply(i)) for i in range(ids.size()))
    return [s for s in stages if s is not None]


def removed(spark: SparkSession) -> list[str]:
    """Why each executor that Spark has lost was lost."""
    told = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    each = [told.apply(i) for i in range(told.size())]
    return [e.removeReason().getOrElse(None) or "" for e in each if not e.isActive()]


def executors(spark: SparkSession) -> list[int]:
    """Process ids of this session's executors: by its application and its own JVM, so never those of another."""
    jvm = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    return sorted(pid for pid, parent, words in processes() if parent == jvm and is_executor(words, spark))


def is_executor(words: list[str], spark: SparkSession) -> bool:
    wanted = ("org.apache.spark.executor.CoarseGrainedExecutorBackend", spark.sparkContext.applicationId)
    return all(w in words for w in wanted)


def processes() -> Iterator[tuple[int, int, list[str]]]:
    """Process id, parent and command line of all that run."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended meanwhile
            continue
        yield int(folder.name), int(parent), words


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not so after {seconds} s: {true}")
        time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
