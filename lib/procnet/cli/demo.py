"""`procnet demo`: what the demo found, as a person reads it at 100 columns, or as one JSON object."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from procnet.cli.backfill import progress
from procnet.cli.findings import ASKED, print_findings
from procnet.cli.output import print_json, print_table, say, shown
from procnet.demo.demo import Demo, Detected, bring_in, make, run_detections
from procnet.runs.selection import select_detections
from procnet.settings import Settings
from procnet.spark.session import SHORT_RUN, open_session

_SHOWN = 12


def demo(args: Namespace, settings: Settings) -> int:
    """Run the demo; exit code 4 where its findings are not the known answers."""
    say(f"a fleet of {args.hosts} hosts over {args.hours} hours: raw records -> {settings.lake}")
    mark = time.monotonic()
    with ThreadPoolExecutor(1) as beside:  # the JVM starts in a process of its own, meanwhile
        fleet = beside.submit(make, settings, hosts=args.hosts, hours=args.hours, seed=args.seed)
        spark = open_session({**SHORT_RUN, **settings.spark}, lake=settings.lake)
        started = time.monotonic() - mark
        made = bring_in(spark, settings, fleet.result(), now=datetime.now(timezone.utc))
    if not args.no_detect:
        with progress("backfill", quiet=args.json) as tell:
            made = run_detections(spark, settings, made, select_detections(settings, []).detections, tell)
    seconds = {"session and records": started, **made.seconds}
    if args.json:
        print_json(_as_dict(made, seconds))
    else:
        _print(made, seconds, settings)
    d = made.detected
    return 0 if d is None or (not d.score.wrong and not d.score.missed and d.unchanged) else 4


def _as_dict(made: Demo, seconds: dict[str, float]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "start": made.fleet.start,
        "end": made.fleet.end,
        "records": dict(made.fleet.counts),
        "ingested": made.ingested.as_dict(),
        "seconds": {k: round(v, 2) for k, v in seconds.items()},
    }
    if (d := made.detected) is not None:
        told |= {
            "findings": d.score.findings,
            "right": d.score.right,
            "wrong": len(d.score.wrong),
            "missed": len(d.score.missed),
            "hours_again": d.hours_again,
            "unchanged": d.unchanged,
            "original_search": {"rows": d.literal.rows, "wrong": d.literal.wrong, "missed": d.literal.missed},
        }
    return told


def _print(made: Demo, seconds: dict[str, float], settings: Settings) -> None:
    print_table(("records", "count"), made.ingested.lines(), title="\ningested")
    if (d := made.detected) is not None:
        _print_detected(d)
    took = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
    sys.stdout.write(f"\nseconds: {took}\n")
    lake = settings.lake
    sys.stdout.write(
        f"""
next:
  the findings, one object a line  procnet findings --lake {lake} --format json
  what was asked, what it misses   procnet detections show b0fd38c7
  tables and runs                  procnet status --lake {lake}
  your own Sysmon records          procnet ingest --lake DIR --source windows_flat FILE
"""
    )


def _print_detected(d: Detected) -> None:
    first = d.rows[:_SHOWN]
    print_findings(first, title=f"\nfindings, the first {len(first)} of {d.score.findings}")
    kinds = Counter(r["attribution"] for r in d.rows)
    sys.stdout.write(f"\nknown by: {', '.join(f'{k} {n}' for k, n in kinds.most_common())}\n")
    literal = d.literal
    print_table(
        ("", "rows", "right", "wrong", "missed"),
        [
            ("procnet", d.score.findings, d.score.right, len(d.score.wrong), len(d.score.missed)),
            ("the original search", literal.rows, literal.rows - literal.wrong, literal.wrong, literal.missed),
        ],
        title="\nagainst the answers, known by construction",
    )
    reasons = [("wrong", n, why) for why, n in literal.why_wrong.items()]
    reasons += [("missed", n, why) for why, n in literal.why_missed.items()]
    print_table(("", "rows", "why"), reasons, title="\nwhere the original search fails on the same records")
    same = "the same findings, byte for byte" if d.unchanged else "OTHER findings: this is a bug"
    sys.stdout.write(f"\nthe last {d.hours_again} hours again, window by window: {same}\n")
    for row in d.score.wrong[:5]:
        sys.stdout.write(f"WRONG {', '.join(f'{c} {shown(row[c])}' for c in ASKED)}\n")
    for answer in d.score.missed[:5]:
        sys.stdout.write(f"MISSED {answer}\n")
