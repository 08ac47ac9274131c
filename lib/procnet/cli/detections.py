"""`procnet detections`: list, show, lint, test, stats, import. `test` and `stats` need Spark, `stats` also a lake."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from procnet.cli.options import Commands, add_period, open_lake, period_of, settings_of
from procnet.cli.output import print_json, print_message, print_result, print_table, printable
from procnet.contract import ATTRIBUTIONS
from procnet.detections.catalog import load_detections, select
from procnet.detections.true_positives import load_true_positives, unknown_names, with_true_positives
from procnet.detections.version_lock import check_lock, read_lock, write_lock
from procnet.errors import DetectionError, UsageError
from procnet.findings.stats import by_detection
from procnet.periods import format_duration
from procnet.predicates.describe import describe
from procnet.runs.regression import run_cases
from procnet.runs.selection import select_detections
from procnet.spark.filters import in_period
from procnet.spark.session import open_session
from procnet.vocabulary import severity


def add_commands(commands: Commands) -> None:
    """Adds detections list, show, lint, test, stats, import."""
    names = "list|show|lint|test|stats|import"
    actions = commands.group("detections", "Detections: list, checks, statistics, Sigma import.", names)
    actions.add("list", _list)
    option = actions.add("show", _show)
    option("detection", metavar="ID_OR_FILE", help="id, first characters of the id, name, or a detection file")
    option = actions.add("lint", _lint)
    option("paths", nargs="*", type=Path, metavar="FILE", help="detection file (default: all of detections.folder)")
    option("--lock", action="store_true", help="write detections.lock anew, for a release (default: check it)")
    option = actions.add("test", _test)
    option("detection", nargs="*", metavar="ID_OR_FILE", help="detection to test (default: all of detections.folder)")
    add_period(actions.add("stats", _stats), "all findings")
    option = actions.add("import", _import)
    rules = "Sigma file: a process_creation rule, a network_connection rule, or one of each"
    option("rules", nargs="+", type=Path, metavar="RULE", help=rules)
    option("--output", type=Path, metavar="FILE", help="write the detection to this new file (default: stdout)")


def _list(args: Namespace) -> None:
    """List all detections, and which are enabled."""
    settings = settings_of(args)
    detections = load_detections(settings.detections_folder)
    enabled = {d.id for d in select(detections, list(settings.detections.enabled))}
    columns = ("id", "name", "version", "status", "score", "attack", "enabled")
    rows = [
        (d.id, d.name, d.version, d.status, d.risk.score, ", ".join(d.annotations.mitre_attack), d.id in enabled)
        for d in detections
    ]
    value = {"detections": [dict(zip(columns, row, strict=True)) for row in rows]}
    # Every command takes the first characters of an id.
    short = [(row[0][:8], *row[1:-1], "yes" if row[-1] else "") for row in rows]
    print_result(args, value, lambda: print_table(columns, short))


def _show(args: Namespace) -> None:
    """Show one detection: its conditions, risk, known gaps and false positives."""
    (d,) = select(load_detections(settings_of(args).detections_folder), [args.detection])
    conditions = {
        "process": describe(d.process) if d.process else "any",
        "network": describe(d.network) if d.network else "any",
        "lookback": format_duration(d.lookback),
    }
    rows = [
        ("id", d.id),
        ("name", f"{d.name} (version {d.version}, {d.status})"),
        *conditions.items(),
        ("risk", f"{d.risk.score} ({severity(d.risk.score)}) on {', '.join(o.field for o in d.risk.objects)}"),
        ("message", d.risk.message),
        ("attack", ", ".join(d.annotations.mitre_attack)),
        ("misses", d.written.misses),
        ("false positives", d.written.false_positives),
        ("cases", len(d.cases)),
        ("file", str(d.path)),
    ]
    value = {**d.written.model_dump(mode="json"), "asks": conditions, "fingerprint": d.fingerprint}
    print_result(args, value, lambda: print_table(("", ""), rows))


def _lint(args: Namespace) -> None:
    """Check detection files and report all errors together.

    Without a FILE it also checks detections.lock: a detection that changed needs a new version.
    """
    settings = settings_of(args)
    folder = settings.detections_folder
    detections = load_detections(args.paths or folder)
    if not args.paths:
        if problems := unknown_names(load_true_positives(settings.required_file), detections):
            raise DetectionError([f"{settings.required_file}: {p}" for p in problems])
        if args.lock:
            print_message(f"written: {write_lock(folder, detections)}")
        elif problems := check_lock(detections, read_lock(folder)):
            raise DetectionError(problems, hint="procnet detections lint --lock, once the versions are right")
    value = {"detections": len(detections), "problems": []}
    print_result(args, value, lambda: print_message(f"{len(detections)} detections, no problem"))


def _test(args: Namespace) -> int:
    """Run the cases inside the detection files.

    exit codes:
      0  all cases hold
      2  a case does not hold, or a file has errors
    """
    settings = settings_of(args)
    only_files = bool(args.detection) and all(name.endswith((".yml", ".yaml")) for name in args.detection)
    catalogue = load_detections([] if only_files else settings.detections_folder)
    detections = select(catalogue, args.detection) if args.detection else catalogue
    detections = with_true_positives(detections, load_true_positives(settings.required_file))
    results = run_cases(open_session(settings.spark), detections, settings)
    failed = [r for r in results if r.problem]
    value = {
        "cases": len(results),
        "failed": len(failed),
        "results": [
            {"detection": r.detection.id, "case": r.case.name, "defect": r.case.defect, "problem": r.problem}
            for r in results
        ],
    }
    lines = [f"FAILED {r.detection.name}: {r.case.name}\n  {r.problem}\n  {r.case.model_dump()}" for r in failed]
    lines.append(f"{len(results) - len(failed)} of {len(results)} cases hold, {len(detections)} detections")
    print_result(args, value, lambda: sys.stdout.write("\n".join(lines) + "\n"))
    return 2 if failed else 0


def _stats(args: Namespace) -> None:
    """Show what each detection found: findings, hosts, most frequent programs and destinations.

    Enabled detections without any finding are listed too.
    """
    settings, period = settings_of(args), period_of(args)
    findings = open_lake(settings).read("findings", fill_missing=True)
    if period is not None:
        findings = findings.where(in_period(period.start, period.end, "finding_date"))
    rows = [r.asDict(recursive=True) for r in by_detection(findings).collect()]
    found = {r["detection_id"] for r in rows}
    silent = [d.name for d in select_detections(settings, []).detections if d.id not in found]

    def print_text() -> None:
        print_table(
            ("detection", "findings", "excluded", "hosts", "known by", "programs", "destinations"),
            [
                (r["detection_name"], r["findings"], r["excluded"], r["hosts"],
                 [f"{a} {r[a]}" for a in ATTRIBUTIONS if r[a]], _counted(r["processes"]), _counted(r["destinations"]))
                for r in rows
            ],
        )  # fmt: skip
        if silent:
            print_message(f"enabled, without a finding: {', '.join(silent)}")

    print_result(args, {"detections": rows, "silent": silent}, print_text)


def _counted(most_frequent: list[dict[str, Any]] | None) -> list[str]:
    return [f"{printable(t['value']) or '(unknown)'} {t['n']}" for t in most_frequent or ()]


def _import(args: Namespace) -> None:
    """Convert a Sigma rule, or a pair of rules, to a detection file."""
    from procnet.sigma.convert import import_rules, read_rules

    made = import_rules([rule for path in args.rules for rule in read_rules(path)])
    if args.output is not None:
        _write_new(args.output, made.text)
    if args.json:
        written = None if args.output is None else str(args.output)
        print_json({"detection": made.values, "not_carried": list(made.not_carried), "written": written})
        return
    if args.output is None:
        sys.stdout.write(made.text)
    for note in made.not_carried:
        print_message(f"not carried as it stands: {note}")
    if args.output is not None:
        print_message(f"written: {args.output}")


def _write_new(path: Path, text: str) -> None:
    """Writes a file that must not exist yet. UsageError where it does, or cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="remove it, or name another --output") from None
    except OSError as e:
        raise UsageError(f"{path}: cannot be written: {e.strerror}") from None
