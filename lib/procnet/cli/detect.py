"""Commands that fill a lake and evaluate one window: init, ingest, normalize, detect, demo."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from procnet.cli.options import add_detections, add_period, period_of, settings_of
from procnet.cli.output import print_json, print_table, say
from procnet.contract import TABLES
from procnet.errors import PartlyDone
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs import detect as detecting
from procnet.runs.detect import WindowReport
from procnet.runs.selection import Selection, select_detections, with_exclusions
from procnet.settings import load_settings
from procnet.spark.session import open_session


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """init, ingest, normalize, detect, demo."""
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
    add_period(copy)
    copy.add_argument("tables", nargs="+", metavar="TABLE", help="catalog.schema.table, or a Delta or Parquet folder")
    copy.set_defaults(answer=_normalize)

    one = commands.add_parser("detect", parents=[common], help="evaluate one window (default: the last complete one)")
    add_period(one)
    add_detections(one)
    one.set_defaults(answer=_detect)

    demo = commands.add_parser("demo", parents=[common], help="a small fleet with known answers, from raw to findings")
    demo.add_argument("--hosts", type=int, default=200)
    demo.add_argument("--hours", type=int, default=48)
    demo.add_argument("--seed", type=int, default=7)
    demo.add_argument("--no-detect", action="store_true", help="make and ingest the fleet only")
    demo.set_defaults(answer=_demo)


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
    chosen = select_detections(settings, args.detection)
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = with_exclusions(chosen, settings, spark)
    report = detecting.detect(
        spark, settings, window, chosen.detections, exclusions=chosen.exclusions, broken=chosen.broken
    )
    if args.json:
        print_json({**as_dict(report), "broken": chosen.broken})
    else:
        _print(window, report)
    return exit_code_of(chosen)


def _print(window: Window, report: WindowReport) -> None:
    say(f"window {window}: {report.status}, {report.counts['findings']} findings ({report.plan})")
    print_table(("count", ""), [(v, k.replace("_", " ")) for k, v in report.counts.items()])
    if report.status == "nothing_to_read":
        say("network_events holds no row of this window: is the source late, or the period another one?")
    if report.noisy:
        say(
            f"noisy, more findings than their budget: {', '.join(report.noisy)}; procnet detections stats tells of what"
        )


def exit_code_of(chosen: Selection) -> int:
    """The exit code: what is enabled and could not run makes the run partly done, after all else was done."""
    if not chosen.broken:
        return 0
    told = "\n".join(["all else is done, but this could not be loaded:", *chosen.broken])
    say(str(PartlyDone(told, hint="mend it, and run the same period again")))
    return PartlyDone.exit_code


def as_dict(report: WindowReport) -> dict[str, Any]:
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
