"""Commands that read: findings, status."""

from __future__ import annotations

import csv
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key
from procnet.cli.options import add_period, number_from, period_of, settings_of
from procnet.cli.output import age, csv_cell, json_line, json_text, print_json, print_table, say
from procnet.errors import UsageError
from procnet.exports.columns import json_lines
from procnet.exports.elastic import to_elastic
from procnet.exports.ocsf import to_ocsf
from procnet.exports.splunk_es import to_splunk_es
from procnet.lake.ledger import last_runs, sources_seen
from procnet.lake.tables import Lake
from procnet.lake.volume_anomalies import BEFORE, volume_anomalies
from procnet.periods import format_duration
from procnet.spark.filters import in_period
from procnet.spark.session import open_session
from procnet.spark.sql import literal

# What a table of findings is made of; `format json` has all columns.
ASKED = (
    "event_time", "host", "process_name", "process_id", "process_time", "dest_ip", "dest_port", "attribution",
)  # fmt: skip
_SHOWN = 1000
_COMPARED = 4 * BEFORE  # runs before those that are shown, some of them ingests and repeats
RENDERINGS = {"ocsf": to_ocsf, "es": to_splunk_es, "elastic": to_elastic}
FORMATS = ("table", "json", "csv", "parquet", *RENDERINGS)


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """findings, status."""
    findings = commands.add_parser("findings", parents=[common], help="read findings out")
    add_period(findings)
    findings.add_argument("--detection", metavar="ID", help="of this detection only: its id, or how it begins")
    findings.add_argument("--host", help="of this host only, compared as host.match says")
    findings.add_argument("--format", choices=FORMATS, default="table",
                          help="es: Splunk ES; json, ocsf, es and elastic give one object a line")  # fmt: skip
    findings.add_argument("--output", type=Path, metavar="F", help="write there instead of the terminal")
    findings.set_defaults(answer=_findings)

    status = commands.add_parser("status", parents=[common], help="freshness of the tables, last runs")
    status.add_argument("--last", type=number_from(0), default=10, metavar="N", help="how many runs to show")
    status.set_defaults(answer=_status)


def print_findings(rows: Sequence[Mapping[str, Any]], *, title: str | None = None, file: IO[str] | None = None) -> None:
    """Findings as a table for 100 columns. In: mappings with ASKED. A host's domain is left out, a start is an age."""
    names = ("connection", "host", "process", "id", "age", "destination", "port", "known by")
    cells = [
        (
            r["event_time"],
            _first_label(r["host"]),
            r["process_name"],
            r["process_id"],
            None if r["process_time"] is None else age(r["event_time"] - r["process_time"]),
            r["dest_ip"],
            r["dest_port"],
            r["attribution"],
        )
        for r in rows
    ]
    print_table(names, cells, title=title, file=file)


def _first_label(host: str) -> str:
    is_address = ":" in host or host.replace(".", "").isdigit()
    return host if is_address else host.partition(".")[0]


def _findings(args: Namespace) -> None:
    settings, period = settings_of(args), period_of(args)
    if args.format == "parquet" and args.output is None:
        raise UsageError("parquet is no text: it needs a place", hint="add --output FOLDER")
    if args.format == "parquet" and args.output.exists():
        # Spark would empty it first, whatever folder it is.
        raise UsageError(f"{args.output} is there already", hint="give a folder that does not exist yet")
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    rows = lake.read("findings")
    if period is not None:
        rows = rows.where(in_period(period.start, period.end, "finding_date"))
    if args.detection:
        rows = rows.where(F.col("detection_id").startswith(args.detection.lower()))
    if args.host:
        asked, match = literal(args.host.strip().lower().rstrip(".")), settings.host.match
        rows = rows.where(f"{host_key('host', match)} = {host_key(asked, match)}")
    rows = rows.orderBy("event_time", "finding_id")
    if args.json and args.output is None:
        print_json({"findings": [r.asDict(recursive=True) for r in rows.collect()]})
        return
    if args.format == "parquet":
        rows.write.parquet(str(args.output.absolute()))
    elif args.format in RENDERINGS:
        with _place(args.output) as place:
            for row in json_lines(RENDERINGS[args.format](rows)).toLocalIterator():
                place.write(json_text(row["line"]))
    else:
        with _place(args.output) as place:
            {"table": _as_table, "json": _as_lines, "csv": _as_csv}[args.format](rows, place)
    if args.output is not None:
        say(f"written to {args.output}")
        if args.json:
            print_json({"written": str(args.output), "format": args.format})


