"""What a benchmark measures over lakes of other shapes: a loud host, a week, a day, other files, and growing ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from procnet.bench import plans
from procnet.bench.lake import Size, write_lake
from procnet.bench.measure import Step, Took, interleaved
from procnet.detections.detection import Detection
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.backfill import backfill
from procnet.settings import Settings

SIZES = {
    "small": Size(hosts=100, hours=25),
    "medium": Size(hosts=500, hours=25),
    "large": Size(hosts=2000, hours=25),
}
GROWTH = (0.2, 1, 4, 10)  # times the size's hosts: of large 400 to 20,000, and 1M to 50M connections
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Maker:
    """What every part is given: where and how large its lakes are, who is asked for, and how often."""

    spark: SparkSession
    settings: Settings
    folder: Path
    size: Size
    known: Sequence[Detection]
    one: Sequence[Detection]
    rounds: int
    tell: Callable[[str], None]

    @property
    def hour(self) -> Window:
        return self.size.last_hour

    def lake(self, name: str, size: Size) -> Lake:
        """A new lake in the folder."""
        here = {"lake": self.folder / name, "tables": {}, "namespace": None, "sources": {}}
        lake = Lake(self.spark, self.settings.model_copy(update=here))
        write_lake(lake, size)
        self.tell(f"made {name}: {size.hosts} hosts")
        return lake


def asking(lake: Lake, detections: Sequence[Detection], hour: Window) -> Step:
    """The step that takes the findings of an hour to the driver."""
    return lambda: rows_of(plans.ours(lake, detections, hour))


def rows_of(frame: DataFrame | None) -> int:
    """How many rows come to the driver."""
    return 0 if frame is None else frame.toArrow().num_rows


def skew(make: Maker) -> dict[str, Took]:
    """The same rows, 30 % of them on one host."""
    lakes = {n: make.lake(n, replace(make.size, skewed=n == "skewed", seed=9)) for n in ("skewed", "even")}
    return interleaved({n: asking(lake, make.one, make.hour) for n, lake in lakes.items()}, make.rounds, make.tell)


def week(make: Maker) -> dict[str, Took]:
    """An hour with state under a lookback of an hour and of seven days, and without: a week of a seventh of the fleet,
    which speaks seven times as much."""
    size = make.size
    some = replace(size, hosts=max(1, size.hosts // 7), hours=170, connections=7 * size.connections)
    lake = make.lake("week", some)
    asked = {n: [replace(d, lookback=age) for d in make.one] for n, age in (("1h", HOUR), ("7d", 7 * DAY))}
    for detections in asked.values():
        plans.leave_state(lake, detections, Window(make.hour.start - HOUR, make.hour.start))
    steps: dict[str, Step] = {}
    for name, detections in asked.items():
        steps[f"state_{name}"] = lambda d=detections: rows_of(plans.carrying(lake, d, make.hour))  # type: ignore[misc]
        steps[f"one_{name}"] = asking(lake, detections, make.hour)
    return interleaved(steps, make.rounds, make.tell)


def day(make: Maker) -> dict[str, Took]:
    """A day of a tenth of the fleet in one chunk, and hour by hour: each once, since it takes minutes and is warm."""
    some = replace(make.size, hosts=max(1, make.size.hosts // 10), hours=48, connected=24)
    lake, end = make.lake("day", some), make.hour.end

    def run(chunk: timedelta) -> Callable[[], object]:
        def step() -> None:
            for table in ("findings", "runs"):
                lake.spark.sql(f"DELETE FROM {lake.ref(table)}")
            backfill(lake.spark, lake.settings, Window(end - DAY, end), make.one, chunk=chunk)

        return step

    return interleaved({"day": run(DAY), "24_hours": run(HOUR)}, 0, make.tell)


def layout(make: Maker) -> dict[str, Took]:
    """The same rows, in files as `normalize` sorts them and in the order of time."""
    lakes = {n: make.lake(n, replace(make.size, sorted=n == "sorted")) for n in ("sorted", "by_time")}
    steps = {
        f"{n}_{who}": asking(lake, d, make.hour)
        for n, lake in lakes.items()
        for who, d in (("one", make.one), ("family", make.known))
    }
    return interleaved(steps, make.rounds, make.tell)


def growth(make: Maker) -> dict[int, float]:
    """Median seconds by how many connections the hour has; five hours of starts, so that the largest can be made."""
    found = {}
    for times in GROWTH:
        some = replace(make.size, hosts=max(1, int(make.size.hosts * times)), hours=5, starts=48)
        lake = make.lake(f"of_{some.hosts}", some)
        took = interleaved({"one": asking(lake, make.one, make.hour)}, make.rounds, make.tell)
        found[some.hosts * some.connections] = took["one"].median
    return found
