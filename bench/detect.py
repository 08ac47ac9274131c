"""One hour of detection against the bare scan of the rows it must read, on the demo's fleet: `make bench`.

Rounds are interleaved and the medians and ratios are what counts; machines differ, and so do minutes on one machine.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from fleet import ingested, options
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.runs.detect import detect
from procnet.runs.find import between


def main() -> None:
    args = options(__doc__)
    with ingested(args) as (spark, settings, window):
        lake = Lake(spark, settings)
        detections = select(load_detections(settings.detections_folder), list(settings.detections.enabled))

        def scan() -> None:
            processes = between(lake.read("process_events"), window.start - timedelta(hours=24), window.end)
            processes.selectExpr(
                "max(process_name)", "max(original_file_name)", "max(process_id)", "max(host)"
            ).collect()
            connections = between(lake.read("network_events"), window.start, window.end)
            connections.selectExpr("max(dest_port)", "max(process_id)", "max(host)", "max(process_guid)").collect()

        steps: dict[str, Callable[[], object]] = {
            "bare scan": scan,
            "detect, one hour": lambda: detect(spark, settings, window, detections),
        }
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for turn in range(args.rounds + 1):
            for name, step in steps.items():
                mark = time.monotonic()
                step()
                if turn:  # the first round warms up
                    seconds[name].append(time.monotonic() - mark)
        day = f"{datetime.now(timezone.utc):%Y-%m-%d}"
        print(f"{day}, {platform.machine()}, {args.hosts} hosts, {args.hours} h, {args.rounds} warm rounds")
        floor = statistics.median(seconds["bare scan"])
        for name, took in seconds.items():
            middle = statistics.median(took)
            print(
                f"{name:18} median {middle:.2f} s, {min(took):.2f} to {max(took):.2f}, {middle / floor:.1f} x the scan"
            )


if __name__ == "__main__":
    main()
