"""No finding is lost, whatever runs at once and is killed; and the simulation finds the faults that are put back."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simulation.generate import generate
from simulation.mutations import MUTATIONS, Mutation
from simulation.run import run_schedule, run_seed, shrink
from simulation.schedule import RandomChoice
from simulation.storage import REPLACED, Current, replaced

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEDULES = 300
MOST_SEEDS = 1000  # until a fault is found


def test_no_finding_is_lost() -> None:
    ended = Counter[str]()
    with replaced(REPLACED):
        for seed in range(SCHEDULES):
            failure = run_seed(seed, generate)
            if failure is not None:
                failure = shrink(failure)
            assert failure is None, "\n".join([failure.problem, *failure.schedule.lines()])
            ended += Counter(f"{r.kind} {r.status}" for r in Current.world.tables["runs"].rows)
            ended += Counter(c.operation for t in Current.world.tables.values() for c in t.commits)
    common = {"detect succeeded", "detect failed", "backfill succeeded", "catch_up succeeded", "catch_up checked"}
    common |= {"ingest succeeded", "maintain succeeded", "OPTIMIZE", "MERGE", "DELETE", "RESTORE"}
    assert {what for what, n in ended.items() if n >= 10} >= common, "the schedules do all of this often"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.name)
def test_a_fault_is_found(mutation: Mutation) -> None:
    seeds = range(mutation.first, mutation.first + MOST_SEEDS)
    with replaced(REPLACED), replaced(mutation.functions):
        found = next(filter(None, (run_seed(s, partial(generate, crowded=mutation.crowded)) for s in seeds)), None)
        assert found is not None
        assert any(what in found.problem for what in ("lost", "doubled", "gaps lists")), found.problem
        assert run_schedule(found.schedule) == found.problem, "the schedule is repeated exactly"
        smaller = shrink(found)
    with replaced(REPLACED):
        assert run_schedule(smaller.schedule) is None, f"without the fault the schedule is right: {smaller}"
    lines = [f"{mutation.name}: seed {found.schedule.seed}: {smaller.problem}", *smaller.schedule.lines()]
    sys.stdout.write("\n".join(lines) + "\n")  # pytest -s shows them


# Both have commands that are killed, runs at once, and late rows.
@pytest.mark.spark
@pytest.mark.long
@pytest.mark.classic("threads share one session, and steps are functions of the classic client")
@pytest.mark.parametrize("seed", [2, 4])
def test_no_finding_is_lost_on_real_tables(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    from simulation.delta import REPLACED_ON_DELTA, run_on_delta

    schedule = generate(seed, killed=0.4, is_small=True)
    with replaced(REPLACED_ON_DELTA):
        problem, findings = run_on_delta(schedule, spark, tmp_path, RandomChoice(seed))
    assert problem is None, "\n".join([problem, *schedule.lines()])
    assert findings, "there were findings to lose"
