"""Times `detect` of the benchmark's small hour over an S3 service on this machine and over a folder, in turn.

`make measure-object-store` runs it. Prints the median seconds of three rounds after one that warms up, and the requests
of each round.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from bench.lake_shapes import SIZES
from bench.synthetic_lake import write_lake
from installer_lake import SELECTION
from object_store.jars import connector_jars
from object_store.proxy import Proxy
from object_store.service import connection, s3_service
from procnet.lake.tables import Lake
from procnet.runs.detect import detect
from procnet.settings import Settings
from procnet.spark.session import open_session

ROUNDS = 3


def main() -> None:
    size = SIZES["small"]
    with s3_service() as port, tempfile.TemporaryDirectory() as folder:
        proxy = Proxy(port)
        jars = {"spark.driver.extraClassPath": os.pathsep.join(map(str, connector_jars()))}
        spark = open_session({**jars, **connection(proxy.port)}, lake=Path(folder))
        places: dict[str, Path | str] = {"folder": Path(folder) / "lake", "s3a": "s3a://bucket/measured"}
        lakes = {n: Lake(spark, Settings(lake=p, s3_commits="one writer only")) for n, p in places.items()}
        for lake in lakes.values():
            lake.create()
            write_lake(lake, size)
        seconds: dict[str, list[float]] = {n: [] for n in lakes}
        requests = []
        for _ in range(ROUNDS + 1):
            for name, lake in lakes.items():
                proxy.count()
                begun = time.monotonic()
                report = detect(lake, SELECTION, size.last_hour)
                seconds[name].append(time.monotonic() - begun)
                if name == "s3a":
                    requests.append(proxy.count())
        rows = lakes["s3a"].read("network_events").count()
        spark.stop()
        proxy.close()
    medians = {name: round(statistics.median(s[1:]), 2) for name, s in seconds.items()}
    print(f"{rows} connections, {report.counts['findings']} findings, {medians} s, {requests} requests")  # noqa: T201


if __name__ == "__main__":
    main()
