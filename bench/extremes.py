"""Inputs that must not fail: one key with very many starts, very many candidates, and a month in one window.

The findings of the first two are compared with their arithmetic, and it ends with an error where they differ. Set the
heap: `--set spark.spark.driver.memory=2g`. Seconds are of one run in a cold session: what counts is that it ends, and
by which plan.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from bench.session import temporary_lakes
from bench.synthetic_lake import END, Size, select_columns, write_lake
from bench.window import ONE_DETECTION
from procnet.cli.output import print_message
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.catalog import load_detections, select
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.errors import ProcnetError
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def add_options(parser: ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--starts", type=int, default=500_000, help="starts on the one key (default: 500000)")
    parser.add_argument("--candidates", type=int, default=10_000_000, help="starts of candidates (default: 10000000)")


def run(args: Namespace) -> dict[str, Any]:
    """Measure as the options say, print each input, and return the figures."""
    with temporary_lakes(args) as (spark, settings, folder):
        heap = spark.conf.get("spark.driver.memory")
        print_message(f"{datetime.now(timezone.utc):%Y-%m-%d}, heap {heap}")
        return {"heap": heap, "inputs": measure(spark, settings, folder, args.starts, args.candidates)}


def measure(
    spark: SparkSession, settings: Settings, folder: Path, starts: int, candidates: int
) -> list[dict[str, Any]]:
    """Findings, seconds and plan of each input, in new lakes below `folder`."""

    def new_lake(name: str) -> Lake:
        return Lake(spark, settings.model_copy(update={"lake": folder / name}))

    day = Window(NOON, NOON + DAY + timedelta(minutes=1))
    lake = new_lake("key")
    expected = write_installer_starts(lake, 1, starts)
    results = [evaluate_and_count(lake, day, f"one key with {starts:,} starts", expected)]
    lake = new_lake("candidates")
    expected = write_installer_starts(lake, 20_000, candidates)
    results.append(evaluate_and_count(lake, day, f"{candidates:,} candidates", expected))
    lake = new_lake("month")
    write_lake(lake, Size(hosts=20, hours=31 * 24, connected=30 * 24, connections=250))
    rows = {t: lake.read(t).count() for t in ("process_events", "network_events")}
    return [*results, evaluate_and_count(lake, Window(END - 30 * DAY, END), f"a month in one window, {rows}", None)]


def write_installer_starts(lake: Lake, hosts: int, starts: int) -> int:
    """Write `starts` starts of msiexec within a day, spread over hosts, all of a host's on one process id, and one
    connection a millisecond after every fifth start of a host. Returns the number of connections: each is a finding."""
    lake.create()
    step = f"86400000000L DIV {-(-starts // hosts)}"
    micros = f"{int(NOON.timestamp())}000000L + (id DIV {hosts}) * {step}"
    key = {"host": f"'h' || pmod(id, {hosts})", "process_id": "8"}
    start = {"event_time": f"timestamp_micros({micros})", "event_kind": "'start'", "process_name": "'msiexec.exe'"}
    connection = {"event_time": f"timestamp_micros({micros} + 1000)", "dest_port": "443", "dest_ip": "'203.0.113.7'"}
    ids = lake.spark.range(starts)
    connected = ids.where(f"pmod(id DIV {hosts}, 5) = 0")
    lake.append("process_events", select_columns(ids, PROCESS_EVENTS, {**key, **start}))
    lake.append("network_events", select_columns(connected, NETWORK_EVENTS, {**key, **connection}))
    return connected.count()


def evaluate_and_count(lake: Lake, window: Window, name: str, expected: int | None) -> dict[str, Any]:
    """Findings, seconds and plan of the one detection over the window; nothing is written. ProcnetError where
    `expected` is another number of findings."""
    one = select(load_detections(lake.settings.detections_folder), [ONE_DETECTION])
    started = time.monotonic()
    evaluation = evaluate(Query(lake.read("process_events"), lake.read("network_events"), one, window, lake.settings))
    count = 0 if evaluation.findings is None else evaluation.findings.count()
    seconds = time.monotonic() - started
    print_message(f"{name}: {count:,} findings, {seconds:.1f} s, {evaluation.plan}: {evaluation.reason}")
    if expected not in (None, count):
        raise ProcnetError(f"{name}: {count:,} findings where {expected:,} must be found")
    return {"input": name, "findings": count, "seconds": seconds, "plan": evaluation.plan, "reason": evaluation.reason}
