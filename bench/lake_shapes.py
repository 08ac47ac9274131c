"""The parts of the window's benchmark on lakes of other shapes: a skewed host, a week, a day, other files, growth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from bench import plans
from bench.synthetic_lake import Size, write_lake, write_names
from bench.timing import Log, Seconds, Step, interleaved
from procnet import backfill
from procnet.detections.detection import Detection
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.settings import Settings

SIZES = {
    "small": Size(hosts=100, hours=25),
    "medium": Size(hosts=500, hours=25),
    "large": Size(hosts=2000, hours=25),
}
GROWTH = (0.2, 1, 4, 10)  # factors of the size's hosts: for large 400 to 20,000 hosts, 1M to 50M connections
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Setup:
    """What every part needs: where its lakes go and how large they are, the detections, and the warm rounds."""

    spark: SparkSession
    settings: Settings
    folder: Path
    size: Size
    all_detections: Sequence[Detection]
    one_detection: Sequence[Detection]
    rounds: int
    log: Log

    @property
    def hour(self) -> Window:
        return self.size.last_hour

    @property
    def hour_before(self) -> Window:
        return Window(self.hour.start - HOUR, self.hour.start)

    def new_lake(self, name: str, size: Size) -> Lake:
        """A new lake of `size` in the folder."""
        paths = {"lake": self.folder / name, "tables": {}, "namespace": None, "sources": {}}
        lake = Lake(self.spark, self.settings.model_copy(update=paths))
        write_lake(lake, size)
        self.log(f"lake {name} of {size.hosts} hosts is written")
        return lake

    def time(self, steps: dict[str, Step]) -> dict[str, Seconds]:
        """Seconds of the steps, in turn."""
        return interleaved(steps, self.rounds, self.log)


def find(lake: Lake, detections: Sequence[Detection], window: Window) -> Step:
    """The step that collects the findings of a window, computed from the whole lookback."""
    return lambda: collected(plans.findings_of(lake, detections, window))


def find_with_state(lake: Lake, detections: Sequence[Detection], window: Window) -> Step:
    """The step that collects the findings of a window, computed from state."""
    return lambda: collected(plans.findings_with_state(lake, detections, window))


def names(setup: Setup) -> dict[str, Seconds]:
    """One detection, one that tests names, and all, over an hour with and without names and flows."""
    bare, named = (setup.new_lake(n, setup.size) for n in ("without names", "with names"))
    write_names(named)
    sharing = [d for d in setup.all_detections if "dest_name" in d.joined_fields]
    questions = {"one": setup.one_detection, "sharing": sharing, "family": setup.all_detections}
    return setup.time({
        f"{word}_{question}": find(lake, detections, setup.hour)
        for question, detections in questions.items()
        for word, lake in (("bare", bare), ("named", named))
    })  # fmt: skip


def collected(frame: DataFrame | None) -> int:
    """Number of rows after all of them were collected by the driver."""
    return 0 if frame is None else frame.toArrow().num_rows


def skew(setup: Setup) -> dict[str, Seconds]:
    """The same rows spread evenly, and with 30 % of them on one host."""
    lakes = {n: setup.new_lake(n, replace(setup.size, skewed=n == "skewed", seed=9)) for n in ("skewed", "even")}
    return setup.time({n: find(lake, setup.one_detection, setup.hour) for n, lake in lakes.items()})


def week(setup: Setup) -> dict[str, Seconds]:
    """An hour under a lookback of an hour and of seven days, with state and without: a week of a seventh of the hosts,
    with seven times as many connections an hour each."""
    size = setup.size
    some = replace(size, hosts=max(1, size.hosts // 7), hours=170, connections=7 * size.connections)
    lake = setup.new_lake("week", some)
    lookbacks = {"1h": HOUR, "7d": 7 * DAY}
    by_lookback = {n: [replace(d, lookback=age) for d in setup.one_detection] for n, age in lookbacks.items()}
    steps: dict[str, Step] = {}
    for name, detections in by_lookback.items():
        plans.write_state(lake, detections, setup.hour_before)
        steps[f"state_{name}"] = find_with_state(lake, detections, setup.hour)
        steps[f"one_{name}"] = find(lake, detections, setup.hour)
    return setup.time(steps)


def day(setup: Setup) -> dict[str, Seconds]:
    """A day of a tenth of the hosts in one chunk, and hour by hour; each once, since it takes minutes and is warm."""
    some = replace(setup.size, hosts=max(1, setup.size.hosts // 10), hours=48, connected=24)
    lake, end = setup.new_lake("day", some), setup.hour.end

    def run(chunk: timedelta) -> Step:
        def step() -> None:
            for table in ("findings", "runs"):
                lake.spark.sql(f"DELETE FROM {lake.ref(table)}")
            backfill(lake.spark, lake.settings, Window(end - DAY, end), setup.one_detection, chunk=chunk)

        return step

    return interleaved({"day": run(DAY), "24_hours": run(HOUR)}, 0, setup.log)


def layout(setup: Setup) -> dict[str, Seconds]:
    """The same rows in files as `normalize` sorts them, and in files sorted by time."""
    lakes = {n: setup.new_lake(n, replace(setup.size, sorted=n == "sorted")) for n in ("sorted", "by_time")}
    detections = {"one": setup.one_detection, "family": setup.all_detections}
    return setup.time(
        {f"{n}_{m}": find(lake, some, setup.hour) for n, lake in lakes.items() for m, some in detections.items()}
    )


def growth(setup: Setup) -> dict[int, float]:
    """Median seconds by connections of the hour; with five hours of starts only, so that the largest lake fits."""
    medians = {}
    for factor in GROWTH:
        some = replace(setup.size, hosts=max(1, int(setup.size.hosts * factor)), hours=5, starts=48)
        lake = setup.new_lake(f"of_{some.hosts}", some)
        seconds = setup.time({"one": find(lake, setup.one_detection, setup.hour)})
        medians[some.hosts * some.connections] = seconds["one"].median
    return medians
