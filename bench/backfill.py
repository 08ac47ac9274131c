"""Backfill of a generated fleet in chunks of several sizes and one by one or two at once, against single hours.

All must return the same findings; it ends with an error where they differ. One round, since each takes minutes:
compare the ratios.
"""

from __future__ import annotations

import hashlib
import platform
import time
from argparse import ArgumentParser, Namespace
from datetime import datetime, timedelta, timezone
from typing import Any

import procnet
from bench.session import temporary_lakes
from procnet.cli.output import json_line, print_message
from procnet.demo.fleet import SOURCE, make_fleet
from procnet.detections.catalog import load_detections, select
from procnet.errors import ProcnetError
from procnet.lake.tables import Lake
from procnet.periods import Window, format_duration
from procnet.runs.ingest import ingest
from procnet.spark.filters import in_period

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Days a chunk and chunks at once. The first warms the session up and is printed as cold.
RUNS = ((7, 1), (1, 1), (7, 1), (7, 2), (30, 1))


def add_options(parser: ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--hosts", type=int, default=200, help="of the fleet (default: 200)")
    parser.add_argument("--hours", type=int, default=48, help="of the fleet's records (default: 48)")


def run(args: Namespace) -> dict[str, Any]:
    """Measure as the options say, print each run, and return the figures."""
    with temporary_lakes(args) as (spark, settings, folder):
        lake = Lake(spark, settings)
        fleet = make_fleet(folder / "raw", hosts=args.hosts, hours=args.hours, seed=7)
        ingest(lake, SOURCE, fleet.files, now=datetime.now(timezone.utc))
        rows = {t: lake.read(t).count() for t in ("process_events", "network_events")}
        print_message(
            f"{datetime.now(timezone.utc):%Y-%m-%d}, {platform.machine()}, {args.hosts} hosts, {args.hours} h, {rows}"
        )
        return {"hosts": args.hosts, "hours": args.hours, "rows": rows, "runs": measure(lake, fleet.start, fleet.end)}


def measure(lake: Lake, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Seconds and digest of the findings of every run over the period. ProcnetError where the findings differ."""
    detections = select(load_detections(lake.settings.detections_folder), list(lake.settings.detections.enabled))
    period = Window(start, end)
    week = Window(start, min(end, start + 7 * DAY))
    runs: list[dict[str, Any]] = []
    of_period, of_week = set(), set()
    for days, parallel in RUNS:
        delete_findings(lake)
        started = time.monotonic()
        report = procnet.backfill(
            lake.spark, lake.settings, period, detections, chunk=timedelta(days=days), parallel=parallel
        )
        seconds, digest = time.monotonic() - started, findings_digest(lake, period)
        of_period.add(digest)
        of_week.add(findings_digest(lake, week))
        name = f"chunks of {format_duration(timedelta(days=days))}, {parallel} at once{'' if runs else ' (cold)'}"
        runs.append({"run": name, "windows": len(report.reports), "seconds": seconds, "findings": digest[0]})
        print_message(
            f"{name}: {len(report.reports)} chunks, {seconds:.1f} s, {digest[0]} findings, sha256 {digest[1]}"
        )
    delete_findings(lake)
    hours = week.chunks(HOUR)
    started = time.monotonic()
    for hour in hours:
        procnet.detect(lake.spark, lake.settings, hour, detections)
    seconds, digest = time.monotonic() - started, findings_digest(lake, week)
    runs.append({"run": "hours one by one", "windows": len(hours), "seconds": seconds, "findings": digest[0]})
    print_message(f"{len(hours)} hours one by one: {seconds:.1f} s, {digest[0]} findings, sha256 {digest[1]}")
    if len(of_period) > 1 or of_week != {digest}:
        raise ProcnetError("the findings depend on how the period is cut", hint="compare the digests above")
    return runs


def findings_digest(lake: Lake, period: Window) -> tuple[int, str]:
    """Number of findings in the period, and 16 hex digits of the SHA-256 of their JSON lines."""
    rows = lake.read("findings").where(in_period(period.start, period.end, "finding_date"))
    lines = [json_line(r.asDict(recursive=True)) for r in rows.orderBy("event_time", "finding_id").collect()]
    return len(lines), hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def delete_findings(lake: Lake) -> None:
    """Delete all findings and runs, so that every window is evaluated again."""
    for table in ("findings", "runs"):
        lake.spark.sql(f"DELETE FROM {lake.ref(table)}")
