"""The benchmark of one window: write the lakes, check that all plans return the same rows, time them, and give ratios.

Compare the ratios; seconds are those of one machine.
"""

from __future__ import annotations

import os
import platform
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from bench import lake_shapes, plans
from bench.lake_shapes import SIZES, Setup, find, find_with_state
from bench.plot import plot
from bench.result import Result
from bench.rivals import ANSWER, Answers, Rivals, answers_of, rivals_of
from bench.session import temporary_lakes
from bench.timing import Seconds, Step, growth_exponent
from procnet import detect
from procnet.cli.options import whole_number
from procnet.cli.output import print_message, print_table
from procnet.contract import RUNS
from procnet.detections.catalog import load_detections, select
from procnet.errors import ProcnetError
from procnet.lake.tables import Lake
from procnet.periods import Window

ONE_DETECTION = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
# Every part but the hour makes lakes of its own. The small size must end within five minutes.
PARTS = ("hour", "skew", "week", "day", "layout", "names", "growth")
PARTS_OF = {"small": ("hour",), "medium": PARTS, "large": PARTS}
RATIOS: dict[str, tuple[str, str]] = {  # of the median seconds of two steps
    "state_to_floor": ("state_one", "hour_floor"),
    "stateless_to_floor": ("one", "floor"),
    "state_7d_to_1h": ("state_7d", "state_1h"),
    "family_to_one_state": ("state_family", "state_one"),
    "family_to_one_stateless": ("family", "one"),
    "union_to_ours": ("union_last", "one"),
    "naive_to_ours": ("naive", "one"),
    "tempo_to_ours": ("tempo", "one"),
    "ours_to_duckdb": ("one", "duckdb"),
    "skewed_to_even": ("skewed", "even"),
    "day_to_24_hours": ("day", "24_hours"),
    "empty_to_append": ("empty", "append"),
    "named_to_bare_one": ("named_one", "bare_one"),
    "named_to_bare_sharing": ("named_sharing", "bare_sharing"),
    "named_to_bare_family": ("named_family", "bare_family"),
}


class BenchError(ProcnetError):
    """Two plans that must agree returned different rows."""


def add_options(parser: ArgumentParser) -> None:
    """The options of this measurement."""
    parser.add_argument("--size", choices=SIZES, default="small", help="small ends within five minutes on two cores")
    parser.add_argument("--rounds", type=whole_number(1), default=5, help="warm rounds (default: 5)")
    parser.add_argument(
        "--only", action="append", choices=PARTS, default=[], metavar="PART", help=f"of {', '.join(PARTS)}; repeatable"
    )
    parser.add_argument("--plot", type=Path, metavar="F.svg", help="draw the medians here")


def run(args: Namespace) -> dict[str, Any]:
    """Measure as the options say, print the figures unless `--json`, and return them."""
    with temporary_lakes(args) as (spark, settings, folder):
        every = load_detections(settings.detections_folder)
        one = select(every, [ONE_DETECTION])
        setup = Setup(spark, settings, folder, SIZES[args.size], every, one, args.rounds, print_message)
        result = measure(setup, args.size, args.only)
    if args.plot:
        args.plot.write_text(plot(result), encoding="utf-8")
    if not args.json:
        _print(result)
    return asdict(result)


def measure(setup: Setup, name: str, parts: Sequence[str] = ()) -> Result:
    """Measure `parts`, or all parts of the size `name`, in new lakes. BenchError, before any timing, where plans
    disagree."""
    seconds, findings, rows, missing = dict[str, Seconds](), 0, dict[str, int](), dict[str, str]()
    parts = parts or PARTS_OF[name]
    if "hour" in parts:
        lake = setup.new_lake("even", setup.size)
        rows = {t: lake.read(t).count() for t in ("process_events", "network_events")}
        rivals = rivals_of(lake, setup.hour)
        missing = dict(rivals.missing)
        findings = check_agreement(setup, lake, rivals)
        seconds |= setup.time(_steps_of_hour(setup, lake, rivals))
    for part in ("skew", "week", "day", "layout", "names"):
        if part in parts:
            seconds |= getattr(lake_shapes, part)(setup)
    growth = lake_shapes.growth(setup) if "growth" in parts else {}
    ratios = {r: _ratio(seconds, pair) for r, pair in RATIOS.items()} | {"growth_exponent": growth_exponent(growth)}
    heap = setup.spark.conf.get("spark.driver.memory")
    return Result(
        day=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {heap} heap",
        size={"name": name, **asdict(setup.size)},
        rows=rows,
        findings=findings,
        rounds=setup.rounds,
        seconds={step: s.summary() for step, s in seconds.items()},
        ratios=ratios,
        not_measured=missing,
        growth=growth,
    )


