"""A command that is killed at any point and repeated leaves the lake that it leaves when it is not killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from cli.command import procnet
from conftest import INTERPRETED
from installer_lake import EVENT_TABLES, SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.lake.coverage import coverage, joined
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.known_runs import known_runs
from procnet.runs.risk import risk_of
from procnet.runs.selection import run_fingerprints
from procnet.settings import Settings
from procnet.spark.session import SHORT_RUN
from runs.kill_points import POINTS

pytestmark = pytest.mark.spark
HERE = Path(__file__).parent
PERIOD = ("--start", "2026-03-01T12:00Z", "--end", "2026-03-01T18:00Z")
COMMANDS = {
    "ingest": ("ingest", "--source", "windows_flat", "RAW"),
    # A window of the schedule, which saves its state.
    "detect": ("detect", *PERIOD, "--set", "window.length=6h", "--set", "attribution.state_over=0s"),
    "backfill": ("backfill", *PERIOD, "--chunk", "2h", "--parallel", "2"),
    "catch-up": ("catch-up",),
    "maintain": ("maintain",),
}
# One start, one connection a quarter of an hour later, by Sysmon's own names.
RAW = """
{"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "b", "@timestamp": "2026-03-01T12:00:00Z", "ProcessId": "70", "Image": "C:\\\\msiexec.exe"}
{"EventID": 3, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "b", "@timestamp": "2026-03-01T12:15:00Z", "ProcessId": "70", "Image": "C:\\\\msiexec.exe", "DestinationIp": "203.0.113.7", "DestinationPort": "443", "Initiated": "true", "Protocol": "tcp"}
{"EventID": 3, "Channel": "no time", "Hostname": "b"}
"""  # noqa: E501


@dataclass(frozen=True)
class Drill:
    """A folder with one lake a kill point, how its command ended, and the state that each command leaves unkilled."""

    home: Path
    ended: dict[str, Future[subprocess.CompletedProcess[str]]]
    unkilled: dict[str, dict[str, Any]]  # command -> state

    def lake(self, point: str) -> Path:
        return self.home / f"{list(POINTS).index(point):02d}"


def words(lake: Path, conf: Path, command: str) -> list[str]:
    name, *more = COMMANDS[command]
    raw = str(conf.parent / "raw.jsonl")
    return [name, "--conf", str(conf), "--lake", str(lake), *(raw if w == "RAW" else w for w in more)]


def kill(point: str, lake: Path, conf: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        str(HERE / "kill_points.py"),
        point,
        str(lake),
        *words(lake, conf, point.partition(":")[0]),
    ]
    # With these variables of pyspark the child would be a client of this process's Connect server.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_CONNECT", "SPARK_LOCAL_REMOTE"))}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, start_new_session=True)


@pytest.fixture(scope="module")
def drill(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Drill]:
    home = tmp_path_factory.mktemp("killed")
    conf = home / "conf.yml"
    values = {
        "lake": "unset",
        "detections": {"enabled": [d.id for d in SELECTION.detections]},
        "maintenance": {"keep_versions": "0s", "keep_findings": "60d"},
        "spark": {
            "spark.master": "local[2]", "spark.sql.shuffle.partitions": "1", **SHORT_RUN, **INTERPRETED,
            "spark.driver.memory": "1g", "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        },
    }  # fmt: skip
    conf.write_text(yaml.safe_dump(values))
    (home / "raw.jsonl").write_text(RAW.lstrip())
    lake = new_lake(spark, home / "start")
    append_events(lake, "process_events", (0, {}))
    for hour in range(6):
        append_events(lake, "network_events", (60 * hour + 5, {}), (60 * hour + 6, {"dest_port": 8080}))
    shutil.copytree(home / "start", home / "fresh")
    backfill(lake, SELECTION, hours_window(0, 6))
    catch_up(lake, SELECTION)
    shutil.copytree(home / "start", home / "ran")
    append_events(lake, "network_events", (7, {}))
    append_events(lake, "process_events", (4 * 60, {"event_kind": "end"}))
    before = {"ingest": "ran", "detect": "fresh", "backfill": "fresh", "catch-up": "start", "maintain": "ran"}
    spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    points = [i.callspec.params["point"] for i in request.session.items if i.fspath == request.fspath]
    unkilled = {}
    for command in {p.partition(":")[0] for p in points}:
        folder = before[command]
        shutil.copytree(home / folder, home / f"unkilled-{command}")
        result = procnet(*words(home / f"unkilled-{command}", conf, command))
        assert result.code == 0, result.err
        unkilled[command] = state(spark, home / f"unkilled-{command}")
    with ThreadPoolExecutor(2) as pool:
        drill = Drill(home, {}, unkilled)
        for point in points:
            shutil.copytree(home / before[point.partition(":")[0]], drill.lake(point))
            drill.ended[point] = pool.submit(kill, point, drill.lake(point), conf)
        yield drill
    spark.conf.unset("spark.databricks.delta.retentionDurationCheck.enabled")


def state(spark: SparkSession, at: Path) -> dict[str, Any]:
    """Everything that a reader sees: events, findings, risk, and the ledger without its times. Of the checks only what
    is left to check: a repeated command checks less, since runs before the kill count."""
    lake = Lake(spark, Settings(lake=at))
    runs = [r.asDict(recursive=True) for r in lake.read("runs").where("status not like 'checked%'").collect()]
    risk = risk_of(lake, None)
    events = {t: lake.read(t).drop("ingest_time").collect() for t in EVENT_TABLES}
    return {
        "findings": all_findings(lake),
        "risk": sorted(repr(r) for frame in (risk.events, risk.incidents) for r in frame.collect()),
        "quarantine": sorted(r["raw"] for r in lake.read("quarantine").collect()),
        "ledger": {
            (r["kind"], r["window_start"], r["window_end"], r["status"], tuple(sorted(r["detections"] or {})),
             (r["counts"] or {}).get("findings"), tuple(sorted((r["inputs"] or {}).values())))
            for r in runs
        },
        "unchecked": unchecked(lake),
        **{t: sorted(map(repr, rows)) for t, rows in events.items()},
    }  # fmt: skip


def unchecked(lake: Lake) -> list[Window]:
    """The parts of the period whose findings may not be those of the newest events."""
    known = known_runs(lake)
    parts = coverage(hours_window(0, 6), known.attempts, run_fingerprints(SELECTION, lake.settings), known.now)
    return joined(p.window for p in parts if p.reason or p.versions != known.now.versions)


# `make test-long` runs these, `make test-drills` all.
OFTEN = (
    "detect: findings are committed, no ledger row", "backfill: two chunks at once, one is committed",
    "catch-up: all windows are run, no check recorded", "maintain: files are merged, no commit",
)  # fmt: skip
PARAMETERS = [pytest.param(p, marks=pytest.mark.long if p in OFTEN else pytest.mark.drill) for p in POINTS]


@pytest.mark.parametrize("point", PARAMETERS)
def test_a_killed_command_that_is_repeated_leaves_the_lake_of_one_that_was_not(
    spark: SparkSession, drill: Drill, point: str
) -> None:
    command, lake = point.partition(":")[0], drill.lake(point)
    ended = drill.ended[point].result()
    assert ended.returncode == -signal.SIGKILL, f"it was not killed there: {ended.returncode}\n{ended.stderr[-2000:]}"
    unkilled = drill.unkilled[command]
    if point != "detect: the ledger row is written":
        assert state(spark, lake) != unkilled, "there was something left to do"
    result = procnet(*words(lake, drill.home / "conf.yml", command))
    assert result.code == 0, result.err
    assert state(spark, lake) == unkilled