@contextmanager
def _place(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
        return
    try:
        file = output.open("w", encoding="utf-8", newline="")
    except OSError as e:
        raise UsageError(f"{output} cannot be written: {e.strerror}", hint="name a file in a folder of yours") from None
    with file:
        yield file


def _as_lines(rows: DataFrame, place: IO[str]) -> None:
    for row in rows.toLocalIterator():
        place.write(json_line(row.asDict(recursive=True)))


def _as_csv(rows: DataFrame, place: IO[str]) -> None:
    flat = rows.withColumn("related", F.to_json("related"))
    writer = csv.writer(place)
    writer.writerow(flat.columns)
    for row in flat.toLocalIterator():
        writer.writerow([csv_cell(v) for v in row])


def _as_table(rows: DataFrame, place: IO[str]) -> None:
    found = [r.asDict() for r in rows.select(*ASKED).limit(_SHOWN + 1).collect()]
    print_findings(found[:_SHOWN], file=place)
    more = " shown, there are more: use --format json" if len(found) > _SHOWN else ""
    say(f"{min(len(found), _SHOWN)} findings{more}")


def _status(args: Namespace) -> None:
    settings = settings_of(args)
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    tables = [_freshness(lake, t) for t in ("process_events", "network_events", "findings", "quarantine")]
    known = [r.asDict(recursive=True) for r in last_runs(lake, args.last + _COMPARED).collect()]
    far, runs = volume_anomalies(known), known[: args.last]
    sources = [r.asDict() for r in sources_seen(lake).collect()]
    if args.json:
        print_json({"tables": tables, "runs": runs, "sources": sources, "jumps": {i: far[i] for i in _ids(runs, far)}})
        return
    print_table(("table", "rows", "oldest", "newest"), [tuple(t.values()) for t in tables], title="tables")
    print_table(
        ("started", "kind", "window", "status", "findings", "seconds"),
        [
            (
                r["started_at"],
                r["kind"],
                _span(r),
                r["status"] + "".join(f", {mark}" for mark in ("noisy", "broken") if r[mark]),
                (r["counts"] or {}).get("findings"),
                round((r["ended_at"] - r["started_at"]).total_seconds(), 1),
            )
            for r in runs
        ],
        title="\nlast runs",
    )
    for r in runs:
        for count, usual in far.get(r["run_id"], {}).items():
            say(f"jump: {_span(r)} has {r['counts'].get(count, 0)} {count}; windows like it before had {usual:g}")
    # A sensor that has gone silent is one that the last runs have not seen.
    print_table(
        ("source", "seen by a run", "connections", "no host", "no ids", "no process", "newest"),
        [tuple(s.values()) for s in sources],
        title="\nsources, in the last window that held rows of them",
    )


def _ids(runs: Sequence[Mapping[str, Any]], of: Mapping[str, Any]) -> list[str]:
    return [r["run_id"] for r in runs if r["run_id"] in of]


def _freshness(lake: Lake, name: str) -> dict[str, Any]:
    time = "ingest_time" if name == "quarantine" else "event_time"
    row = lake.read(name).agg(F.count("*").alias("rows"), F.min(time).alias("oldest"), F.max(time).alias("newest"))
    return {"table": name, **row.collect()[0].asDict()}


def _span(run: dict[str, Any]) -> str:
    if run["window_start"] is None:
        return ""
    length = format_duration(run["window_end"] - run["window_start"])
    return f"{run['window_start']:%Y-%m-%d %H:%M} + {length}"
