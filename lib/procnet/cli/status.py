"""`procnet status`: freshness of the tables, last runs, sources; `procnet quarantine`: what could not be used."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pyspark.sql import functions as F

from procnet.cli.options import Commands, open_lake, settings_of, whole_number
from procnet.cli.output import print_message, print_result, print_table
from procnet.cli.sources import example_line
from procnet.contract import EVENT_TABLES, REQUIRED_EVENT_TABLES
from procnet.lake.ledger import last_runs, sources_seen
from procnet.lake.quarantine import quarantine_reasons
from procnet.lake.tables import Lake
from procnet.lake.volume_anomalies import BASELINE_WINDOWS, volume_anomalies
from procnet.periods import as_utc, format_duration
from procnet.settings import EventSettings
from procnet.spark.filters import in_range, out_of_range

_TABLES = (*EVENT_TABLES, "findings", "quarantine")
_NAMES_AND_FLOWS = {*EVENT_TABLES} - {*REQUIRED_EVENT_TABLES}  # an older lake has none
# Runs that are read before the shown ones, so that each has `BASELINE_WINDOWS` windows to compare with: some runs are
# ingests or repeats.
_COMPARED = 4 * BASELINE_WINDOWS
_AHEAD = timedelta(days=1)  # times later than now by more than this are reported
_BEGINNING = 200  # characters of a quarantined record


def add_commands(commands: Commands) -> None:
    """Adds status, quarantine."""
    option = commands.add("status", _status)
    option("--last", type=whole_number(0), default=10, metavar="N", help="number of runs (default: %(default)s)")
    option = commands.add("quarantine", _quarantine)
    option("--last", type=whole_number(1), default=20, metavar="N", help="number of reasons (default: %(default)s)")


def _status(args: Namespace) -> None:
    """Show the freshness of the tables, the last runs and the sources.

    Runs whose counts differ much from those of the windows before are named.
    """
    lake = open_lake(settings_of(args))
    tables = [_freshness(lake, t) for t in _TABLES if t not in _NAMES_AND_FLOWS or lake.exists(t)]
    newest = [r.asDict(recursive=True) for r in last_runs(lake, args.last + _COMPARED).collect()]
    runs = newest[: args.last]
    all_anomalies = volume_anomalies(newest)
    anomalies = {r["run_id"]: all_anomalies[r["run_id"]] for r in runs if r["run_id"] in all_anomalies}
    sources = [r.asDict() for r in sources_seen(lake).collect()]

    def print_text() -> None:
        _print_tables(tables, lake.settings.events)
        _print_future(tables, datetime.now(timezone.utc))
        _print_runs(runs, anomalies)
        print_table(
            ("source", "seen by a run", "connections", "no host", "no ids", "no process", "newest"),
            [tuple(s.values()) for s in sources],
            title="\nsources, in the last window that had rows of them",
        )

    print_result(args, {"tables": tables, "runs": runs, "sources": sources, "jumps": anomalies}, print_text)


def _freshness(lake: Lake, name: str) -> dict[str, Any]:
    """Number of rows, times of the oldest and newest one, and number of those whose time no run reads; of quarantine,
    times of ingestion."""
    time, settings = ("ingest_time", EventSettings()) if name == "quarantine" else ("event_time", lake.settings.events)
    inside = F.when(in_range(settings.period, time), F.col(time))
    row = lake.read(name).agg(
        F.count("*").alias("rows"),
        F.min(inside).alias("oldest"),
        F.max(inside).alias("newest"),
        F.count_if(out_of_range(settings.period, time)).alias("times_out_of_range"),
    )
    return {"table": name, **row.collect()[0].asDict()}


def _print_tables(tables: Sequence[Mapping[str, Any]], events: EventSettings) -> None:
    columns = ("table", "rows", "oldest", "newest")
    print_table(columns, [tuple(t[c] for c in columns) for t in tables], title="tables")
    for t in (t for t in tables if t["times_out_of_range"]):
        print_message(
            f"{t['table']}: {t['times_out_of_range']} rows have a time outside {events.period} (events.first and "
            "events.last in the settings), and no run reads them"
        )


def _print_future(tables: Sequence[Mapping[str, Any]], now: datetime) -> None:
    for t in (t for t in tables if t["newest"] is not None and as_utc(t["newest"]) > now + _AHEAD):
        print_message(
            f"{t['table']}: the newest row is of {t['newest']:%Y-%m-%d %H:%M} UTC, later than now: the clock or the "
            "time zone of a sensor is wrong"
        )


def _print_runs(runs: Sequence[Mapping[str, Any]], anomalies: Mapping[str, Mapping[str, float]]) -> None:
    print_table(
        ("started", "kind", "window", "status", "findings", "seconds"),
        [
            (r["started_at"], r["kind"], _window_text(r),
             ", ".join((r["status"], *_problems(r))),
             (r["counts"] or {}).get("findings"), round((r["ended_at"] - r["started_at"]).total_seconds(), 1))
            for r in runs
        ],
        title="\nlast runs",
    )  # fmt: skip
    for r in runs:
        for count, usual in anomalies.get(r["run_id"], {}).items():
            print_message(
                f"jump: {_window_text(r)} has {r['counts'].get(count, 0)} {count}; "
                f"the median of the windows of this length before it is {usual:g}"
            )


def _problems(run: Mapping[str, Any]) -> list[str]:
    """What is to be looked at although the run succeeded."""
    counted = {n.replace("_", " "): (run["counts"] or {}).get(n) for n in ("times_out_of_range", "unusable_files")}
    return [p for p in ("noisy", "broken") if run[p]] + [f"{what}: {n}" for what, n in counted.items() if n]


def _quarantine(args: Namespace) -> None:
    """List why records could not be used: the newest reasons, each with its number of records and one of them."""
    reasons = [r.asDict() for r in quarantine_reasons(open_lake(settings_of(args)), args.last).collect()]

    def print_text() -> None:
        if not reasons:
            print_message("the quarantine is empty")
            return
        rows = [(r["source"], r["reason"], r["records"], r["newest"]) for r in reasons]
        print_table(("source", "reason", "records", "newest ingest"), rows)
        beginnings = [" ".join((r["raw"] or "")[:_BEGINNING].split()) for r in reasons]
        lines = [
            (example_line(r["reason"], r["file"], r["line"], b),) for r, b in zip(reasons, beginnings, strict=True)
        ]
        print_table(("",), lines, title="\none of each reason:")

    print_result(args, {"reasons": reasons}, print_text)


def _window_text(run: Mapping[str, Any]) -> str:
    """`2026-03-01 10:00 + 1h`, empty for a run without a window."""
    if run["window_start"] is None:
        return ""
    length = format_duration(run["window_end"] - run["window_start"])
    return f"{run['window_start']:%Y-%m-%d %H:%M} + {length}"
