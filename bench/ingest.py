"""Ingest of JSON, XML and EVTX records against a bare Spark read of the same files: rows a second, and peak memory.

The records are made up, by a seed. EVTX cannot be written here: `--evtx FILE...` names real ones, whose chunks are
repeated under new record numbers; without it that format is left out. All lies in a temporary folder (4 to 5 GB for a
million records a format). Formats and steps are interleaved; the medians and the ratios are what counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from processes import Memory, cpu_seconds
from procnet.lake.tables import Lake
from procnet.readers.frames import read_files
from procnet.runs.ingest import IngestReport, ingest
from procnet.settings import Settings, load_settings
from procnet.sources.normalize import normalize
from procnet.sources.read import read_raw
from procnet.sources.validate import load_source
from procnet.spark.session import open_session
from windows_files import make

SOURCES = {"json": "windows_flat", "xml": "windows_xml", "evtx": "evtx"}
STEPS = ("bare read", "records", "ingest")


def bare(spark: SparkSession, kind: str, folder: Path) -> None:
    """Spark's own read of the files: lines, parsed to the source's record type. EVTX: the data source alone."""
    if kind == "evtx":
        _noop(read_files(spark, [str(f) for f in sorted(folder.iterdir())], "evtx"))
        return
    parse = F.from_xml if kind == "xml" else F.from_json
    record = load_source(SOURCES[kind]).record or ""
    _noop(spark.read.text(str(folder)).select(parse("value", record)))


def records(spark: SparkSession, kind: str, folder: Path) -> None:
    """procnet's records, cleaned and judged, kept nowhere."""
    source = load_source(SOURCES[kind])
    _noop(normalize(read_raw(spark, source, [folder]), source, ingest_time=datetime.now(timezone.utc)).records)


def whole(spark: SparkSession, kind: str, folder: Path, lake: Path) -> tuple[IngestReport, dict[str, float]]:
    """Ingest into a lake of its own; its report and the seconds of its stages. The lake is left to the caller."""
    settings = Settings(lake=lake)
    report = ingest(spark, settings, SOURCES[kind], [folder], now=datetime.now(timezone.utc))
    (run,) = Lake(spark, settings).read("runs").select("seconds").collect()
    return report, dict(run["seconds"])


def _noop(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="of each format (default: 1000000)")
    parser.add_argument("--formats", default="json,xml,evtx")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evtx", type=Path, nargs="+", default=[], metavar="FILE", help="real .evtx files to repeat")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    kinds = [k for k in args.formats.split(",") if k != "evtx" or args.evtx]
    if unknown := set(kinds) - set(SOURCES):
        parser.error(f"--formats: {', '.join(sorted(unknown))}: known are {', '.join(SOURCES)}")
    if "evtx" in args.formats.split(",") and not args.evtx:
        print("EVTX is left out: name real files by --evtx, since nothing here can write one")
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Path(folder), kinds, args.records, args.rounds, args.evtx)
    show(told)
    if args.json:
        args.json.write_text(json.dumps(told, indent=2) + "\n")


def measure(folder: Path, kinds: list[str], count: int, rounds: int, evtx: list[Path]) -> dict[str, Any]:
    """Make the files, time every step `rounds` times, and say what came of it."""
    data = {kind: make(kind, folder / kind, count, evtx) for kind in kinds}
    for kind in kinds:
        make(kind, folder / f"warm-{kind}", min(count, 20_000), evtx)
    spark = open_session(load_settings(lake=folder / "lake").spark, lake=folder / "lake")
    memory = Memory()
    memory.start()
    seconds: dict[str, dict[str, list[float]]] = {kind: {step: [] for step in STEPS} for kind in kinds}
    cpu: dict[str, dict[str, list[float]]] = {kind: {step: [] for step in STEPS} for kind in kinds}
    stages: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    reports: dict[str, dict[str, Any]] = {}

    def timed(kind: str, step: str, files: Path) -> tuple[float, float]:
        lake = folder / "lake-of-one-run"
        used, mark = cpu_seconds(), time.monotonic()
        if step == "bare read":
            bare(spark, kind, files)
        elif step == "records":
            records(spark, kind, files)
        else:
            report, laps = whole(spark, kind, files, lake)
            if files.name == kind:
                stages[kind].append(laps)
                reports[kind] = report.as_dict()
        took = time.monotonic() - mark, cpu_seconds() - used
        shutil.rmtree(lake, ignore_errors=True)
        return took

    for turn in range(rounds + 1):
        for kind in kinds:
            for step in STEPS:
                if not turn:  # code is compiled on a few records
                    timed(kind, step, folder / f"warm-{kind}")
                    continue
                memory.label = f"{kind}, {step}"
                took, used = timed(kind, step, folder / kind)
                memory.label = ""
                seconds[kind][step].append(took)
                cpu[kind][step].append(used)
                print(f"round {turn}: {kind}, {step}: {took:.1f} s, {used:.1f} s of processor time", flush=True)
    java = spark.sql("SELECT java_method('java.lang.System', 'getProperty', 'java.version')").collect()[0][0]
    heap = spark.conf.get("spark.driver.memory")
    spark.stop()
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, driver memory {heap}",
        "versions": {"python": platform.python_version(), "java": java, **_versions()},
        "rounds": rounds,
        "data": data,
        "seconds": seconds,
        "processor_seconds": cpu,
        "stages": stages,
        "memory": memory.peaks,
        "reports": reports,
    }


def _versions() -> dict[str, str]:
    told = {}
    for package in ("procnet", "pyspark", "delta-spark", "pyarrow", "evtx"):
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    return told


def show(told: dict[str, Any]) -> None:
    """The figures for a person."""
    versions = ", ".join(f"{k} {v}" for k, v in told["versions"].items())
    print(f"\n{told['date']}, {told['machine']}, {told['rounds']} warm rounds\n{versions}")
    for kind, steps in told["seconds"].items():
        made, report = told["data"][kind], told["reports"][kind]
        added = " + ".join(f"{n:,} {table}" for table, n in report["new"].items() if n)
        copies = "; chunks of real files under new record numbers" if kind == "evtx" else ""
        print(f"\n{kind}: {made['records']:,} records, {made['bytes'] / 1e6:,.0f} MB in {made['files']} files{copies}")
        print(f"  read {report['read']:,}, added {added}, {report['duplicates']:,} duplicates")
        floor = statistics.median(steps["bare read"])
        for step, took in steps.items():
            used = statistics.median(told["processor_seconds"][kind][step])
            middle, peak = statistics.median(took), told["memory"].get(f"{kind}, {step}", {})
            print(
                f"  {step:10} median {middle:6.1f} s, {min(took):.1f} to {max(took):.1f}"
                f" | {made['records'] / middle:8,.0f} rows/s | {middle / floor:4.1f} x the bare read | CPU {used:.1f} s"
                f" | JVM {peak.get('jvm', 0) / 2**20:,.0f} MiB"
                f", Python workers {peak.get('python workers', 0) / 2**20:,.0f} MiB"
            )
        laps = told["stages"][kind]
        shares = (f"{stage} {statistics.median(lap[stage] for lap in laps):.1f} s" for stage in laps[0])
        print(f"  of the ingest: {', '.join(shares)}")


if __name__ == "__main__":
    main()
