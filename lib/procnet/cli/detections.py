"""Commands on detections: list, show, lint, test, stats, import. Only `stats` needs a lake."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from procnet.cli.options import period_of, settings_of
from procnet.cli.output import print_json, print_table, say, shown
from procnet.contract import ATTRIBUTIONS
from procnet.detections.catalog import load_detections, select
from procnet.detections.detection import Detection
from procnet.detections.true_positives import load_required, unknown, with_required
from procnet.detections.version_lock import check_lock, read_lock, write_lock
from procnet.errors import DetectionError, UsageError
from procnet.periods import format_duration
from procnet.predicates.describe import describe
from procnet.runs.selection import select_detections
from procnet.settings import Settings
from procnet.vocabulary import severity


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """detections list, show, lint, test, stats, import."""
    top = commands.add_parser("detections", help="the catalogue of detections")
    what = top.add_subparsers(dest="what", required=True, metavar="list|show|lint|test|stats|import")

    listing = what.add_parser("list", parents=[common], help="all detections, and which are enabled")
    listing.set_defaults(answer=_list)

    show = what.add_parser("show", parents=[common], help="one detection: what it asks, scores and misses")
    show.add_argument("detection", metavar="ID_OR_FILE")
    show.set_defaults(answer=_show)

    lint = what.add_parser("lint", parents=[common], help="check files, all errors at once, and the lock")
    lint.add_argument("paths", nargs="*", type=Path, metavar="FILE", help="default: the whole folder")
    lint.add_argument("--lock", action="store_true", help="write detections.lock anew: this is a release")
    lint.set_defaults(answer=_lint)

    test = what.add_parser("test", parents=[common], help="run the cases inside the files")
    test.add_argument("detection", nargs="*", metavar="ID_OR_FILE", help="default: all of the folder")
    test.set_defaults(answer=_test)

    stats = what.add_parser("stats", parents=[common], help="what each found over a period: hosts, programs, places")
    stats.add_argument("--start", metavar="TIME", help="ISO 8601 with a zone; default: all findings")
    stats.add_argument("--end", metavar="TIME")
    stats.set_defaults(answer=_stats)

    sigma = what.add_parser("import", parents=[common], help="a Sigma rule, or a pair of them -> a detection file")
    sigma.add_argument(
        "rules", nargs="+", type=Path, metavar="RULE", help="process_creation, network_connection, or both"
    )
    sigma.add_argument(
        "--output", type=Path, metavar="FILE", help="write there (default: stdout); nothing is overwritten"
    )
    sigma.set_defaults(answer=_import)


def _catalogue(settings: Settings) -> tuple[Detection, ...]:
    return load_detections(settings.detections_folder)


def _list(args: Namespace) -> None:
    settings = settings_of(args)
    detections = _catalogue(settings)
    enabled = {d.id for d in select(detections, list(settings.detections.enabled))}
    rows = [
        (d.id, d.name, d.version, d.status, d.risk.score, ", ".join(d.annotations.mitre_attack), d.id in enabled)
        for d in detections
    ]
    names = ("id", "name", "version", "status", "score", "attack", "enabled")
    if args.json:
        print_json({"detections": [dict(zip(names, r, strict=True)) for r in rows]})
    else:
        # The first part of an id says which it is, here and wherever one is asked for.
        print_table(names, [(r[0][:8], *r[1:-1], "yes" if r[-1] else "") for r in rows])


def _show(args: Namespace) -> None:
    (d,) = select(_catalogue(settings_of(args)), [args.detection])
    asks = {
        "process": describe(d.process) if d.process else "any",
        "network": describe(d.network) if d.network else "any",
        "lookback": format_duration(d.lookback),
    }
    if args.json:
        print_json({**d.written.model_dump(mode="json"), "asks": asks, "fingerprint": d.fingerprint})
        return
    rows = [
        ("id", d.id),
        ("name", f"{d.name} (version {d.version}, {d.status})"),
        ("process", asks["process"]),
        ("network", asks["network"]),
        ("lookback", asks["lookback"]),
        ("risk", f"{d.risk.score} ({severity(d.risk.score)}) on {', '.join(o.field for o in d.risk.objects)}"),
        ("message", d.risk.message),
        ("attack", ", ".join(d.annotations.mitre_attack)),
        ("misses", d.written.misses),
        ("false positives", d.written.false_positives),
        ("cases", len(d.cases)),
        ("file", str(d.path)),
    ]
    print_table(("", ""), rows)


def _lint(args: Namespace) -> None:
    settings = settings_of(args)
    detections = load_detections(args.paths) if args.paths else _catalogue(settings)
    if not args.paths:
        folder = settings.detections_folder
        if problems := unknown(load_required(settings.required_file), detections):
            raise DetectionError([f"{settings.required_file}: {p}" for p in problems])
        if args.lock:
            say(f"written: {write_lock(folder, detections)}")
        elif problems := check_lock(detections, read_lock(folder)):
            raise DetectionError(problems, hint="procnet detections lint --lock, once the versions are right")
    if args.json:
        print_json({"detections": len(detections), "problems": []})
    else:
        say(f"{len(detections)} detections, no problem")


def _test(args: Namespace) -> int:
    from procnet.runs.regression import run_cases
    from procnet.spark.session import open_session

    settings = settings_of(args)
    everything = load_detections([]) if all(map(_is_file, args.detection)) and args.detection else _catalogue(settings)
    detections = select(everything, args.detection) if args.detection else everything
    detections = with_required(detections, load_required(settings.required_file))
    results = run_cases(open_session(settings.spark), detections, settings)
    failed = [r for r in results if r.problem]
    if args.json:
        told = [
            {"detection": r.detection.id, "case": r.case.name, "defect": r.case.defect, "problem": r.problem}
            for r in results
        ]
        print_json({"cases": len(results), "failed": len(failed), "results": told})
    else:
        for r in failed:
            sys.stdout.write(f"FAILED {r.detection.name}: {r.case.name}\n  {r.problem}\n  {r.case.model_dump()}\n")
        sys.stdout.write(f"{len(results) - len(failed)} of {len(results)} cases hold, {len(detections)} detections\n")
    return 2 if failed else 0


def _stats(args: Namespace) -> None:
    from procnet.findings.stats import by_detection
    from procnet.lake.tables import Lake
    from procnet.spark.filters import in_period
    from procnet.spark.session import open_session

    settings, period = settings_of(args), period_of(args)
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    findings = lake.read("findings")
    if period is not None:
        findings = findings.where(in_period(period.start, period.end, "finding_date"))
    rows = [r.asDict(recursive=True) for r in by_detection(findings).collect()]
    silent = [
        d.name for d in select_detections(settings, []).detections if d.id not in {r["detection_id"] for r in rows}
    ]
    if args.json:
        print_json({"detections": rows, "silent": silent})
        return
    print_table(
        ("detection", "findings", "excluded", "hosts", "known by", "programs", "destinations"),
        [
            (r["detection_name"], r["findings"], r["excluded"], r["hosts"],
             [f"{a} {r[a]}" for a in ATTRIBUTIONS if r[a]], _ranked(r["processes"]), _ranked(r["destinations"]))
            for r in rows
        ],
    )  # fmt: skip
    if silent:
        say(f"enabled, and found nothing: {', '.join(silent)}")


def _ranked(top: list[dict[str, Any]] | None) -> list[str]:
    return [f"{shown(t['value']) or '(unknown)'} {t['n']}" for t in top or ()]


def _import(args: Namespace) -> None:
    from procnet.sigma.convert import import_rules, read_rules

    made = import_rules([rule for path in args.rules for rule in read_rules(path)])
    if args.output is not None:
        try:
            with args.output.open("x", encoding="utf-8") as file:
                file.write(made.text)
        except FileExistsError:
            raise UsageError(f"{args.output} is there already", hint="remove it, or name another --output") from None
        except OSError as e:
            raise UsageError(f"{args.output}: cannot be written: {e.strerror}") from None
    elif not args.json:
        sys.stdout.write(made.text)
    if args.json:
        written = None if args.output is None else str(args.output)
        print_json({"detection": made.values, "not_carried": list(made.not_carried), "written": written})
        return
    for note in made.not_carried:
        say(f"not carried as it stands: {note}")
    if args.output is not None:
        say(f"written: {args.output}")


def _is_file(text: str) -> bool:
    return text.endswith((".yml", ".yaml"))
