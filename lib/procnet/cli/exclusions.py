"""Commands on false positives: exclusions list and lint, and preview of any change before it is live."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from procnet.cli.options import period_of, settings_of
from procnet.cli.output import plain, print_json, print_table, say
from procnet.detections.catalog import load_detections, select
from procnet.detections.true_positives import load_required, with_required
from procnet.errors import ExclusionError, UsageError
from procnet.findings.exclusion_schema import load_exclusions


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """exclusions list, exclusions lint, preview."""
    top = commands.add_parser("exclusions", help="false positives: what is excluded, why, until when")
    what = top.add_subparsers(dest="what", required=True, metavar="list|lint")
    listing = what.add_parser("list", parents=[common], help="all exclusions, and which are enabled")
    listing.set_defaults(answer=_list)
    lint = what.add_parser("lint", parents=[common], help="refuse what hides too much; tries them on all cases")
    lint.add_argument("paths", nargs="*", type=Path, metavar="FILE", help="default: the whole folder")
    lint.set_defaults(answer=_lint)

    look = commands.add_parser("preview", parents=[common], help="what a change would add and remove; writes nothing")
    look.add_argument("--start", required=True, metavar="TIME", help="ISO 8601 with a zone, 2026-03-01T08:00Z")
    look.add_argument("--end", required=True, metavar="TIME")
    look.add_argument("--detection", action="append", default=[], metavar="FILE", help="a new or edited detection")
    look.add_argument("--exclusion", action="append", default=[], metavar="FILE", help="a new or edited exclusion")
    look.set_defaults(answer=_preview)


def _list(args: Namespace) -> None:
    from procnet.runs.exclusions import enabled_exclusions, known_exclusions
    from procnet.spark.session import open_session

    settings = settings_of(args)
    # Only a table needs Spark.
    spark = open_session(settings.spark, lake=settings.lake) if settings.exclusions.table else None
    holding = {e.id: e for e in enabled_exclusions(settings, spark)}
    known = {e.id: e for e in known_exclusions(settings)} | holding
    names = ("id", "detections", "valid_from", "valid_until", "owner", "reason", "enabled")
    rows = [
        (e.id, ", ".join(e.detections) or "all", e.valid_from, e.valid_until, e.owner, e.reason, e.id in holding)
        for _, e in sorted(known.items())
    ]
    if args.json:
        print_json({"exclusions": [plain(dict(zip(names, r, strict=True))) for r in rows]})
    else:
        print_table(
            ("id", "detections", "until", "owner", "reason", "enabled"),
            [(r[0], r[1], r[3].date().isoformat(), r[4], r[5], "yes" if r[6] else "") for r in rows],
        )


def _lint(args: Namespace) -> None:
    from procnet.runs.exclusions import enabled_exclusions, hidden_cases, known_exclusions, unknown_detections
    from procnet.spark.session import open_session

    settings = settings_of(args)
    exclusions = load_exclusions(args.paths) if args.paths else known_exclusions(settings)
    detections = load_detections(settings.detections_folder)
    spark = open_session(settings.spark, lake=settings.lake)
    if not args.paths:
        exclusions = (*exclusions, *[e for e in enabled_exclusions(settings, spark) if e not in exclusions])
    problems = unknown_detections(exclusions, detections)
    if exclusions:
        held = with_required(detections, load_required(settings.required_file))
        problems += hidden_cases(spark, exclusions, held, settings)
    if problems:
        raise ExclusionError("\n".join(problems), hint="make them narrower: a finding that a case demands must stay")
    if args.json:
        print_json({"exclusions": len(exclusions), "problems": []})
    else:
        say(f"{len(exclusions)} exclusions, no problem")


def _preview(args: Namespace) -> None:
    from procnet.runs.exclusions import hidden_cases
    from procnet.runs.preview import Setup, preview, with_detection, with_exclusion
    from procnet.runs.regression import run_cases
    from procnet.runs.selection import select_detections, with_exclusions
    from procnet.spark.session import open_session

    if not args.detection and not args.exclusion:
        raise UsageError("nothing to preview", hint="give --detection FILE or --exclusion FILE")
    settings, period = settings_of(args), period_of(args)
    assert period is not None  # argparse has asked for both times
    chosen = select_detections(settings, [])
    changed = select((), args.detection) if args.detection else ()
    tried = load_exclusions([Path(f) for f in args.exclusion])
    spark = open_session(settings.spark, lake=settings.lake)
    chosen = with_exclusions(chosen, settings, spark)
    for problem in chosen.broken:
        say(f"left out: {problem}")
    before = Setup(chosen.detections, chosen.exclusions)
    after = with_exclusion(with_detection(before, changed), tried)
    told = preview(spark, settings, period, before, after)
    required = load_required(settings.required_file)
    lost = hidden_cases(spark, tried, with_required(after.detections, required), settings)
    lost += [
        f"{r.detection.path}: {r.case.name!r}: {r.problem}"
        for r in run_cases(spark, with_required(changed, required), settings)
        if r.problem
    ]
    if args.json:
        rows = {"added": [plain(r) for r in told.added], "removed": [plain(r) for r in told.removed]}
        when = {"start": period.start.isoformat(), "end": period.end.isoformat()}
        print_json({**when, **rows, "kept": told.kept, "lost": lost})
        return
    for problem in lost:
        say(f"LOSES A TRUE POSITIVE {problem}")
    for what, of in (("added", told.added), ("removed", told.removed)):
        if of:
            _print(what, of)
    say(f"{period}: {len(told.added)} added, {len(told.removed)} removed, {told.kept} stay; nothing was written")


def _print(what: str, rows: Sequence[Mapping[str, Any]]) -> None:
    names = ("time", "host", "process", "destination", "detection")
    cells = [
        (r["event_time"], r["host"], r["process_name"], f"{r['dest_host'] or r['dest_ip']}:{r['dest_port']}",
         r["detection_name"])
        for r in rows
    ]  # fmt: skip
    print_table(names, cells, title=f"{len(rows)} {what}")
