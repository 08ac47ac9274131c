"""All shipped detections against one, over the same window of the demo's fleet: time, Spark jobs and scans.

Rounds are interleaved; the ratio of the medians is what counts.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from pyspark.sql import SparkSession

from fleet import ingested, options
from procnet.detections.catalog import load_detections, select
from procnet.detections.detection import Detection
from procnet.lake.tables import Lake
from procnet.runs.detect import detect
from procnet.runs.find import find
from procnet.settings import Settings
from procnet.types import Window


def main() -> None:
    args = options(__doc__)
    with ingested(args) as (spark, settings, window):
        known = load_detections(settings.detections_folder)
        day = tuple(d for d in known if d.lookback == timedelta(hours=24))
        groups: dict[str, Sequence[Detection]] = {
            "one": select(known, list(settings.detections.enabled)),
            f"{len(day)} of one lookback": day,
            f"all {len(known)}": known,
        }
        seconds: dict[str, list[float]] = {name: [] for name in groups}
        jobs: dict[str, int] = {}
        for turn in range(args.rounds + 1):
            for name, detections in groups.items():
                spark.sparkContext.setJobGroup(f"{name} {turn}", name)
                mark = time.monotonic()
                detect(spark, settings, window, detections)
                if turn:  # the first round warms up
                    seconds[name].append(time.monotonic() - mark)
                jobs[name] = len(spark.sparkContext.statusTracker().getJobIdsForGroup(f"{name} {turn}"))
        print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {platform.machine()}, {args.hosts} hosts, {args.hours} h")
        one = statistics.median(seconds["one"])
        for name, detections in groups.items():
            middle, scans = statistics.median(seconds[name]), _scans(spark, settings, window, detections)
            print(f"{name:22} median {middle:.2f} s, {middle / one:.2f} x one; {jobs[name]} jobs; file scans: {scans}")


def _scans(spark: SparkSession, settings: Settings, window: Window, detections: Sequence[Detection]) -> str:
    """How often the final plan of the findings reads each table."""
    lake = Lake(spark, settings)
    found = find(lake.read("process_events"), lake.read("network_events"), detections, window, settings).findings
    if found is None:
        return "none: nothing to ask"
    found.collect()
    plan = str(found._jdf.queryExecution().executedPlan().toString()).split("== Initial Plan ==")[0]
    return ", ".join(f"{t} {plan.count(f'/{t}]')}" for t in ("process_events", "network_events"))


if __name__ == "__main__":
    main()
