"""Commands over many windows: backfill, gaps, catch-up."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from procnet.cli.detect import as_dict, exit_code_of
from procnet.cli.options import add_detections, add_period, number_from, period_of, settings_of, size_of_chunk
from procnet.cli.output import age, print_json, print_table, say
from procnet.errors import UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window, format_duration
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import WindowReport
from procnet.runs.gaps import gaps_of
from procnet.runs.selection import Selection, select_detections, with_exclusions
from procnet.runs.windows import Outcome, WindowProgress
from procnet.spark.session import open_session


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """backfill, gaps, catch-up."""
    many = commands.add_parser("backfill", parents=[common], help="evaluate a period, chunk by chunk, resumable")
    add_period(many)
    many.add_argument(
        "--gaps", action="store_true", help="only what no run covers; without times: since the first run (procnet gaps)"
    )
    many.add_argument(
        "--chunk", default="1d", metavar="SIZE", help="period of one chunk, such as 1h or 1d (default 1d)"
    )
    many.add_argument("--parallel", type=number_from(1), default=1, metavar="N", help="chunks at once (default 1)")
    add_detections(many)
    many.set_defaults(answer=_backfill)

    missing = commands.add_parser("gaps", parents=[common], help="windows that no run covers, and why")
    add_period(missing)
    missing.set_defaults(answer=_gaps)

    late = commands.add_parser(
        "catch-up", parents=[common], help="run again what late rows could change; cheap if none"
    )
    late.set_defaults(answer=_catch_up)


def _backfill(args: Namespace) -> int:
    settings = settings_of(args)
    period = period_of(args)
    if period is None and not args.gaps:
        raise UsageError("a backfill needs a period", hint="give --start and --end, or --gaps for all that is missing")
    chunk = size_of_chunk(args.chunk)
    chosen = select_detections(settings, args.detection)
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = with_exclusions(chosen, settings, spark)
    within = None
    if args.gaps:
        missing = gaps_of(Lake(spark, settings), chosen, period, datetime.now(timezone.utc))
        within = [g.window for g in missing]
        if not within:
            return _nothing_missing(args, chosen)
        period = Window(within[0].start, within[-1].end)
    assert period is not None  # else it was an error, or there were gaps
    with progress("backfill", quiet=args.json) as tell:
        done = backfill(
            spark, settings, period, chosen.detections, exclusions=chosen.exclusions, broken=chosen.broken,
            within=within, chunk=chunk, parallel=args.parallel, tell=tell,
        )  # fmt: skip
    if args.json:
        print_json(
            {
                "start": period.start,
                "end": period.end,
                "findings": done.findings,
                "chunks": [as_dict(r) for r in done.reports],
                "skipped": [{"start": w.start, "end": w.end} for w in done.skipped],
                "broken": chosen.broken,
            }
        )
    else:
        say(f"{len(done.reports)} chunks evaluated, {done.findings} findings; {len(done.skipped)} were done already")
    return exit_code_of(chosen)


def _catch_up(args: Namespace) -> int:
    settings = settings_of(args)
    chosen = select_detections(settings, [])
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = with_exclusions(chosen, settings, spark)
    with progress("catch-up", quiet=args.json) as tell:
        done = catch_up(spark, settings, chosen, tell=tell)
    if args.json:
        windows = [as_dict(r) for r in done.reports]
        print_json({"looked": done.looked, "windows": windows, "findings": done.findings, "broken": chosen.broken})
    elif not done.looked:
        say("nothing is late: no table has changed since the last look")
    else:
        say(f"{len(done.reports)} windows held what late rows could change; {done.findings} findings in them now")
    return exit_code_of(chosen)


def _nothing_missing(args: Namespace, chosen: Selection) -> int:
    if args.json:
        print_json({"findings": 0, "chunks": [], "skipped": [], "broken": chosen.broken})
    else:
        say("nothing is missing")
    return exit_code_of(chosen)


def _gaps(args: Namespace) -> None:
    settings, period = settings_of(args), period_of(args)
    chosen = select_detections(settings, [])
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = with_exclusions(chosen, settings, spark)
    found = gaps_of(Lake(spark, settings), chosen, period, datetime.now(timezone.utc))
    if args.json:
        print_json({"gaps": [{"start": g.window.start, "end": g.window.end, "why": g.why} for g in found]})
        return
    rows = [(g.window.start, g.window.end, format_duration(g.window.end - g.window.start), g.why) for g in found]
    print_table(("start", "end", "length", "why"), rows)
    say("procnet backfill --gaps runs them" if found else "nothing is missing")


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[WindowProgress]:
    """The `WindowProgress` of a command: a bar with the time left in a terminal, a line a window elsewhere, nothing if quiet."""
    in_terminal = sys.stderr.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, disable=quiet or not in_terminal)
    task, began, skipped = bar.add_task(what, total=None), time.monotonic(), 0

    def tell(done: int, of: int, window: Window, outcome: Outcome) -> None:
        nonlocal skipped
        skipped += outcome is None
        bar.update(task, completed=done - skipped, total=of - skipped)
        if quiet or in_terminal:
            return
        if outcome is None:
            say(f"{done}/{of} {window}: done already")
            return
        told = f"{outcome.counts['findings']} findings" if isinstance(outcome, WindowReport) else "failed"
        left = (time.monotonic() - began) / (done - skipped) * (of - done)
        say(f"{done}/{of} {window}: {told}{f'; {age(timedelta(seconds=left))} left' if done < of else ''}")

    with bar:
        yield tell
