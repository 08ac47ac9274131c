"""The benchmark: its lake depends on its seed only, plans that disagree are not timed, and no ratio is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bench import lake_shapes, plans, rivals, window
from bench.__main__ import MEASUREMENTS, parser
from bench.lake_shapes import Setup
from bench.plot import plot
from bench.synthetic_lake import Size, network_events, process_events, write_lake
from bench.timing import Seconds, growth_exponent, interleaved
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.settings import Settings

TINY = Size(hosts=20, hours=25, starts=240, connections=1500, quiet=1)
RATIOS = {
    "state_to_floor", "stateless_to_floor", "state_7d_to_1h", "family_to_one_state", "family_to_one_stateless",
    "union_to_ours", "naive_to_ours", "tempo_to_ours", "ours_to_duckdb", "skewed_to_even", "day_to_24_hours",
    "empty_to_append", "named_to_bare_one", "named_to_bare_sharing", "named_to_bare_family", "growth_exponent",
}  # fmt: skip


def no_log(_: str) -> None:
    """Drops a line of progress."""


def setup_of(spark: SparkSession, folder: Path, size: Size) -> Setup:
    """One warm round over lakes of `size` below `folder`."""
    settings = Settings()
    every = load_detections(settings.detections_folder)
    return Setup(spark, settings, folder, size, every, select(every, [window.ONE_DETECTION]), 1, no_log)


@pytest.mark.spark
@pytest.mark.long
@pytest.mark.usefixtures("compiled")
def test_every_plan_that_is_timed_finds_the_same_rows(spark: SparkSession, tmp_path: Path) -> None:
    settings = Settings(lake=tmp_path / "lake")
    lake, hour = Lake(spark, settings), TINY.last_hour
    write_lake(lake, TINY)
    one = select(load_detections(settings.detections_folder), [window.ONE_DETECTION])
    ours = window.answers_to_question(plans.findings_of(lake, one, hour))
    assert len(ours) > 3
    others = rivals.rivals_of(lake, hour)
    assert {*others.answers, *others.missing} >= {"literal", "naive", "union_last", "tempo", "duckdb"}
    found = {name: answer() for name, answer in others.answers.items()}
    literal = found.pop("literal")
    assert found == dict.fromkeys(found, ours)
    assert literal - ours, "a join on the process id only blames processes of other hosts"
    plans.scan_lookback(lake, hour)


@pytest.mark.spark
@pytest.mark.long
@pytest.mark.usefixtures("compiled")
def test_a_lake_depends_on_its_seed_and_a_skewed_host_changes_no_total(spark: SparkSession) -> None:
    def digests(size: Size) -> list[tuple[int, int]]:
        columns = (F.count("*"), F.sum(F.pmod(F.xxhash64("*"), F.lit(1 << 20))))
        return [tuple(rows(spark, size).agg(*columns).first() or ()) for rows in (process_events, network_events)]  # type: ignore[misc]

    assert digests(TINY) == digests(TINY)
    assert digests(replace(TINY, seed=8)) != digests(TINY)
    skewed = network_events(spark, replace(TINY, skewed=True))
    by_host = sorted(skewed.groupBy("host").count().toPandas()["count"])
    assert sum(by_host) == TINY.hosts * TINY.connections
    assert by_host[-1] == pytest.approx(0.3 * sum(by_host), rel=0.01)
    assert by_host[0] == pytest.approx(by_host[-2], rel=0.01)


@pytest.mark.spark
@pytest.mark.drill
@pytest.mark.usefixtures("compiled")
def test_a_benchmark_gives_every_ratio_or_that_it_was_not_measured(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its parts: six minutes."""
    monkeypatch.setattr(lake_shapes, "GROWTH", (0.5, 1))
    monkeypatch.setattr(lake_shapes, "DAY", timedelta(hours=2))
    result = window.measure(setup_of(spark, tmp_path, TINY), "small", window.PARTS)
    assert set(result.ratios) == RATIOS
    assert {r for r, value in result.ratios.items() if value is None} == {
        *(["ours_to_duckdb"] if "duckdb" in result.not_measured else []),
        *(["tempo_to_ours"] if "tempo" in result.not_measured else []),
    }
    assert result.ratios["day_to_24_hours"] < 1  # type: ignore[operator]
    assert plot(result).count("<rect") == 1 + len(result.seconds) - 2, "a day is another lake's"


@pytest.mark.spark
def test_plans_that_disagree_are_not_timed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "naive", rivals.literal)
    answer = "SELECT 'h' AS host, 1 AS event_time, 2 AS process_id, 443 AS dest_port, 0 AS process_time"
    monkeypatch.setattr(plans, "findings_of", lambda *_: spark.sql(answer))
    with pytest.raises(window.BenchError, match="naive returns 0 rows, 0 of them among the 1 of procnet"):
        window.measure(setup_of(spark, tmp_path, replace(TINY, hosts=2, starts=4, connections=4)), "small")


def test_steps_run_in_turn_and_the_first_round_is_cold() -> None:
    order: list[str] = []
    seconds = interleaved({n: lambda n=n: order.append(n) for n in "ab"}, 2, no_log)  # type: ignore[misc]
    assert "".join(order) == "ababab"
    assert {n: len(s.warm) for n, s in seconds.items()} == {"a": 2, "b": 2}
    assert Seconds((1.0, 9.0, 2.0), 5.0).median == 2.0


def test_the_growth_exponent_is_the_slope_of_logarithms() -> None:
    assert growth_exponent({100: 2.0, 1000: 20.0, 10_000: 200.0}) == pytest.approx(1)
    assert growth_exponent({100: 2.0, 10_000: 20.0}) == pytest.approx(0.5)
    assert growth_exponent({100: 2.0}) is None


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_has_the_common_options(name: str) -> None:
    paths = ["records.csv"] if name == "dest-names" else []
    args = parser().parse_args([name, *paths, "--set", "a=b", "--json", "--output", "figures.json"])
    assert args.run is MEASUREMENTS[name].run
    assert (args.overrides, args.json, args.output) == (["a=b"], True, Path("figures.json"))
