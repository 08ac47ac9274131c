"""Ingest of JSON, XML and EVTX records against a plain Spark read of the same files: rows a second, and peak memory.

The records are generated from a seed. EVTX cannot be written here: `--evtx FILE...` names real files, whose chunks are
repeated under new record numbers; without it that format is left out. Everything lies in a temporary folder (4 to 5 GB
for a million records a format). Formats and steps are interleaved; compare medians and ratios.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import time
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.resources import PeakMemory, cpu_seconds
from bench.session import temporary_lakes
from bench.windows_files import write_files
from procnet.cli.output import print_message
from procnet.errors import UsageError
from procnet.lake.tables import Lake
from procnet.readers.frames import read_files
from procnet.runs.ingest import ingest
from procnet.runs.ingest_report import IngestReport
from procnet.settings import Settings
from procnet.sources.normalize import normalize
from procnet.sources.read import read_raw
from procnet.sources.validate import load_source

SOURCES = {"json": "windows_flat", "xml": "windows_xml", "evtx": "evtx"}
STEPS = ("bare read", "records", "ingest")


def add_options(parser: ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--records", type=int, default=1_000_000, help="of each format (default: 1000000)")
    parser.add_argument("--formats", default="json,xml,evtx", help="default: json,xml,evtx")
    parser.add_argument("--rounds", type=int, default=3, help="warm rounds (default: 3)")
    parser.add_argument("--evtx", type=Path, nargs="+", default=[], metavar="FILE", help="real .evtx files to repeat")


def run(args: Namespace) -> dict[str, Any]:
    """Measure as the options say, print the figures unless `--json`, and return them."""
    formats = args.formats.split(",")
    if unknown := set(formats) - set(SOURCES):
        raise UsageError(f"--formats: {', '.join(sorted(unknown))}: known are {', '.join(SOURCES)}")
    if "evtx" in formats and not args.evtx:
        print_message("EVTX is left out: --evtx names no real files, and no EVTX can be written here")
        formats.remove("evtx")
    with temporary_lakes(args) as (spark, settings, folder):
        figures = measure(Bench(spark, settings, folder), formats, args)
    if not args.json:
        show(figures)
    return figures


def plain_read(spark: SparkSession, source: str, folder: Path) -> None:
    """Spark's own read of the files: lines, parsed to the record type of the source. EVTX: the data source only."""
    if source == "evtx":
        _noop(read_files(spark, [str(f) for f in sorted(folder.iterdir())], "evtx"))
        return
    parse = F.from_xml if source == "windows_xml" else F.from_json
    record = load_source(source).record or ""
    _noop(spark.read.text(str(folder)).select(parse("value", record)))


def read_records(spark: SparkSession, name: str, folder: Path) -> None:
    """procnet's records, mapped, cleaned and checked, written nowhere."""
    source = load_source(name)
    _noop(normalize(read_raw(spark, source, [folder]), source, ingest_time=datetime.now(timezone.utc)).records)


def ingest_all(lake: Lake, source: str, folder: Path) -> tuple[IngestReport, dict[str, float]]:
    """Ingest the files into `lake`; the report, and the seconds of its stages."""
    report = ingest(lake, source, [folder], now=datetime.now(timezone.utc))
    (row,) = lake.read("runs").select("seconds").collect()
    return report, dict(row["seconds"])


