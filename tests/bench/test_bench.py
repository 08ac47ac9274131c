"""The benchmark: its lake is made of a seed, plans that disagree are not timed, no ratio is left out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from procnet.bench import plans, run
from procnet.bench.lake import Size, connections, processes, write_lake
from procnet.bench.measure import Took, growth_exponent, interleaved
from procnet.bench.plot import plot
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.settings import Settings

TINY = Size(hosts=20, hours=25, starts=240, connections=1500, quiet=1)
RATIOS = {
    "state_to_floor", "stateless_to_floor", "state_7d_to_1h", "family_to_one_state", "family_to_one_stateless",
    "union_to_ours", "naive_to_ours", "tempo_to_ours", "ours_to_duckdb", "skewed_to_even", "day_to_24_hours",
    "empty_to_append", "growth_exponent",
}  # fmt: skip


def silent(_: str) -> None:
    """Hears of progress."""


@pytest.mark.spark
@pytest.mark.long
@pytest.mark.usefixtures("compiled")
def test_every_plan_that_is_timed_finds_the_same_rows(spark: SparkSession, tmp_path: Path) -> None:
    settings = Settings(lake=tmp_path / "lake")
    lake, hour = Lake(spark, settings), TINY.last_hour
    write_lake(lake, TINY)
    one = select(load_detections(settings.detections_folder), [run._ONE])
    findings = plans.ours(lake, one, hour)
    assert findings is not None
    mine = run._answers(findings.select(*plans.ANSWER))
    assert len(mine) > 3
    rivals, missing = run._rivals(lake, hour)
    assert set(rivals) | set(missing) >= {"literal", "naive", "union_last", "tempo", "duckdb"}
    found = {name: rows() for name, rows in rivals.items()}
    literal = found.pop("literal")
    assert found == dict.fromkeys(found, mine)
    assert literal - mine, "by the process id alone it blames processes of other hosts"
    plans.floor(lake, hour)


@pytest.mark.spark
@pytest.mark.long
@pytest.mark.usefixtures("compiled")
def test_a_lake_is_made_of_its_seed_and_a_loud_host_changes_no_sum(spark: SparkSession) -> None:
    def told(size: Size) -> list[tuple[int, int]]:
        marks = (F.count("*"), F.sum(F.pmod(F.xxhash64("*"), F.lit(1 << 20))))
        return [tuple(made(spark, size).agg(*marks).first() or ()) for made in (processes, connections)]  # type: ignore[misc]

    assert told(TINY) == told(TINY)
    assert told(replace(TINY, seed=8)) != told(TINY)
    loud = connections(spark, replace(TINY, skewed=True))
    by_host = sorted(loud.groupBy("host").count().toPandas()["count"])
    assert sum(by_host) == TINY.hosts * TINY.connections
    assert by_host[-1] == pytest.approx(0.3 * sum(by_host), rel=0.01)
    assert by_host[0] == pytest.approx(by_host[-2], rel=0.01)


@pytest.mark.spark
@pytest.mark.drill
@pytest.mark.usefixtures("compiled")
def test_a_benchmark_tells_every_ratio_or_that_it_was_not_measured(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its parts: six minutes."""
    monkeypatch.setitem(run.SIZES, "small", TINY)
    monkeypatch.setattr(run.shapes, "GROWTH", (0.5, 1))
    monkeypatch.setattr(run.shapes, "DAY", timedelta(hours=2))
    result = run.bench(spark, Settings(), tmp_path, "small", 1, silent, run.PARTS)
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
    monkeypatch.setitem(run.SIZES, "small", replace(TINY, hosts=2, starts=4, connections=4))
    monkeypatch.setattr(run.plans, "naive", run.plans.literal)
    monkeypatch.setattr(run.plans, "ours", lambda *_: spark.sql("SELECT 'h' AS host, 1 AS event_time, 2 AS process_id, "
                                                                "443 AS dest_port, 0 AS process_time"))  # fmt: skip
    with pytest.raises(run.BenchError, match="naive gives 0 rows, 0 of them as ours gives 1"):
        run.bench(spark, Settings(), tmp_path, "small", 1, silent)


def test_rounds_are_taken_in_turn_and_the_first_warms_up() -> None:
    order: list[str] = []
    took = interleaved({n: lambda n=n: order.append(n) for n in "ab"}, 2, silent)  # type: ignore[misc]
    assert "".join(order) == "ababab"
    assert {n: len(t.warm) for n, t in took.items()} == {"a": 2, "b": 2}
    assert Took((1.0, 9.0, 2.0), 5.0).median == 2.0


def test_the_growth_exponent_is_the_slope_of_logarithms() -> None:
    assert growth_exponent({100: 2.0, 1000: 20.0, 10_000: 200.0}) == pytest.approx(1)
    assert growth_exponent({100: 2.0, 10_000: 20.0}) == pytest.approx(0.5)
    assert growth_exponent({100: 2.0}) is None
