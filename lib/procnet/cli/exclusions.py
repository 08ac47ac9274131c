"""`procnet exclusions`: list, lint; and `procnet preview`, the effect of a change before it is enabled."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from procnet.cli.options import Commands, add_period, open_lake, open_lake_and_select, period_of, settings_of
from procnet.cli.output import plain, print_message, print_result, print_table
from procnet.detections.catalog import load_detections, select
from procnet.detections.detection import Detection
from procnet.detections.true_positives import load_true_positives, with_true_positives
from procnet.errors import ExclusionError, UsageError
from procnet.findings.exclusion_schema import load_exclusions
from procnet.findings.exclusions import Exclusion
from procnet.lake.tables import Lake
from procnet.runs.preview import preview
from procnet.runs.regression import hidden_cases, run_cases
from procnet.runs.selection import Selection, enabled_exclusions, known_exclusions, unknown_detections


def add_commands(commands: Commands) -> None:
    """Adds exclusions list, exclusions lint, preview."""
    actions = commands.group("exclusions", "Exclusions of false positives: list and check.", "list|lint")
    actions.add("list", _list)
    option = actions.add("lint", _lint)
    paths = "exclusion file (default: all of exclusions.folder, and exclusions.table)"
    option("paths", nargs="*", type=Path, metavar="FILE", help=paths)
    option = commands.add("preview", _preview)
    add_period(option, "", required=True)
    for kind in ("detection", "exclusion"):
        what = f"new or edited {kind} file; repeatable (default: none)"
        option(f"--{kind}", action="append", default=[], metavar="FILE", help=what)


def _list(args: Namespace) -> None:
    """List all exclusions, and which are enabled."""
    settings = settings_of(args)
    spark = open_lake(settings).spark if settings.exclusions.table else None
    enabled = {e.id: e for e in enabled_exclusions(settings, spark)}
    known = {e.id: e for e in known_exclusions(settings)} | enabled
    columns = ("id", "detections", "valid_from", "valid_until", "owner", "reason", "enabled")
    rows = [
        (e.id, ", ".join(e.detections) or "all", e.valid_from, e.valid_until, e.owner, e.reason, e.id in enabled)
        for _, e in sorted(known.items())
    ]
    value = {"exclusions": [plain(dict(zip(columns, row, strict=True))) for row in rows]}
    cells = [(r[0], r[1], r[3].date().isoformat(), r[4], r[5], "yes" if r[6] else "") for r in rows]
    shown = ("id", "detections", "until", "owner", "reason", "enabled")
    print_result(args, value, lambda: print_table(shown, cells, shorten=("detections", "owner", "reason")))


def _lint(args: Namespace) -> None:
    """Check exclusions: errors in files, unknown detections, and cases of detections that they would hide."""
    settings = settings_of(args)
    exclusions = load_exclusions(args.paths) if args.paths else known_exclusions(settings)
    detections = load_detections(settings.detections_folder)
    spark = open_lake(settings).spark
    if not args.paths:
        exclusions = (*exclusions, *[e for e in enabled_exclusions(settings, spark) if e not in exclusions])
    problems = unknown_detections(exclusions, detections)
    if exclusions:
        required = with_true_positives(detections, load_true_positives(settings.required_file))
        problems += hidden_cases(spark, exclusions, required, settings)
    if problems:
        raise ExclusionError("\n".join(problems), hint="make them narrower: a finding that a case demands must stay")
    value = {"exclusions": len(exclusions), "problems": []}
    print_result(args, value, lambda: print_message(f"{len(exclusions)} exclusions, no problem"))


def _preview(args: Namespace) -> None:
    """Show the findings that a change of detections or exclusions would add and remove.

    Nothing is written. It also runs the cases of the detections and reports those that the change breaks.
    """
    if not args.detection and not args.exclusion:
        raise UsageError("nothing to preview", hint="give --detection FILE or --exclusion FILE")
    settings, period = settings_of(args), period_of(args)
    assert period is not None  # argparse requires both times
    detections = select((), args.detection) if args.detection else ()
    exclusions = load_exclusions([Path(f) for f in args.exclusion])
    lake, before = open_lake_and_select(settings)
    for problem in before.broken:
        print_message(f"left out: {problem}")
    after = before.replacing(detections, exclusions)
    change = preview(lake, before, after, period)
    lost = _lost_cases(lake, after, detections, exclusions)
    value = {
        "start": period.start.isoformat(),
        "end": period.end.isoformat(),
        "added": [plain(r) for r in change.added],
        "removed": [plain(r) for r in change.removed],
        "kept": change.unchanged,
        "lost": lost,
    }

    def print_text() -> None:
        for problem in lost:
            print_message(f"LOSES A TRUE POSITIVE {problem}")
        for what, rows in (("added", change.added), ("removed", change.removed)):
            if rows:
                _print_findings(rows, title=f"{len(rows)} {what}")
        counts = f"{len(change.added)} added, {len(change.removed)} removed, {change.unchanged} stay"
        print_message(f"{period}: {counts}; nothing was written")

    print_result(args, value, print_text)


def _lost_cases(
    lake: Lake, after: Selection, detections: Sequence[Detection], exclusions: Sequence[Exclusion]
) -> list[str]:
    """The problems of the cases that a change of detections and exclusions breaks."""
    spark, settings = lake.spark, lake.settings
    required = load_true_positives(settings.required_file)
    hidden = hidden_cases(spark, exclusions, with_true_positives(after.detections, required), settings)
    results = run_cases(spark, with_true_positives(detections, required), settings)
    return hidden + [f"{r.detection.path}: {r.case.name!r}: {r.problem}" for r in results if r.problem]


def _print_findings(rows: Sequence[Mapping[str, Any]], *, title: str) -> None:
    columns = ("time", "host", "process", "destination", "detection")
    cells = [
        (r["event_time"], r["host"], r["process_name"],
         f"{r['dest_name'] or r['dest_host'] or r['dest_ip']}:{r['dest_port']}", r["detection_name"])
        for r in rows
    ]  # fmt: skip
    print_table(columns, cells, title=title)
