"""What must be survived: one key with very many starts, very many candidates, and a month in one window.

The first two are compared with what arithmetic says of them, and end with an error where they differ. Give the heap:
`--memory 2g`. Seconds are of one run in a young session: it is survival that is asked here, and which plan it took.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from procnet.bench.lake import END, Size, write_lake
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.catalog import load_detections, select
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.settings import Settings, load_settings
from procnet.spark.session import open_session

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MSIEXEC = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"


def shaped(rows: DataFrame, schema: T.StructType, values: dict[str, str]) -> DataFrame:
    """Columns of the schema: the values said, else null."""
    values = {**values, "event_date": f"CAST({values['event_time']} AS date)"}
    return rows.selectExpr(
        *[f"CAST({values.get(f.name, 'NULL')} AS {f.dataType.simpleString()}) AS {f.name}" for f in schema]
    )


def made(spark: SparkSession, settings: Settings, hosts: int, starts: int) -> tuple[Lake, int]:
    """`starts` starts of msiexec within a day, dealt out to hosts, each host's on one process id; after every fifth
    of a host's starts one connection, a millisecond later. Also how many connections there are, each a finding."""
    lake = Lake(spark, settings)
    lake.create()
    at = f"timestamp_micros({int(NOON.timestamp())}000000L + (id DIV {hosts}) * 86400000000L DIV {-(-starts // hosts)}"
    key = {"host": f"'h' || pmod(id, {hosts})", "process_id": "8"}
    start = {**key, "event_time": f"{at})", "event_kind": "'start'", "process_name": "'msiexec.exe'"}
    call = {**key, "event_time": f"{at} + 1000)", "dest_port": "443", "dest_ip": "'203.0.113.7'"}
    lake.append("process_events", shaped(spark.range(starts), PROCESS_EVENTS, start))
    calls = spark.range(starts).where(f"pmod(id DIV {hosts}, 5) = 0")
    lake.append("network_events", shaped(calls, NETWORK_EVENTS, call))
    return lake, calls.count()


def ask(lake: Lake, window: Window, what: str, expected: int | None = None) -> None:
    """Count the findings, which are written nowhere."""
    one = select(load_detections(lake.settings.detections_folder), [MSIEXEC])
    mark = time.monotonic()
    found = evaluate(Query(lake.read("process_events"), lake.read("network_events"), one, window, lake.settings))
    count = 0 if found.findings is None else found.findings.count()
    took = time.monotonic() - mark
    print(f"{what}: {count:,} findings, {took:.1f} s, {found.plan}", flush=True)
    if expected is not None and count != expected:
        raise SystemExit(f"{what}: {expected:,} findings were to be found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", default="2g")
    parser.add_argument("--starts", type=int, default=500_000, help="of the one key")
    parser.add_argument("--candidates", type=int, default=10_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings()
        spark = open_session({"spark.driver.memory": args.memory}, lake=Path(folder))

        def at(name: str) -> Settings:
            return settings.model_copy(update={"lake": Path(folder) / name})

        print(f"{datetime.now(timezone.utc):%Y-%m-%d}, heap {args.memory}", flush=True)
        day = Window(NOON, NOON + timedelta(days=1, minutes=1))
        lake, expected = made(spark, at("key"), 1, args.starts)
        ask(lake, day, f"one key with {args.starts:,} starts", expected)
        lake, expected = made(spark, at("candidates"), 20_000, args.candidates)
        ask(lake, day, f"{args.candidates:,} candidates", expected)
        month = Lake(spark, at("month"))
        write_lake(month, Size(hosts=20, hours=31 * 24, connected=30 * 24, connections=250))
        rows = {t: month.read(t).count() for t in ("process_events", "network_events")}
        ask(month, Window(END - timedelta(days=30), END), f"a month in one window, {rows}")


if __name__ == "__main__":
    main()
