"""Commands that read: findings, status."""

from __future__ import annotations

import csv
import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.cli.out import csv_cell, plain, print_json, print_table, say
from procnet.cli.run import period_of, settings_of
from procnet.errors import UsageError
from procnet.lake.ledger import last_runs
from procnet.lake.tables import Lake
from procnet.runs.find import between
from procnet.session import open_session
from procnet.types import format_duration

_TABLE = (
    "event_time",
    "host",
    "user",
    "process_name",
    "process_id",
    "process_time",
    "dest_ip",
    "dest_port",
    "attribution",
)


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """findings, status."""
    findings = commands.add_parser("findings", parents=[common], help="read findings out")
    findings.add_argument("--start", metavar="TIME")
    findings.add_argument("--end", metavar="TIME")
    findings.add_argument("--detection", metavar="ID", help="of this detection only")
    findings.add_argument("--host", help="of this host only")
    findings.add_argument("--format", choices=("table", "json", "csv", "parquet"), default="table")
    findings.add_argument("--output", type=Path, metavar="F", help="write there instead of the terminal")
    findings.set_defaults(answer=_findings)

    status = commands.add_parser("status", parents=[common], help="freshness of the tables, last runs")
    status.add_argument("--last", type=int, default=10, metavar="N", help="how many runs to show")
    status.set_defaults(answer=_status)


def _findings(args: Namespace) -> None:
    settings, period = settings_of(args), period_of(args)
    if args.format == "parquet" and args.output is None:
        raise UsageError("parquet is no text: it needs a place", hint="add --output FOLDER")
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    rows = lake.read("findings")
    if period is not None:
        dated = rows.withColumn("event_date", F.col("finding_date"))
        rows = between(dated, period.start, period.end).drop("event_date")
    if args.detection:
        rows = rows.where(F.col("detection_id") == args.detection)
    if args.host:
        rows = rows.where(F.col("host") == args.host.strip().lower().rstrip("."))
    rows = rows.orderBy("event_time", "finding_id")
    if args.format == "parquet":
        rows.write.mode("overwrite").parquet(str(args.output))
        say(f"written to {args.output}")
    elif args.json:
        print_json({"findings": [r.asDict(recursive=True) for r in rows.collect()]})
    else:
        with _place(args.output) as place:
            {"table": _as_table, "json": _as_lines, "csv": _as_csv}[args.format](rows, place)


@contextmanager
def _place(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file
        say(f"written to {output}")


def _as_lines(rows: DataFrame, place: IO[str]) -> None:
    for row in rows.toLocalIterator():
        place.write(json.dumps(plain(row.asDict(recursive=True)), ensure_ascii=False) + "\n")


def _as_csv(rows: DataFrame, place: IO[str]) -> None:
    flat = rows.withColumn("related", F.to_json("related"))
    writer = csv.writer(place)
    writer.writerow(flat.columns)
    for row in flat.toLocalIterator():
        writer.writerow([csv_cell(v) for v in row])


def _as_table(rows: DataFrame, place: IO[str]) -> None:
    found = rows.select(*_TABLE).limit(1001).collect()
    print_table(_TABLE, [tuple(r) for r in found[:1000]], file=place)
    say(
        f"{min(len(found), 1000)} findings" + (" shown, there are more: use --format json" if len(found) > 1000 else "")
    )


def _status(args: Namespace) -> None:
    settings = settings_of(args)
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    tables = [_freshness(lake, t) for t in ("process_events", "network_events", "findings", "quarantine")]
    runs = [r.asDict(recursive=True) for r in last_runs(lake, args.last).collect()]
    if args.json:
        print_json({"tables": tables, "runs": runs})
        return
    print_table(("table", "rows", "oldest", "newest"), [tuple(t.values()) for t in tables], title="tables")
    print_table(
        ("started", "kind", "window", "status", "findings", "seconds"),
        [
            (
                r["started_at"],
                r["kind"],
                _span(r),
                r["status"],
                (r["counts"] or {}).get("findings"),
                round((r["ended_at"] - r["started_at"]).total_seconds(), 1),
            )
            for r in runs
        ],
        title="last runs",
    )


def _freshness(lake: Lake, name: str) -> dict[str, Any]:
    time = "ingest_time" if name == "quarantine" else "event_time"
    row = lake.read(name).agg(F.count("*").alias("rows"), F.min(time).alias("oldest"), F.max(time).alias("newest"))
    return {"table": name, **row.collect()[0].asDict()}


def _span(run: dict[str, Any]) -> str:
    if run["window_start"] is None:
        return ""
    length = format_duration(run["window_end"] - run["window_start"])
    return f"{run['window_start']:%Y-%m-%d %H:%M} + {length}"
