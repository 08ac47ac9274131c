"""One benchmark: make the lakes, see that every plan gives the same rows, time them in turn, and tell ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from procnet.bench import plans
from procnet.bench.lake import Size, write_lake
from procnet.bench.measure import Step, Took, growth_exponent, interleaved
from procnet.contract import RUNS
from procnet.detections.catalog import load_detections, select
from procnet.detections.detection import Detection
from procnet.errors import ProcnetError
from procnet.lake.tables import Lake
from procnet.runs.backfill import backfill
from procnet.runs.detect import detect
from procnet.settings import Settings
from procnet.types import Window

SIZES = {
    "small": Size(hosts=100, hours=25),
    "medium": Size(hosts=500, hours=25),
    "large": Size(hosts=2000, hours=25),
}
GROWTH = {"small": (), "medium": (0.1, 1), "large": (0.1, 1, 4)}  # of the size's connections
_ONE = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
# Ratio -> the two steps. The state is not built yet, so its ratios are null.
RATIOS: dict[str, tuple[str, str] | None] = {
    "state_to_floor": None,
    "stateless_to_floor": ("one", "floor"),
    "state_7d_to_1h": None,
    "family_to_one_state": None,
    "family_to_one_stateless": ("family", "one"),
    "union_to_ours": ("union_last", "one"),
    "naive_to_ours": ("naive", "one"),
    "tempo_to_ours": ("tempo", "one"),
    "ours_to_duckdb": ("one", "duckdb"),
    "skewed_to_even": ("skewed", "one"),
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
    spark: SparkSession, settings: Settings, folder: Path, name: str, rounds: int, tell: Callable[[str], None]
) -> Result:
    """Measure one of SIZES in new lakes below `folder`. BenchError where plans disagree: nothing is timed then."""
    size = SIZES[name]
    lake = _lake(spark, settings, folder / "even", size, tell)
    skewed = _lake(spark, settings, folder / "skewed", replace(size, skewed=True), tell)
    known = load_detections(settings.detections_folder)
    one, hour = select(known, [_ONE]), size.last_hour
    rivals, missing = _rivals(lake, hour)
    whole = plans.ours(lake, one, hour)
    mine = _answers(None if whole is None else whole.select(*plans.ANSWER))
    for rival, rows in rivals.items():
        if rival != "literal" and (theirs := rows()) != mine:
            raise BenchError(
                f"{rival} gives {len(theirs)} rows, {len(theirs & mine)} of them as ours gives {len(mine)}"
            )
    tell(f"{len(mine)} findings, the same of {', '.join(r for r in rivals if r != 'literal')}")
    empty = Window(hour.end + timedelta(days=3), hour.end + timedelta(days=3, hours=1))
    steps: dict[str, Step] = {
        "floor": lambda: plans.floor(lake, hour),
        "one": lambda: _rows(plans.ours(lake, one, hour)),
        "family": lambda: _rows(plans.ours(lake, known, hour)),
        "skewed": lambda: _rows(plans.ours(skewed, one, hour)),
        **rivals,
        "empty": lambda: detect(spark, lake.settings, empty, one),
        "append": lambda: lake.append("runs", spark.createDataFrame([], RUNS)),
    }
    took = interleaved(steps, rounds, tell)
    took |= _day(spark, settings, folder / "day", one, size, tell)
    growth = {}
    for times in GROWTH[name]:
        some = replace(size, hosts=max(1, int(size.hosts * times)))
        there = lake if times == 1 else _lake(spark, settings, folder / f"of_{some.hosts}", some, tell)
        measured = interleaved({"one": lambda there=there: _rows(plans.ours(there, one, hour))}, rounds, tell)  # type: ignore[misc]
        growth[some.hosts * some.connections] = measured["one"].median
    ratios = {r: _ratio(took, pair) for r, pair in RATIOS.items()} | {"growth_exponent": growth_exponent(growth)}
    return Result(
        day=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        machine=f"{platform.machine()}, {os.cpu_count()} cores",
        size={"name": name, **asdict(size)},
        rows={t: lake.read(t).count() for t in ("process_events", "network_events")},
        findings=len(mine),
        rounds=rounds,
        seconds={n: _told(t) for n, t in took.items()},
        ratios=ratios,
        not_measured=missing,
        growth=growth,
    )


def _told(took: Took) -> dict[str, Any]:
    return {"median": took.median, "least": min(took.warm), "most": max(took.warm), "cold": took.cold}


def _lake(spark: SparkSession, settings: Settings, folder: Path, size: Size, tell: Callable[[str], None]) -> Lake:
    lake = Lake(spark, settings.model_copy(update={"lake": folder, "tables": {}, "namespace": None}))
    write_lake(lake, size)
    tell(f"made {folder.name}: {size.hosts} hosts")
    return lake


def _rows(frame: DataFrame | None) -> int:
    return 0 if frame is None else frame.toArrow().num_rows


def _answers(frame: DataFrame | None) -> set[tuple[Any, ...]]:
    return set() if frame is None else {tuple(r)[: len(plans.ANSWER)] for r in frame.collect()}


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


def _day(
    spark: SparkSession,
    settings: Settings,
    folder: Path,
    one: Sequence[Detection],
    size: Size,
    tell: Callable[[str], None],
) -> dict[str, Took]:
    """A day of a tenth of the fleet in one chunk, and hour by hour: each once, since it takes a minute and is warm."""
    some = replace(size, hosts=max(1, size.hosts // 10), hours=48, connected=24)
    lake = _lake(spark, settings, folder, some, tell)
    period = Window(size.last_hour.end - timedelta(days=1), size.last_hour.end)

    def run(chunk: timedelta) -> Callable[[], object]:
        def step() -> None:
            for table in ("findings", "runs"):
                spark.sql(f"DELETE FROM {lake.ref(table)}")
            backfill(spark, lake.settings, period, one, chunk=chunk)

        return step

    return interleaved({"day": run(timedelta(days=1)), "24_hours": run(timedelta(hours=1))}, 0, tell)


def _ratio(took: Mapping[str, Took], pair: tuple[str, str] | None) -> float | None:
    if pair is None or any(name not in took for name in pair):
        return None
    return round(took[pair[0]].median / took[pair[1]].median, 3)
