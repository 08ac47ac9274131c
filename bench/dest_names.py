"""How many connections have the name that was queried, and how often the record's own host name is that name.

Reads raw records (`dest-names PATH...`) by a shipped source. It counts outbound connections to public addresses,
repeats once, by the kind of their name (docs/semantics.md, R9), and compares `dest_host` with the names by process. Try
other tolerances with `--set attribution.name_age=5m` and `--set attribution.end_grace=0s`.
"""

from __future__ import annotations

import ipaddress
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, Row, SparkSession

from bench.session import temporary_lakes
from procnet.attribution.attribute import attribute
from procnet.attribution.names import with_names
from procnet.contract import NAME_KINDS
from procnet.errors import DataError
from procnet.periods import format_duration
from procnet.readers.discover import find_files
from procnet.readers.formats import SUFFIXES
from procnet.settings import Settings
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.read import read_raw
from procnet.sources.recognize import likely_source
from procnet.sources.validate import load_source

MAX_AGE = timedelta(hours=24)  # of a process when it connects
AGREEMENTS = ("agrees", "differs", "is empty")


def add_options(parser: ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="files, folders or archives of raw records")
    parser.add_argument("--source", metavar="NAME", help="source that reads them (default: by their content)")


def run(args: Namespace) -> dict[str, Any]:
    """Measure as the options say, print the figures unless `--json`, and return them."""
    with temporary_lakes(args) as (spark, settings, folder):
        source = args.source or recognized(spark, args.paths)
        figures = {"source": source, **measure(events(spark, source, args.paths, folder), settings)}
    if not args.json:
        show(figures)
    return figures


def recognized(spark: SparkSession, paths: Sequence[Path]) -> str:
    """The shipped source that reads the records; DataError if none does."""
    suffixes = tuple(suffix for several in SUFFIXES.values() for suffix in several)
    likely = likely_source(spark, find_files(paths, suffixes))
    if likely is None:
        raise DataError(f"no shipped source reads {paths[0]}", hint="name one with --source")
    return likely.name


def events(spark: SparkSession, name: str, paths: Sequence[Path], folder: Path) -> Normalized:
    """The canonical events of the records, computed once into `folder`."""
    source, now, file = load_source(name), datetime.now(timezone.utc), str(folder / "records.parquet")
    normalize(read_raw(spark, source, paths), source, ingest_time=now).records.write.parquet(file)
    return Normalized(spark.read.parquet(file), name, now)


def measure(normalized: Normalized, settings: Settings) -> dict[str, Any]:
    """The figures of all connections in `normalized`."""
    tolerances, name_age = settings.attribution.tolerances, settings.attribution.name_age
    process_events, network_events, dns_events = (
        normalized.table(name).distinct() for name in ("process_events", "network_events", "dns_events")
    )
    matches = attribute(
        process_events,
        network_events.where("direction = 'outbound' AND dest_ip IS NOT NULL"),
        max_ages=[MAX_AGE],
        tolerances=tolerances,
        host_match=settings.host.match,
        plan="shuffled",
    )
    named: DataFrame = with_names(
        matches,
        dns_events,
        host_match=settings.host.match,
        name_age=name_age,
        tolerances=tolerances,
        broadcast=False,
    )
    rows = named.select("dest_ip", "dest_host", "dest_name", "dest_name_by", "dest_names").collect()
    given = {"name_age": format_duration(name_age), "end_grace": format_duration(tolerances.end_grace)}
    return {**given, **counted([r for r in rows if ipaddress.ip_address(r["dest_ip"]).is_global])}


def counted(public: Sequence[Row]) -> dict[str, Any]:
    """Counts of connections to public addresses: by kind of name, ambiguous ones, and what `dest_host` says."""
    by_process = [r for r in public if r["dest_name_by"] == "process"]
    kinds = Counter(r["dest_name_by"] or "none" for r in public)
    agreement = Counter(agreement_of(r) for r in by_process)
    return {
        "connections": len(public),
        "by_kind": {kind: kinds[kind] for kind in (*NAME_KINDS, "none")},
        "ambiguous": sum(len(r["dest_names"]) > 1 for r in by_process),
        "dest_host": {word: agreement[word] for word in AGREEMENTS},
    }


def agreement_of(row: Row) -> str:
    """Whether the record's host name is the name by process: one of AGREEMENTS."""
    if row["dest_host"] is None:
        return "is empty"
    return "agrees" if row["dest_host"].rstrip(".") == row["dest_name"] else "differs"


def show(figures: dict[str, Any]) -> None:
    """Print the figures as text."""
    total, by_kind, by_host = figures["connections"], figures["by_kind"], figures["dest_host"]
    print(f"{total} outbound connections to public addresses, repeats counted once ({figures['source']})")
    print(f"attribution.name_age={figures['name_age']}, attribution.end_grace={figures['end_grace']}")
    for kind, count in by_kind.items():
        ambiguous = f", {figures['ambiguous']} of them with several names" if kind == "process" else ""
        print(f"  {kind:8} {count:7}{ambiguous}")
    print(
        f"of the {by_kind['process']} named by process, dest_host {', '.join(f'{w} {n}' for w, n in by_host.items())}"
    )
