"""Months of the demo's fleet by chunks of several sizes, one by one and two at once, against the hours of one week.

The findings of each must be the same; it ends with an error where they are not. One round, since each takes minutes:
compare the ratios.
"""

from __future__ import annotations

import hashlib
import platform
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from fleet import ingested, options
from procnet.cli.output import json_line
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.periods import Window, format_duration
from procnet.runs.backfill import backfill
from procnet.runs.detect import detect
from procnet.spark.filters import in_period

RUNS: tuple[Mapping[str, int], ...] = (
    {"days": 7, "parallel": 1},  # warms the session up, and is told of as such
    {"days": 1, "parallel": 1},
    {"days": 7, "parallel": 1},
    {"days": 7, "parallel": 2},
    {"days": 30, "parallel": 1},
)


def main() -> None:
    args = options(__doc__)
    with ingested(args) as (spark, settings, last):
        lake = Lake(spark, settings)
        detections = select(load_detections(settings.detections_folder), list(settings.detections.enabled))
        period = Window(last.end - timedelta(hours=args.hours), last.end)
        week = Window(period.start, period.start + timedelta(days=7)) if args.hours > 168 else period

        def digest(of: Window) -> tuple[int, str]:
            rows = lake.read("findings").where(in_period(of.start, of.end, "finding_date"))
            told = [json_line(r.asDict(recursive=True)) for r in rows.orderBy("event_time", "finding_id").collect()]
            return len(told), hashlib.sha256("".join(told).encode()).hexdigest()[:16]

        def anew() -> None:
            for table in ("findings", "runs"):
                spark.sql(f"DELETE FROM {lake.ref(table)}")

        day = f"{datetime.now(timezone.utc):%Y-%m-%d}"
        rows = {t: lake.read(t).count() for t in ("process_events", "network_events")}
        print(f"{day}, {platform.machine()}, {args.hosts} hosts, {args.hours} h, {rows}")
        of_all, of_week = set(), set()
        for i, run in enumerate(RUNS):
            anew()
            mark = time.monotonic()
            done = backfill(
                spark, settings, period, detections, chunk=timedelta(days=run["days"]), parallel=run["parallel"]
            )
            took, told = time.monotonic() - mark, digest(period)
            of_all.add(told)
            of_week.add(digest(week))
            size = format_duration(timedelta(days=run["days"]))
            print(
                f"chunks of {size:3} {run['parallel']} at once{' (cold)' if i == 0 else ''}: "
                f"{len(done.reports)} chunks, {took:.1f} s, {told[0]} findings, sha256 {told[1]}"
            )
        anew()
        hours = week.chunks(timedelta(hours=1))
        mark = time.monotonic()
        for hour in hours:
            detect(spark, settings, hour, detections)
        took, told = time.monotonic() - mark, digest(week)
        print(f"{len(hours)} hours one by one: {took:.1f} s, {told[0]} findings, sha256 {told[1]}; week {of_week}")
        if len(of_all) > 1 or of_week != {told}:
            sys.exit("OTHER findings: this is a bug")


if __name__ == "__main__":
    main()
