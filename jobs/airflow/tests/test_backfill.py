"""Past hours by `airflow backfill create`, run by a real scheduler, since only a scheduler executes a backfill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import CALLS, airflow, calls


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def _scheduler(database: None, tmp_path: Path) -> Iterator[None]:
    """Starts the scheduler, and the API server that its tasks call."""
    port = free_port()
    env = os.environ | {
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "2",  # else 32 workers
        "AIRFLOW__API_AUTH__JWT_SECRET": "the same secret for both processes",
        "PROCNET_PROGRAM": os.environ["CASES_PROGRAM"],
    }
    with ExitStack() as ends:
        for words in (["api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"], ["scheduler"]):
            log = ends.enter_context((tmp_path / f"{words[0]}.log").open("w"))
            part = subprocess.Popen([sys.executable, "-m", "airflow", *words], env=env, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log, start_new_session=True)  # fmt: skip
            ends.callback(part.wait)
            ends.callback(os.killpg, part.pid, signal.SIGKILL)
        yield


@pytest.mark.usefixtures("_scheduler")
def test_a_backfill_evaluates_each_hour_once_and_in_its_turn(tmp_path: Path) -> None:
    calls()
    assert airflow("dags", "reserialize").returncode == 0
    assert airflow("dags", "unpause", "procnet_detect").returncode == 0, "runs of a paused DAG wait"
    made = airflow("backfill", "create", "--dag-id", "procnet_detect", "--from-date", "2026-02-01T00:00Z",
                   "--to-date", "2026-02-01T02:00Z", "--max-active-runs", "1")  # fmt: skip
    assert made.returncode == 0, made.stdout
    period = [f"2026-02-01T0{h}:00:00+00:00" for h in range(4)]
    wanted = [["detect", "--start", a, "--end", b] for a, b in pairwise(period)]
    begun = time.monotonic()
    while time.monotonic() - begun < 300 and not (CALLS.exists() and period[3] in CALLS.read_text()):
        time.sleep(1)
    # Beside them comes the scheduled run, of the last complete hour.
    ran = [words for words in calls() if words[2].startswith("2026-02-01")]
    assert ran == wanted, "\n".join(f.read_text()[-3000:] for f in tmp_path.glob("*.log"))