def _noop(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


def _lists() -> defaultdict[str, list[Any]]:
    return defaultdict(list)


@dataclass
class Bench:
    """The session, a folder of files and lakes, and what is measured, by format and step."""

    spark: SparkSession
    settings: Settings
    folder: Path
    memory: PeakMemory = field(default_factory=PeakMemory)
    seconds: defaultdict[str, defaultdict[str, list[float]]] = field(default_factory=lambda: defaultdict(_lists))
    processor_seconds: defaultdict[str, defaultdict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(_lists)
    )
    stages: defaultdict[str, list[dict[str, float]]] = field(default_factory=_lists)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def warm_up(self, kind: str, step: str) -> None:
        """Run a step over the few records of its format, so that Spark's code is compiled."""
        self._run(kind, step, self.folder / f"warm-{kind}")

    def time(self, kind: str, step: str) -> str:
        """Run a step and record its figures; returns them as text."""
        self.memory.label = f"{kind}, {step}"
        started, processor = time.monotonic(), cpu_seconds()
        outcome = self._run(kind, step, self.folder / kind)
        seconds, processor = time.monotonic() - started, cpu_seconds() - processor
        self.memory.label = ""
        if outcome is not None:
            report, laps = outcome
            self.stages[kind].append(laps)
            self.reports[kind] = report.as_dict()
        self.seconds[kind][step].append(seconds)
        self.processor_seconds[kind][step].append(processor)
        return f"{kind}, {step}: {seconds:.1f} s, {processor:.1f} s of processor time"

    def _run(self, kind: str, step: str, files: Path) -> tuple[IngestReport, dict[str, float]] | None:
        """Run a step; the report of an ingest, whose lake is removed."""
        if step != "ingest":
            read: Callable[..., None] = plain_read if step == "bare read" else read_records
            read(self.spark, SOURCES[kind], files)
            return None
        lake = Lake(self.spark, self.settings.model_copy(update={"lake": self.folder / "lake-of-one-run"}))
        outcome = ingest_all(lake, SOURCES[kind], files)
        shutil.rmtree(self.folder / "lake-of-one-run", ignore_errors=True)
        return outcome


def measure(bench: Bench, kinds: list[str], args: Namespace) -> dict[str, Any]:
    """Write the files, time every step `args.rounds` times, and return the figures."""
    data = {kind: write_files(kind, bench.folder / kind, args.records, args.evtx) for kind in kinds}
    for kind in kinds:
        write_files(kind, bench.folder / f"warm-{kind}", min(args.records, 20_000), args.evtx)
    bench.memory.start()
    cases = [(kind, step) for kind in kinds for step in STEPS]
    for kind, step in cases:
        bench.warm_up(kind, step)
    for turn in range(1, args.rounds + 1):
        for kind, step in cases:
            print_message(f"round {turn}: {bench.time(kind, step)}")
    java = bench.spark.sql("SELECT java_method('java.lang.System', 'getProperty', 'java.version')").collect()[0][0]
    heap = bench.spark.conf.get("spark.driver.memory")
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, driver memory {heap}",
        "versions": {"python": platform.python_version(), "java": java, **_versions()},
        "rounds": args.rounds,
        "data": data,
        "seconds": bench.seconds,
        "processor_seconds": bench.processor_seconds,
        "stages": bench.stages,
        "memory": bench.memory.peaks,
        "reports": bench.reports,
    }


def _versions() -> dict[str, str]:
    """Versions of the installed packages that matter for ingest."""
    versions = {}
    for package in ("procnet", "pyspark", "delta-spark", "pyarrow", "evtx"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def show(figures: dict[str, Any]) -> None:
    """Print the figures as text."""
    versions = ", ".join(f"{k} {v}" for k, v in figures["versions"].items())
    print(f"\n{figures['date']}, {figures['machine']}, {figures['rounds']} warm rounds\n{versions}")
    for kind, steps in figures["seconds"].items():
        files, report = figures["data"][kind], figures["reports"][kind]
        added = " + ".join(f"{n:,} {table}" for table, n in report["new"].items() if n)
        copies = "; chunks of real files under new record numbers" if kind == "evtx" else ""
        print(
            f"\n{kind}: {files['records']:,} records, {files['bytes'] / 1e6:,.0f} MB in {files['files']} files{copies}"
        )
        print(f"  read {report['read']:,}, added {added}, {report['duplicates']:,} duplicates")
        floor = statistics.median(steps["bare read"])
        for step, seconds in steps.items():
            processor = statistics.median(figures["processor_seconds"][kind][step])
            median, peak = statistics.median(seconds), figures["memory"].get(f"{kind}, {step}", {})
            print(
                f"  {step:10} median {median:6.1f} s, {min(seconds):.1f} to {max(seconds):.1f}"
                f" | {files['records'] / median:8,.0f} rows/s | {median / floor:4.1f} x the bare read"
                f" | CPU {processor:.1f} s | JVM {peak.get('jvm', 0) / 2**20:,.0f} MiB"
                f", Python workers {peak.get('python workers', 0) / 2**20:,.0f} MiB"
            )
        laps = figures["stages"][kind]
        shares = (f"{stage} {statistics.median(lap[stage] for lap in laps):.1f} s" for stage in laps[0])
        print(f"  of the ingest: {', '.join(shares)}")
