"""`procnet replay`: compares the findings of recorded data with expectations."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from textwrap import fill
from typing import Any

from procnet.cli.findings import TABLE_COLUMNS, print_findings
from procnet.cli.junit import found_wanted, to_junit
from procnet.cli.options import Commands, settings_of
from procnet.cli.output import plain, print_message, print_result, print_table, printable
from procnet.detections.catalog import load_detections, select
from procnet.errors import UsageError
from procnet.lake.tables import Lake
from procnet.replay.datasets import given_files, recordings_of
from procnet.replay.expectations import expectations_file, read_expectations
from procnet.replay.replay import ReplayReport, datasets_of, replay
from procnet.replay.verdicts import Row, Verdict
from procnet.runs.selection import enabled_exclusions
from procnet.spark.session import SHORT_RUN, open_session

_MOST_SHOWN = 5  # findings of an expectation, names of unused files
_EXPECTATION_FAILED = 4


def add_commands(commands: Commands) -> None:
    """Adds replay."""
    option = commands.add("replay", _replay)
    option("datasets", nargs="+", metavar="DATASET", help="file, folder or glob of raw records")
    expect = "YAML file of expectations, or the name of a shipped one, such as demo; its keys: page replay of the docs"
    option("--expect", required=True, metavar="FILE", help=expect)
    option("--junit", type=Path, metavar="FILE", help="also write JUnit XML to this file (default: none)")
    option("--source", metavar="NAME", help="source of all datasets (default: the one that the expectations name)")
    option("--host", metavar="HOST", help="host name for records without one (default: that of the expectations)")


def _replay(args: Namespace) -> int:
    """Compare the findings of recorded data with a file of expectations.

    Each dataset is ingested into a temporary lake; your own lake is neither read nor written.

    exit codes:
      0  all expectations hold
      2  the expectations file is wrong, or a file is missing
      3  no record of a dataset is usable
      4  an expectation does not hold, or the run failed
    """
    settings = settings_of(args)
    catalogue = load_detections(settings.detections_folder)
    expectations = read_expectations(expectations_file(args.expect), catalogue)
    given = given_files(args.datasets)
    recordings = recordings_of(expectations, given, source=args.source, host=args.host)
    datasets = datasets_of(expectations, recordings, select(catalogue, list(settings.detections.enabled)))
    enabled_exclusions(settings)  # errors in files are reported before a session starts
    used = {file for r in recordings for file in r.files}
    unused = [str(g.file) for g in given if str(g.file) not in used]
    if args.junit is not None:
        _write(args.junit, b"")  # a path that cannot be written is reported before the run; an old report is removed
    spark = open_session({**SHORT_RUN, **settings.spark})
    exclusions = enabled_exclusions(settings, spark)
    now = datetime.now(timezone.utc)
    replayed = replay(Lake(spark, settings), datasets, exclusions, now=now, progress=_print_progress)
    if args.junit is not None:
        _write(args.junit, to_junit(replayed))
    expected, failed = sum(len(r.verdicts) for r in replayed), sum(len(r.failed) for r in replayed)
    value = {
        "ok": not failed,
        "expectations": expected,
        "failed": failed,
        "datasets": [_dataset_as_dict(r) for r in replayed],
        "unused_files": unused,
    }
    print_result(args, value, lambda: _print(replayed))
    if unused:
        names = ", ".join(Path(f).name for f in unused[:_MOST_SHOWN]) + (", ..." if unused[_MOST_SHOWN:] else "")
        print_message(f"{len(unused)} of the given files belong to no dataset: {names}")
    print_message(f"{expected - failed} of {expected} expectations hold")
    return _EXPECTATION_FAILED if failed else 0


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}", hint="name a file in a folder of yours") from None


def _print_progress(replayed: ReplayReport) -> None:
    failed, count = len(replayed.failed), len(replayed.verdicts)
    result = f"{failed} of {count} do not hold" if failed else "all hold"
    print_message(f"{replayed.dataset.name}: {result} ({replayed.seconds:.1f} s)")


def _print(replayed: Sequence[ReplayReport]) -> None:
    for r in replayed:
        counts = f"{r.ingested.process_events} process events, {r.ingested.network_events} connections"
        sys.stdout.write(f"\n{_folded(f'{printable(r.dataset.name)}: {r.ingested.read} records, {counts}')}\n")
        print_table(
            ("expectation", "wanted", "found", "ok"),
            [(v.expected.label, v.expected.wanted, len(v.findings), "yes" if v.ok else "NO") for v in r.verdicts],
        )
        for verdict in r.failed:
            _print_failed(verdict)


def _print_failed(verdict: Verdict) -> None:
    sys.stdout.write(f"\n{_folded(f'NO: {printable(verdict.expected.label)}')}\n")
    sys.stdout.write(f"{_folded(printable(found_wanted(verdict)), '    ')}\n")
    if verdict.findings:
        first = verdict.findings[:_MOST_SHOWN]
        print_findings(first, title=f"the first {len(first)} of {len(verdict.findings)}")


def _folded(text: str, indent: str = "") -> str:
    return fill(text, width=100, initial_indent=indent, subsequent_indent="    ", break_on_hyphens=False)


def _dataset_as_dict(r: ReplayReport) -> dict[str, Any]:
    recording = r.dataset.recording
    value: dict[str, Any] = plain(
        {
            "files": recording.files,
            "source": recording.source,
            "host": recording.host,
            "period": None if r.period is None else {"start": r.period.start, "end": r.period.end},
            "ingested": r.ingested.as_dict(),
            "seconds": round(r.seconds, 2),
            "expectations": [_verdict_as_dict(v) for v in r.verdicts],
        }
    )
    return value


def _verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    expected = verdict.expected
    return {
        "expectation": expected.label,
        "detections": sorted(expected.ids),
        "at_least": expected.at_least,
        "at_most": expected.at_most,
        "excluded": expected.excluded,
        "wanted": expected.wanted,
        "found": len(verdict.findings),
        "ok": verdict.ok,
        "why": verdict.why,
        "findings": [_finding_as_dict(r) for r in verdict.findings[:_MOST_SHOWN]],
    }


def _finding_as_dict(row: Row) -> dict[str, Any]:
    return {c: row[c] for c in ("finding_id", "detection_id", *TABLE_COLUMNS, "excluded_by")}
