"""No finding is lost, whatever runs at once and is killed; and the simulation finds the faults that are put back."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial

import pytest

from simulation.generate import generate
from simulation.mutations import MUTATIONS, Mutation
from simulation.run import run_schedule, run_seed, shrink
from simulation.storage import REPLACED, Current, replaced

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
        found = next(filter(None, (run_seed(s, partial(generate, crowded=1)) for s in seeds)), None)
        assert found is not None
        assert run_schedule(found.schedule) == found.problem, "the schedule is repeated exactly"
        smaller = shrink(found)
    with replaced(REPLACED):
        assert run_schedule(smaller.schedule) is None, f"without the fault the schedule is right: {smaller}"
    lines = [f"{mutation.name}: seed {found.schedule.seed}: {smaller.problem}", *smaller.schedule.lines()]
    sys.stdout.write("\n".join(lines) + "\n")  # pytest -s shows them
