"""Both plans against the oracle on random lakes, and properties that must hold whatever a lake holds."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from attribution.against_oracle import PLANS, Rules, assert_agree, by_oracle, by_spark
from procnet.settings import HostMatch, Tolerances
from random_lakes import NOON, Lake, drawn, lakes, seeded

NO_TOLERANCE = Tolerances(clock_skew=timedelta(0), end_grace=timedelta(0), start_tolerance=timedelta(0))
RULES = {
    "as shipped": Rules(),
    "no tolerance, hosts in full": Rules(tolerances=NO_TOLERANCE, host_match=HostMatch.FULL),
    "young processes, long grace": Rules(
        max_age=timedelta(seconds=2), tolerances=Tolerances(end_grace=timedelta(seconds=8)), host_match=HostMatch.AS_IS
    ),
}


@pytest.mark.spark
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_plans_agree_with_the_oracle(spark: SparkSession, rules: Rules, plan: str) -> None:
    assert_agree(spark, drawn(100, 1) + seeded(200, 1), rules, plan)


@pytest.mark.spark
@pytest.mark.usefixtures("compiled")
@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_plans_agree_with_the_oracle_on_5000_lakes(spark: SparkSession, plan: str) -> None:
    assert_agree(spark, seeded(5000, 2), Rules(), plan)


def test_lakes_are_nasty_enough() -> None:
    """A comparison on lakes where nothing is attributed would prove nothing."""
    answers = [answer for lake in seeded(300, 1) for answer in by_oracle(lake, Rules())]
    share = {how: sum(how == a[1] for a in answers) / len(answers) for how in ("guid", "host_pid", "event", "none")}
    assert min(share.values()) > 0.1, share


def reordered(lake: Lake, dice: random.Random) -> Lake:
    """The same events in another order, some twice."""
    processes = lake.processes + dice.sample(lake.processes, len(lake.processes) // 2)
    return Lake(dice.sample(processes, len(processes)), dice.sample(lake.connections, len(lake.connections)))


def tiles(lake: Lake, rules: Rules, dice: random.Random) -> list[Lake]:
    """Returns the rows that runs over adjoining windows read: connections of each window, process events around it."""
    seconds = [-100, *sorted(dice.sample(range(-2, 20), 3)), 100]
    cuts = [NOON + timedelta(seconds=s) for s in seconds]
    skew, tolerance = rules.tolerances.clock_skew, rules.tolerances.start_tolerance
    found = []
    for begin, end in pairwise(cuts):
        first, last = begin - rules.max_age - tolerance, end + skew + 2 * tolerance
        found.append(
            Lake(
                [r for r in lake.processes if first <= r["event_time"] <= last],
                [c for c in lake.connections if begin <= c["event_time"] < end],
            )
        )
    return found


@settings(max_examples=200, deadline=None, derandomize=True)
@given(lakes(), st.randoms(use_true_random=False))
def test_order_and_repeats_of_events_change_nothing(lake: Lake, dice: random.Random) -> None:
    assert by_oracle(reordered(lake, dice), Rules()) == by_oracle(lake, Rules())


def test_windows_change_nothing_in_the_rules() -> None:
    rules, dice = Rules(), random.Random(3)
    for lake in seeded(1000, 3):
        answers = sum((by_oracle(tile, rules) for tile in tiles(lake, rules, dice)), Counter())
        assert answers == by_oracle(lake, rules), str(lake)


@pytest.mark.spark
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("plan", PLANS)
def test_windows_order_and_repeats_change_nothing_in_a_plan(spark: SparkSession, plan: str) -> None:
    """Each window's rows, shuffled and some twice, are a lake of the job; together they answer as the whole lake."""
    rules, dice = Rules(), random.Random(4)
    whole = seeded(100, 4)
    cut = [[reordered(tile, dice) for tile in tiles(lake, rules, dice)] for lake in whole]
    answers_of_tiles = iter(by_spark(spark, [tile for lake in cut for tile in lake], rules, plan))
    for lake, parts in zip(whole, cut, strict=True):
        answers = sum((next(answers_of_tiles) for _ in parts), Counter())
        assert answers == by_oracle(lake, rules), str(lake)
