"""`procnet demo`: a made-up fleet from raw records to findings, compared with its known answers."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from procnet.cli.findings import TABLE_COLUMNS, print_findings
from procnet.cli.options import Commands, settings_of
from procnet.cli.output import print_message, print_result, print_table, printable
from procnet.cli.progress import show_progress
from procnet.demo.demo import NAMES_AND_FLOWS, Demo, Detected, ingest_fleet, run_detections, write_fleet
from procnet.lake.tables import Lake
from procnet.runs.selection import Selection, enabled_exclusions, select_detections
from procnet.spark.session import SHORT_RUN, open_session

_MOST_SHOWN = 12  # findings
_WRONG_ANSWERS = 4


def add_commands(commands: Commands) -> None:
    """Adds demo."""
    option = commands.add("demo", _demo)
    option("--hosts", type=int, default=200, metavar="N", help="number of hosts, at least 2 (default: %(default)s)")
    option("--hours", type=int, default=48, metavar="N", help="length of the records in hours (default: %(default)s)")
    seed = "seed of the random numbers: the same seed makes the same records (default: %(default)s)"
    option("--seed", type=int, default=7, metavar="N", help=seed)
    option("--no-detect", action="store_true", help="only write and ingest the records (default: also detect)")


def _demo(args: Namespace) -> int:
    """Run a made-up fleet with known answers, from raw records to findings.

    It also runs the original Splunk search on the same records. The lake is --lake (default: ./demo-lake), its raw
    records are in the folder raw there.

    exit codes:
      0  the findings are the known answers
      4  they are not
    """
    args.lake = args.lake or Path("demo-lake")
    settings = settings_of(args)
    print_message(f"a fleet of {args.hosts} hosts over {args.hours} hours: raw records -> {settings.lake}")
    start = time.monotonic()
    with ThreadPoolExecutor(1) as pool:  # the records are written while the JVM starts
        fleet = pool.submit(write_fleet, settings, hosts=args.hosts, hours=args.hours, seed=args.seed)
        lake = Lake(open_session({**SHORT_RUN, **settings.spark}, lake=settings.local_lake), settings)
        started = time.monotonic() - start
        demo = ingest_fleet(lake, fleet.result(), now=datetime.now(timezone.utc))
    if not args.no_detect:
        with show_progress("backfill", quiet=args.json) as progress:
            demo = run_detections(lake, demo, _enabled(lake), progress)
    seconds = {"session and records": started, **demo.seconds}
    print_result(args, _as_dict(demo, seconds), lambda: print_demo(demo, seconds, settings.lake))
    return 0 if demo.detected is None or demo.detected.is_right else _WRONG_ANSWERS


def _enabled(lake: Lake) -> Selection:
    """The enabled detections and exclusions."""
    selection = select_detections(lake.settings, [])
    return selection.replacing(exclusions=enabled_exclusions(lake.settings, lake.spark))


def _as_dict(demo: Demo, seconds: dict[str, float]) -> dict[str, Any]:
    value: dict[str, Any] = {
        "start": demo.fleet.start,
        "end": demo.fleet.end,
        "records": dict(demo.fleet.counts),
        "ingested": demo.ingested.as_dict(),
        "ingested_flows": demo.flows.as_dict(),
        "seconds": {k: round(v, 2) for k, v in seconds.items()},
    }
    if (detected := demo.detected) is not None:
        score, search = detected.score, detected.splunk_search
        value |= {
            "findings": score.findings,
            "right": score.right,
            "wrong": len(score.wrong),
            "missed": len(score.missed),
            "misnamed": len(score.misnamed),
            "hours_again": detected.hours_again,
            "unchanged": detected.unchanged,
            "original_search": {"rows": search.rows, "wrong": search.wrong, "missed": search.missed},
        }
    return value


def print_demo(demo: Demo, seconds: dict[str, float], lake: Path | str | None) -> None:
    """Prints the result of the demo for a terminal of 100 columns; `seconds` by stage."""
    print_table(("records", "count"), demo.ingested.lines(), title="\ningested")
    flows = [(what, count) for what, count in demo.flows.lines() if count]
    print_table(("records", "count"), flows, title="\ningested of the network sensor")
    if demo.detected is not None:
        _print_detected(demo.detected)
    sys.stdout.write(f"\nseconds: {', '.join(f'{name} {value:.1f}' for name, value in seconds.items())}\n")
    sys.stdout.write(
        f"""
next:
  the findings as JSON lines     procnet findings --lake {lake} --format json
  the detection and its limits   procnet detections show b0fd38c7
  tables and runs                procnet status --lake {lake}
  your own Sysmon records        procnet ingest --lake DIR --source windows_flat FILE
"""
    )


def _print_detected(detected: Detected) -> None:
    score, search = detected.score, detected.splunk_search
    first = detected.rows[:_MOST_SHOWN]
    print_findings(first, title=f"\nfindings, the first {len(first)} of {score.findings}")
    attributions = Counter(r["attribution"] for r in detected.rows)
    sys.stdout.write(f"\nattribution: {_counts(attributions)}\n")
    _print_names_and_flows(detected)
    print_table(
        ("", "rows", "right", "wrong", "missed"),
        [
            ("procnet", score.findings, score.right, len(score.wrong), len(score.missed)),
            ("the original search", search.rows, search.rows - search.wrong, search.wrong, search.missed),
        ],
        title="\ncompared with the known answers",
    )
    reasons = [("wrong", n, why) for why, n in search.why_wrong.items()]
    reasons += [("missed", n, why) for why, n in search.why_missed.items()]
    print_table(("", "rows", "why"), reasons, title="\nwhere the original search fails on the same records")
    same = "the same findings, byte for byte" if detected.unchanged else "OTHER findings: this is a bug"
    sys.stdout.write(f"\nthe last {detected.hours_again} hours evaluated again, window by window: {same}\n")
    for word, rows in (("WRONG", score.wrong), ("MISNAMED", score.misnamed)):
        for row in rows[:5]:
            columns = TABLE_COLUMNS if word == "WRONG" else (*TABLE_COLUMNS, *NAMES_AND_FLOWS)
            sys.stdout.write(f"{word} {', '.join(f'{c} {printable(row[c])}' for c in columns)}\n")
    for answer in score.missed[:5]:
        sys.stdout.write(f"MISSED {answer}\n")


def _print_names_and_flows(detected: Detected) -> None:
    """Prints in a line each what DNS queries and the network sensor add to the findings, and whether it is right."""
    kinds = Counter(r["dest_name_by"] or "none" for r in detected.rows)
    disguised = sum(r["dest_name"] != r["dest_host"] is not None for r in detected.rows)
    flows = sum(r["flow_uid"] is not None for r in detected.rows)
    misnamed = len(detected.score.misnamed)
    same = f"{misnamed} OTHERS than the fleet wrote: this is a bug" if misnamed else "all as the fleet wrote them"
    sys.stdout.write(
        f"""names: {_counts(kinds)}; {disguised} differ from the reverse look-up
flows: {flows} findings have a flow of the network sensor: bytes, duration, server name
names and flows: {same}
"""
    )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{what} {n}" for what, n in counter.most_common())