def check_agreement(setup: Setup, lake: Lake, rivals: Rivals) -> int:
    """Number of findings of the one detection in the hour. BenchError unless all plans that are right return them, and
    state changes none."""
    ours = answers_to_question(plans.findings_of(lake, setup.one_detection, setup.hour))
    for rival, answer in rivals.right.items():
        if (theirs := answer()) != ours:
            raise BenchError(
                f"{rival} returns {len(theirs)} rows, {len(theirs & ours)} of them among the {len(ours)} of procnet"
            )
    for detections in (setup.one_detection, setup.all_detections):
        plans.write_state(lake, detections, setup.hour_before)
        with_state = _ids(plans.findings_with_state(lake, detections, setup.hour))
        if with_state != _ids(plans.findings_of(lake, detections, setup.hour)):
            raise BenchError(f"with state there are {len(with_state)} findings, and not those without state")
    setup.log(f"{len(ours)} findings, the same with state and by {', '.join(rivals.right)}")
    return len(ours)


def answers_to_question(findings: DataFrame | None) -> Answers:
    """The answers of findings, as the rivals return them."""
    return set() if findings is None else answers_of(findings.select(*ANSWER))


def _ids(findings: DataFrame | None) -> set[tuple[Any, ...]]:
    return set() if findings is None else {tuple(r) for r in findings.select("finding_id", "process_time").collect()}


def _steps_of_hour(setup: Setup, lake: Lake, rivals: Rivals) -> dict[str, Step]:
    hour, one, every = setup.hour, setup.one_detection, setup.all_detections
    empty = Window(hour.end + timedelta(days=3), hour.end + timedelta(days=3, hours=1))
    return {
        "floor": lambda: plans.scan_lookback(lake, hour),
        "one": find(lake, one, hour),
        "family": find(lake, every, hour),
        "hour_floor": lambda: plans.scan_window(lake, hour),
        "state_one": find_with_state(lake, one, hour),
        "state_family": find_with_state(lake, every, hour),
        **rivals.answers,
        "empty": lambda: detect(lake.spark, lake.settings, empty, one),
        "append": lambda: lake.append("runs", lake.spark.createDataFrame([], RUNS)),
    }


def _ratio(seconds: Mapping[str, Seconds], pair: tuple[str, str]) -> float | None:
    if any(name not in seconds for name in pair):
        return None
    return round(seconds[pair[0]].median / seconds[pair[1]].median, 3)


def _print(result: Result) -> None:
    facts = [result.day, result.machine, f"{result.size['hosts']} hosts"]
    facts += [f"{count:,} {table.replace('_', ' ')}" for table, count in result.rows.items()]
    facts += [f"{result.findings} findings"] if result.rows else []
    print_message(", ".join([*facts, f"{result.rounds} warm rounds"]))
    floor = result.seconds["floor"]["median"] if "floor" in result.seconds else None
    print_table(
        ("step", "median s", "least", "most", "cold", "x the bare scans"),
        [
            (
                step,
                *(round(s[k], 2) for k in ("median", "least", "most", "cold")),
                None if floor is None else round(s["median"] / floor, 2),
            )
            for step, s in result.seconds.items()
        ],
    )
    print_table(("connections", "median s"), [(f"{n:,}", round(s, 2)) for n, s in result.growth.items()])
    print_table(("ratio", ""), [(n, "not measured" if r is None else round(r, 2)) for n, r in result.ratios.items()])
    for rival, reason in result.not_measured.items():
        print_message(f"{rival} was not measured: {reason}")
