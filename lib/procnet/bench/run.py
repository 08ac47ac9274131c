"""One benchmark: make the lakes, see that every plan gives the same rows, time them in turn, and tell ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from procnet.bench import plans, shapes
from procnet.bench.measure import Step, Took, growth_exponent, interleaved
from procnet.bench.shapes import SIZES, Maker, rows_of
from procnet.contract import RUNS
from procnet.detections.catalog import load_detections, select
from procnet.errors import ProcnetError
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.detect import detect
from procnet.settings import Settings

_ONE = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
# What is measured, each over lakes of its own but for the hour's; small must end within five minutes.
PARTS = ("hour", "skew", "week", "day", "layout", "growth")
PARTS_OF = {"small": ("hour",), "medium": PARTS, "large": PARTS}
# Ratio -> the two steps.
RATIOS: dict[str, tuple[str, str]] = {
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
}


class BenchError(ProcnetError):
    """Two plans that must agree gave different rows."""


@dataclass(frozen=True)
class Result:
    """What was measured, where, on how much; `ratios` of medians, null where it was not measured."""

    day: str
    machine: str
    size: dict[str, Any]
    rows: dict[str, int]
    findings: int
    rounds: int
    seconds: dict[str, dict[str, Any]]
    ratios: dict[str, float | None]
    not_measured: dict[str, str]
    growth: dict[int, float]


def bench(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    name: str,
    rounds: int,
    tell: Callable[[str], None],
    parts: Sequence[str] = (),
) -> Result:
    """Measure one of SIZES in new lakes below `folder`, all of its PARTS or some. BenchError where plans disagree:
    nothing is timed then."""
    known = load_detections(settings.detections_folder)
    make = Maker(spark, settings, folder, SIZES[name], known, select(known, [_ONE]), rounds, tell)
    took, findings, rows, missing = dict[str, Took](), 0, dict[str, int](), dict[str, str]()
    parts = parts or PARTS_OF[name]
    if "hour" in parts:
        lake = make.lake("even", make.size)
        rows = {t: lake.read(t).count() for t in ("process_events", "network_events")}
        rivals, missing = _rivals(lake, make.hour)
        findings = _agree(make, lake, rivals)
        took |= interleaved(_of_hour(make, lake, rivals), rounds, tell)
    for part, measure in (("skew", shapes.skew), ("week", shapes.week), ("day", shapes.day), ("layout", shapes.layout)):
        if part in parts:
            took |= measure(make)
    growth = shapes.growth(make) if "growth" in parts else {}
    ratios = {r: _ratio(took, pair) for r, pair in RATIOS.items()} | {"growth_exponent": growth_exponent(growth)}
    return Result(
        day=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        machine=f"{platform.machine()}, {os.cpu_count()} cores, {spark.conf.get('spark.driver.memory')} heap",
        size={"name": name, **asdict(make.size)},
        rows=rows,
        findings=findings,
        rounds=rounds,
        seconds={n: _told(t) for n, t in took.items()},
        ratios=ratios,
        not_measured=missing,
        growth=growth,
    )


def _agree(make: Maker, lake: Lake, rivals: Mapping[str, Callable[[], set[tuple[Any, ...]]]]) -> int:
    """How many findings there are: the same of every plan that can be right."""
    whole = plans.ours(lake, make.one, make.hour)
    mine = _answers(None if whole is None else whole.select(*plans.ANSWER))
    for rival, rows in rivals.items():
        if rival != "literal" and (theirs := rows()) != mine:
            raise BenchError(
                f"{rival} gives {len(theirs)} rows, {len(theirs & mine)} of them as ours gives {len(mine)}"
            )
    before = Window(make.hour.start - timedelta(hours=1), make.hour.start)
    for asked in (make.one, make.known):
        plans.leave_state(lake, asked, before)
        if (carried := _findings(plans.carrying(lake, asked, make.hour))) != _findings(
            plans.ours(lake, asked, make.hour)
        ):
            raise BenchError(f"with state there are {len(carried)} findings, and others than without")
    make.tell(f"{len(mine)} findings, the same with state and of {', '.join(r for r in rivals if r != 'literal')}")
    return len(mine)


def _of_hour(make: Maker, lake: Lake, rivals: Mapping[str, Step]) -> dict[str, Step]:
    hour = make.hour
    empty = Window(hour.end + timedelta(days=3), hour.end + timedelta(days=3, hours=1))
    return {
        "floor": lambda: plans.floor(lake, hour),
        "one": lambda: rows_of(plans.ours(lake, make.one, hour)),
        "family": lambda: rows_of(plans.ours(lake, make.known, hour)),
        "hour_floor": lambda: plans.hour_floor(lake, hour),
        "state_one": lambda: rows_of(plans.carrying(lake, make.one, hour)),
        "state_family": lambda: rows_of(plans.carrying(lake, make.known, hour)),
        **rivals,
        "empty": lambda: detect(lake.spark, lake.settings, empty, make.one),
        "append": lambda: lake.append("runs", lake.spark.createDataFrame([], RUNS)),
    }


def _told(took: Took) -> dict[str, Any]:
    return {"median": took.median, "least": min(took.warm), "most": max(took.warm), "cold": took.cold}


def _answers(frame: DataFrame | None) -> set[tuple[Any, ...]]:
    return set() if frame is None else {tuple(r)[: len(plans.ANSWER)] for r in frame.collect()}


def _findings(frame: DataFrame | None) -> set[tuple[Any, ...]]:
    return set() if frame is None else {tuple(r) for r in frame.select("finding_id", "process_time").collect()}


def _rivals(lake: Lake, hour: Window) -> tuple[dict[str, Callable[[], set[tuple[Any, ...]]]], dict[str, str]]:
    """What gives each rival's rows, and why some are not there."""
    missing: dict[str, str] = {}
    found: dict[str, Callable[[], set[tuple[Any, ...]]]] = {
        "literal": lambda: _answers(plans.literal(lake, hour)),
        "naive": lambda: _answers(plans.naive(lake, hour)),
        "union_last": lambda: _answers(plans.union_last(lake, hour)),
    }
    try:
        plans.tempo(lake, hour)
        found["tempo"] = lambda: _answers(plans.tempo(lake, hour))
    except Exception as e:  # it is another's, and may fail in its own ways
        missing["tempo"] = f"{type(e).__name__}: {e}"[:200]
    try:
        import duckdb
    except ImportError as e:
        missing["duckdb"] = str(e)
        return found, missing
    files = {
        t: [f.removeprefix("file:").replace("///", "/") for f in lake.read(t).inputFiles()]
        for t in ("process_events", "network_events")
    }
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    session.execute(f"SET threads = {os.cpu_count() or 1}")

    def ask(sql: str) -> set[tuple[Any, ...]]:
        return {(h, _naive(t), p, d, _naive(s)) for h, t, p, d, s, *_ in session.execute(sql).fetchall()}

    for name, sql in plans.duckdb_sql(files, hour).items():
        found[name] = lambda sql=sql: ask(sql)  # type: ignore[misc]
    return found, missing


def _naive(at: datetime) -> datetime:
    """As Spark's `collect` gives it: of this process's zone, without one."""
    return at.astimezone().replace(tzinfo=None)


def _ratio(took: Mapping[str, Took], pair: tuple[str, str]) -> float | None:
    if any(name not in took for name in pair):
        return None
    return round(took[pair[0]].median / took[pair[1]].median, 3)
