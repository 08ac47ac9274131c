"""Commands over many windows: backfill, gaps, catch-up."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime, timezone

from procnet.cli.detect import exit_code_of, report_as_dict, suggest_all
from procnet.cli.options import (
    Commands,
    add_detections,
    add_period,
    chunk_size,
    open_lake_and_select,
    period_of,
    settings_of,
    whole_number,
)
from procnet.cli.output import print_message, print_result, print_table
from procnet.cli.progress import show_progress
from procnet.errors import UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window, format_duration
from procnet.runs.backfill import BackfillReport, backfill
from procnet.runs.catch_up import CatchUpReport, catch_up
from procnet.runs.gaps import Gap, gaps_of
from procnet.runs.selection import Selection


def add_commands(commands: Commands) -> None:
    """Adds backfill, gaps, catch-up."""
    option = commands.add("backfill", _backfill)
    add_period(option, "none; with --gaps the time from the first run to the last complete window")
    option("--gaps", action="store_true", help="evaluate only what procnet gaps lists (default: the whole period)")
    chunk = (
        "length of a chunk, a number and m, h, d or w; chunks begin at its multiples since 1970 (default: %(default)s)"
    )
    option("--chunk", default="1d", metavar="SIZE", help=chunk)
    parallel = "number of chunks that run at the same time (default: %(default)s)"
    option("--parallel", type=whole_number(1), default=1, metavar="N", help=parallel)
    add_detections(option)
    option = commands.add("gaps", _gaps)
    add_period(option, "from the first run to the last complete window")
    add_detections(option)
    add_detections(commands.add("catch-up", _catch_up))


def _backfill(args: Namespace) -> int:
    """Evaluate the detections over a period, chunk by chunk.

    Chunks that an earlier run has evaluated over the same data are skipped, so that the same command resumes a stopped
    backfill. A chunk that fails does not stop the others.
    """
    settings, period, chunk = settings_of(args), period_of(args), chunk_size(args.chunk)
    if period is None and not args.gaps:
        raise UsageError("a backfill needs a period", hint="give --start and --end, or --gaps for all that is missing")
    lake, selection = open_lake_and_select(settings, args.detection)
    windows = None
    if args.gaps:
        windows = [gap.window for gap in _gaps_of(lake, selection, period)]
        if not windows:
            value = {"findings": 0, "chunks": [], "skipped": [], "broken": selection.broken}
            print_result(args, value, lambda: print_message("nothing is missing"))
            return exit_code_of(selection)
        period = Window(windows[0].start, windows[-1].end)
    assert period is not None  # refused above, or set by the gaps
    with show_progress("backfill", quiet=args.json) as progress:
        periods = [period] if windows is None else windows
        report = backfill(lake, selection, *periods, chunk=chunk, parallel=args.parallel, progress=progress)
    value = {
        "start": period.start,
        "end": period.end,
        "findings": report.findings,
        "chunks": [report_as_dict(r) for r in report.reports],
        "skipped": [{"start": w.start, "end": w.end} for w in report.skipped],
        "broken": selection.broken,
    }
    print_result(args, value, lambda: _print_backfill(report))
    if not report.findings:
        suggest_all(args, settings, selection)
    return exit_code_of(selection)


def _gaps_of(lake: Lake, selection: Selection, period: Window | None) -> list[Gap]:
    """The gaps. DataError where the lake has no ledger: its name is wrong, or init has not made it."""
    lake.read("runs")
    return gaps_of(lake, selection, period, datetime.now(timezone.utc))


def _print_backfill(report: BackfillReport) -> None:
    evaluated, skipped = len(report.reports), len(report.skipped)
    print_message(f"{evaluated} chunks evaluated, {report.findings} findings; {skipped} were done already")


def _gaps(args: Namespace) -> None:
    """List the periods that need a run, and why.

    It reads the ledger and the commits of findings only. Reasons: no run, a failed one, one that was killed after it
    had replaced findings, detections or exclusions that were edited since, tables restored to an earlier version, a
    source without rows.
    """
    settings, period = settings_of(args), period_of(args)
    lake, selection = open_lake_and_select(settings, args.detection)
    gaps = _gaps_of(lake, selection, period)
    value = {"gaps": [{"start": g.window.start, "end": g.window.end, "why": g.why} for g in gaps]}
    rows = [(g.window.start, g.window.end, format_duration(g.window.end - g.window.start), g.why) for g in gaps]

    def print_text() -> None:
        print_table(("start", "end", "length", "why"), rows)
        print_message("procnet backfill --gaps runs them" if gaps else "nothing is missing")

    print_result(args, value, print_text)


def _catch_up(args: Namespace) -> int:
    """Evaluate again the windows that late records can change.

    Nothing is read where no table has changed since the last catch-up.
    """
    lake, selection = open_lake_and_select(settings_of(args), args.detection)
    with show_progress("catch-up", quiet=args.json) as progress:
        report = catch_up(lake, selection, progress=progress)
    windows = [report_as_dict(r) for r in report.reports]
    value = {"looked": report.looked, "windows": windows, "findings": report.findings, "broken": selection.broken}
    print_result(args, value, lambda: _print_catch_up(report))
    return exit_code_of(selection)


def _print_catch_up(report: CatchUpReport) -> None:
    if not report.looked:
        print_message("no table has changed since the last catch-up: there are no late records")
        return
    print_message(
        f"{len(report.reports)} windows evaluated again for late records; they have {report.findings} findings now"
    )
