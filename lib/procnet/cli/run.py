"""Commands that write: init, ingest, normalize, detect, backfill, catch-up, demo."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from procnet.cli.out import print_json, print_table, say
from procnet.contract import TABLES
from procnet.errors import PartlyDone, UsageError
from procnet.lake.tables import Lake
from procnet.runs import detect as detecting
from procnet.runs.backfill import backfill
from procnet.runs.chosen import Chosen, choose, excluding
from procnet.runs.detect import Report
from procnet.session import open_session
from procnet.settings import Settings, load_settings
from procnet.types import Window, parse_duration, parse_time


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """init, ingest, normalize, detect, backfill, catch-up, demo."""
    init = commands.add_parser("init", parents=[common], help="create the tables of the lake")
    init.set_defaults(answer=_init)

    ingest = commands.add_parser("ingest", parents=[common], help="raw files -> canonical tables, idempotent")
    ingest.add_argument("--source", required=True, metavar="NAME", help="name of the format, or a mapping file")
    ingest.add_argument("--host", help="host of records that name none (default: the file's name)")
    ingest.add_argument("--again", action="store_true", help="read files too that were read before and are unchanged")
    ingest.add_argument("paths", nargs="+", metavar="PATH", help="files, globs, folders; .gz too")
    ingest.set_defaults(answer=_ingest)

    copy = commands.add_parser("normalize", parents=[common], help="raw tables -> canonical tables, a window at a time")
    copy.add_argument("--source", required=True, metavar="NAME", help="name of the format, or a mapping file")
    copy.add_argument("--host", help="host of records that name none")
    _period(copy, required=False)
    copy.add_argument("tables", nargs="+", metavar="TABLE", help="catalog.schema.table, or a Delta or Parquet folder")
    copy.set_defaults(answer=_normalize)

    one = commands.add_parser("detect", parents=[common], help="evaluate one window (default: the last complete one)")
    _period(one, required=False)
    _detections(one)
    one.set_defaults(answer=_detect)

    many = commands.add_parser("backfill", parents=[common], help="evaluate a period, chunk by chunk, resumable")
    _period(many, required=False)
    many.add_argument(
        "--gaps", action="store_true", help="only what no run covers; without times: since the first run (procnet gaps)"
    )
    many.add_argument(
        "--chunk", default="1d", metavar="SIZE", help="period of one chunk, such as 1h or 1d (default 1d)"
    )
    _detections(many)
    many.set_defaults(answer=_backfill)

    late = commands.add_parser(
        "catch-up", parents=[common], help="run again what late rows could change; cheap if none"
    )
    late.set_defaults(answer=_catch_up)

    demo = commands.add_parser("demo", parents=[common], help="a small fleet with known answers, from raw to findings")
    demo.add_argument("--hosts", type=int, default=200)
    demo.add_argument("--hours", type=int, default=48)
    demo.add_argument("--seed", type=int, default=7)
    demo.add_argument("--no-detect", action="store_true", help="make and ingest the fleet only")
    demo.set_defaults(answer=_demo)


def _period(parser: ArgumentParser, *, required: bool) -> None:
    for name in ("start", "end"):
        parser.add_argument(
            f"--{name}", required=required, metavar="TIME", help="ISO 8601 with a zone, 2026-03-01T08:00Z"
        )


def _detections(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--detection", action="append", default=[], metavar="ID_OR_FILE", help="what to run (default: what is enabled)"
    )


def settings_of(args: Namespace) -> Settings:
    """The settings that the common options ask for."""
    return load_settings(args.conf, overrides=args.overrides, lake=args.lake)


def period_of(args: Namespace) -> Window | None:
    """The period of --start and --end; None where neither is given."""
    if (args.start is None) != (args.end is None):
        raise UsageError("--start and --end go together", hint="give both, or neither")
    return Window(parse_time(args.start), parse_time(args.end)) if args.start else None


def _init(args: Namespace) -> None:
    from procnet.runs.init import init

    settings = settings_of(args)
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    new = init(lake)
    if args.json:
        print_json({"created": new})
    else:
        print_table(("table", "where", ""), [(n, lake.ref(n), "new" if n in new else "was there") for n in TABLES])


def _ingest(args: Namespace) -> None:
    from procnet.runs.ingest import ingest

    settings = settings_of(args)
    spark = open_session(settings.spark, lake=settings.lake)
    now = datetime.now(timezone.utc)
    report = ingest(spark, settings, args.source, args.paths, host=args.host, again=args.again, now=now)
    if args.json:
        print_json(report.as_dict())
    else:
        print_table(("records", "count"), report.lines(), title=f"ingested as {args.source}")


def _normalize(args: Namespace) -> None:
    from procnet.runs.normalize import normalize_tables

    settings = settings_of(args)
    now = datetime.now(timezone.utc)
    window = period_of(args) or detecting.last_complete(now, settings)
    spark = open_session(settings.spark, lake=settings.lake)
    report = normalize_tables(spark, settings, args.source, args.tables, window, host=args.host, now=now)
    if args.json:
        print_json({"source": report.source, "start": window.start, "end": window.end, "rows": report.rows})
    else:
        print_table(("table", "rows now"), list(report.rows.items()), title=f"{report.source} in {window}")


def _detect(args: Namespace) -> int:
    settings = settings_of(args)
    window = period_of(args) or detecting.last_complete(datetime.now(timezone.utc), settings)
    chosen = choose(settings, args.detection)
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = excluding(chosen, settings, spark)
    report = detecting.detect(
        spark, settings, window, chosen.detections, exclusions=chosen.exclusions, broken=chosen.broken
    )
    if args.json:
        print_json({**as_dict(report), "broken": chosen.broken})
    else:
        _print(window, report)
    return _tell_broken(chosen)


def _print(window: Window, report: Report) -> None:
    say(f"window {window}: {report.status}, {report.counts['findings']} findings ({report.plan})")
    print_table(("count", ""), [(v, k.replace("_", " ")) for k, v in report.counts.items()])
    if report.status == "nothing_to_read":
        say("network_events holds no row of this window: is the source late, or the period another one?")
    if report.noisy:
        say(
            f"noisy, more findings than their budget: {', '.join(report.noisy)}; procnet detections stats tells of what"
        )


def _tell_broken(chosen: Chosen) -> int:
    """The exit code: what is enabled and could not run makes the run partly done, after all else was done."""
    if not chosen.broken:
        return 0
    told = "\n".join(["all else is done, but this could not be loaded:", *chosen.broken])
    say(str(PartlyDone(told, hint="mend it, and run the same period again")))
    return PartlyDone.exit_code


def _backfill(args: Namespace) -> int:
    from procnet.runs.gaps import gaps_of

    settings = settings_of(args)
    period = period_of(args)
    if period is None and not args.gaps:
        raise UsageError("a backfill needs a period", hint="give --start and --end, or --gaps for all that is missing")
    chunk = _chunk(args.chunk)
    chosen = choose(settings, args.detection)
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = excluding(chosen, settings, spark)
    within = None
    if args.gaps:
        missing = gaps_of(Lake(spark, settings), chosen, period, datetime.now(timezone.utc))
        within = [g.window for g in missing]
        if not within:
            return _nothing_missing(args, chosen)
        period = Window(within[0].start, within[-1].end)
    assert period is not None  # else it was an error, or there were gaps
    with chunk_progress(quiet=args.json) as tell:
        done = backfill(
            spark, settings, period, chosen.detections, exclusions=chosen.exclusions, broken=chosen.broken,
            within=within, chunk=chunk, tell=tell,
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
    return _tell_broken(chosen)


def _catch_up(args: Namespace) -> int:
    from procnet.runs.catch_up import catch_up

    settings = settings_of(args)
    chosen = choose(settings, [])
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = excluding(chosen, settings, spark)
    with chunk_progress(quiet=args.json) as tell:
        done = catch_up(spark, settings, chosen, tell=tell)
    if args.json:
        windows = [as_dict(r) for r in done.reports]
        print_json({"looked": done.looked, "windows": windows, "findings": done.findings, "broken": chosen.broken})
    elif not done.looked:
        say("nothing is late: no table has changed since the last look")
    else:
        say(f"{len(done.reports)} windows held what late rows could change; {done.findings} findings in them now")
    return _tell_broken(chosen)


def _nothing_missing(args: Namespace, chosen: Chosen) -> int:
    if args.json:
        print_json({"findings": 0, "chunks": [], "skipped": [], "broken": chosen.broken})
    else:
        say("nothing is missing")
    return _tell_broken(chosen)


def _chunk(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as e:
        raise UsageError(f"--chunk: {e}", hint="write --chunk 1d or --chunk 1h") from None


class chunk_progress:  # noqa: N801
    """Progress of a backfill: a bar with time left in a terminal, a line a chunk elsewhere, nothing when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, disable=quiet or not sys.stderr.isatty())
        self._lines = not quiet and not sys.stderr.isatty()
        self._task = self._bar.add_task("backfill", total=None)

    def __enter__(self) -> Any:
        self._bar.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, done: int, of: int, window: Window, report: Report | None) -> None:
        self._bar.update(self._task, completed=done, total=of)
        if self._lines:
            what = f"{report.counts['findings']} findings" if report else "not run: done already, or failed"
            say(f"{done}/{of} {window}: {what}")


def as_dict(report: Report) -> dict[str, Any]:
    """A window's report for `--json`."""
    return {
        "run_id": report.run_id,
        "start": report.window.start,
        "end": report.window.end,
        "status": report.status,
        "plan": report.plan,
        "counts": report.counts,
        "seconds": report.seconds,
        "noisy": report.noisy,
    }


def _demo(args: Namespace) -> int:
    from procnet.cli.demo import demo

    return demo(args, load_settings(args.conf, overrides=args.overrides, lake=args.lake or Path("demo-lake")))
