"""`procnet detect`: evaluates one window."""

from __future__ import annotations

from argparse import Namespace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from pyspark.sql import functions as F

from procnet.cli.options import Commands, add_detections, add_period, open_lake_and_select, period_of, settings_of
from procnet.cli.output import print_message, print_result, print_table
from procnet.errors import PartlyDone
from procnet.lake.tables import Lake
from procnet.runs.detect import WindowReport, detect, last_complete
from procnet.runs.selection import Selection, not_selected
from procnet.settings import Settings


def add_commands(commands: Commands) -> None:
    """Adds detect."""
    option = commands.add("detect", _detect)
    add_period(option, "the last complete window of window.length that ended at least window.delay ago")
    add_detections(option)


def _detect(args: Namespace) -> int:
    """Evaluate the detections over one window.

    The findings of the window replace those of an earlier run over it, so that repeating a run is safe.
    """
    settings, now = settings_of(args), datetime.now(timezone.utc)
    window = period_of(args) or last_complete(now, settings)
    lake, selection = open_lake_and_select(settings, args.detection)
    report = detect(lake, selection, window)
    print_result(args, {**report_as_dict(report), "broken": selection.broken}, lambda: _print(report))
    if report.status == "nothing_to_read" and args.start is None and (days := _days_of_connections(lake, now)):
        first, last = days
        print_message(
            f"the lake has connections of {first} to {last}; this evaluates them: "
            f"procnet backfill --start {first}T00:00Z --end {last + timedelta(days=1)}T00:00Z"
        )
    if report.status != "nothing_to_read" and not report.counts["findings"]:
        suggest_all(args, settings, selection)
    return exit_code_of(selection)


def suggest_all(args: Namespace, settings: Settings, selection: Selection) -> None:
    """Prints, for a run without findings and without --detection or --all, how many detections are not enabled."""
    if not args.detection and (others := not_selected(selection, settings)):
        print_message(f"{others} other detections are not enabled: --all runs them")


def _days_of_connections(lake: Lake, now: datetime) -> tuple[date, date] | None:
    """The first and the last day until now with rows in network_events, by its partitions; None without rows."""
    if not lake.exists("network_events"):  # all connections may be in tables that are read in place
        return None
    days = lake.read("network_events").where(F.col("event_date") <= F.lit(now.date()))
    first, last = days.agg(F.min("event_date"), F.max("event_date")).collect()[0]
    return None if first is None else (first, last)


def _print(report: WindowReport) -> None:
    print_message(f"window {report.window}: {report.status}, {report.counts['findings']} findings")
    print_message(f"plan {report.plan}: {report.plan_reason}")
    print_table(("count", ""), [(n, name.replace("_", " ")) for name, n in report.counts.items()])
    if report.status == "nothing_to_read":
        print_message(
            "network_events has no row in this window: the source may be late, or the records are of another period; "
            "procnet status shows the period of each table"
        )
    if report.noisy:
        print_message(
            f"more findings than their budget: {', '.join(report.noisy)}; procnet detections stats shows the most "
            "frequent programs and destinations"
        )


def report_as_dict(report: WindowReport) -> dict[str, Any]:
    """The report of a window as `--json` prints it."""
    names = ("status", "plan", "plan_reason", "rows_collected", "counts", "seconds", "noisy")
    values = {name: getattr(report, name) for name in names}
    return {"run_id": report.run_id, "start": report.window.start, "end": report.window.end, **values}


def exit_code_of(selection: Selection) -> int:
    """The exit code of a completed run: 5 where an enabled file could not be loaded, which is printed; else 0."""
    if not selection.broken:
        return 0
    message = "\n".join(["the run is complete without these files, which could not be loaded:", *selection.broken])
    print_message(str(PartlyDone(message, hint="mend it, and run the same period again")))
    return PartlyDone.exit_code
