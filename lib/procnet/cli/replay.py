"""`procnet replay`: recorded data held against expectations, for a person at 100 columns, a program, or a CI server."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from textwrap import fill
from typing import Any

from procnet.cli.findings import ASKED, print_findings
from procnet.cli.junit import found_wanted, to_junit
from procnet.cli.options import settings_of
from procnet.cli.output import plain, print_json, print_table, say, shown
from procnet.detections.catalog import load_detections, select
from procnet.errors import UsageError
from procnet.replay.datasets import Given, files_given, recordings
from procnet.replay.expectations import expectations_file, read_expectations
from procnet.replay.replay import Replayed, datasets_of, replay
from procnet.replay.verdicts import Row, Verdict
from procnet.runs.exclusions import enabled_exclusions
from procnet.spark.session import SHORT_RUN, open_session

_SHOWN = 5
_DOES_NOT_HOLD = 4
_HELP = "recorded data through the whole path, held against expectations; writes to no lake"
_EXIT_CODES = """exit codes: 0 all expectations hold; 2 the expectations file is wrong, or a file is not there;
3 no record of a dataset could be used; 4 an expectation does not hold, or the run failed"""


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """replay."""
    parser = commands.add_parser("replay", parents=[common], help=_HELP, description=_HELP, epilog=_EXIT_CODES)
    parser.add_argument("datasets", nargs="+", metavar="DATASET", help="raw files, folders, globs, as for ingest")
    parser.add_argument("--expect", required=True, metavar="FILE", help="what must be found: docs/replay.md")
    parser.add_argument("--junit", type=Path, metavar="F", help="write the results as JUnit XML there too")
    parser.add_argument("--source", metavar="NAME", help="format of all datasets, whatever the expectations say")
    parser.add_argument("--host", help="host of records that name none, whatever the expectations say")
    parser.set_defaults(answer=_replay)


def _replay(args: Namespace) -> int:
    settings = settings_of(args)
    catalogue = load_detections(settings.detections_folder)
    expected = read_expectations(expectations_file(args.expect), catalogue)
    given = files_given(args.datasets)
    chosen = recordings(expected, given, source=args.source, host=args.host)
    enabled = select(catalogue, list(settings.detections.enabled))
    datasets = datasets_of(expected, chosen, enabled)
    enabled_exclusions(settings)  # files with errors are told before a session starts
    unused = _unused(given, {f for c in chosen for f in c.files})
    if args.junit is not None:
        _write(args.junit, b"")  # a place that cannot be written is told before the run; an old report is gone
    spark = open_session({**SHORT_RUN, **settings.spark})
    exclusions = enabled_exclusions(settings, spark)
    done = replay(spark, settings, datasets, exclusions, now=datetime.now(timezone.utc), tell=_tell)
    if args.junit is not None:
        _write(args.junit, to_junit(done))
    if args.json:
        print_json(_as_dict(done, unused))
    else:
        for replayed in done:
            _print(replayed)
    if unused:
        say(f"{len(unused)} of the given files belong to no dataset: {_names(unused)}")
    failed = sum(len(r.failed) for r in done)
    say(f"{sum(len(r.verdicts) for r in done) - failed} of {sum(len(r.verdicts) for r in done)} expectations hold")
    return _DOES_NOT_HOLD if failed else 0


def _unused(given: Sequence[Given], used: set[str]) -> list[str]:
    return [str(g.file) for g in given if str(g.file) not in used]


def _names(files: Sequence[str]) -> str:
    return ", ".join(Path(f).name for f in files[:_SHOWN]) + (", ..." if files[_SHOWN:] else "")


def _write(place: Path, content: bytes) -> None:
    try:
        place.write_bytes(content)
    except OSError as e:
        raise UsageError(f"{place} cannot be written: {e.strerror}", hint="name a file in a folder of yours") from None


def _tell(r: Replayed) -> None:
    said = f"{len(r.failed)} of {len(r.verdicts)} do not hold" if r.failed else "all hold"
    say(f"{r.dataset.name}: {said} ({r.seconds:.1f} s)")


def _print(r: Replayed) -> None:
    counts = r.ingested
    events = f"{counts.process_events} process events, {counts.network_events} connections"
    sys.stdout.write(f"\n{_folded(f'{shown(r.dataset.name)}: {counts.read} records, {events}')}\n")
    print_table(
        ("expectation", "wanted", "found", "ok"),
        [(v.expected.label, v.expected.wanted, len(v.findings), "yes" if v.ok else "NO") for v in r.verdicts],
    )
    for verdict in r.failed:
        sys.stdout.write(f"\n{_folded(f'NO: {shown(verdict.expected.label)}')}\n")
        sys.stdout.write(f"{_folded(shown(found_wanted(verdict)), '    ')}\n")
        if verdict.findings:
            first = verdict.findings[:_SHOWN]
            print_findings(first, title=f"the first {len(first)} of {len(verdict.findings)}")


def _folded(text: str, indent: str = "") -> str:
    return fill(text, width=100, initial_indent=indent, subsequent_indent="    ", break_on_hyphens=False)


def _as_dict(done: Sequence[Replayed], unused: Sequence[str]) -> dict[str, Any]:
    return {
        "ok": not any(r.failed for r in done),
        "expectations": sum(len(r.verdicts) for r in done),
        "failed": sum(len(r.failed) for r in done),
        "datasets": [_dataset(r) for r in done],
        "unused_files": list(unused),
    }


def _dataset(r: Replayed) -> dict[str, Any]:
    period = None if r.period is None else {"start": r.period.start, "end": r.period.end}
    recording = r.dataset.recording
    how = {"files": recording.files, "source": recording.source, "host": recording.host, "period": period}
    of_it = {"ingested": r.ingested.as_dict(), "seconds": round(r.seconds, 2)}
    told: dict[str, Any] = plain({**how, **of_it, "expectations": [_verdict(v) for v in r.verdicts]})
    return told


def _verdict(v: Verdict) -> dict[str, Any]:
    asked = v.expected
    bounds = {"at_least": asked.at_least, "at_most": asked.at_most, "excluded": asked.excluded}
    result = {"wanted": asked.wanted, "found": len(v.findings), "ok": v.ok, "why": v.why}
    of_it = {"expectation": asked.label, "detections": sorted(asked.ids)}
    return {**of_it, **bounds, **result, "findings": [_finding(r) for r in v.findings[:_SHOWN]]}


def _finding(row: Row) -> dict[str, Any]:
    return {c: row[c] for c in ("finding_id", "detection_id", *ASKED, "excluded_by")}
