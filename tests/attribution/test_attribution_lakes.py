"""Both plans against the oracle on random lakes, and properties that must hold whatever a lake holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from judge import PLANS, Rules, assert_agree, by_oracle
from pyspark.sql import SparkSession

from lakes import Lake, lakes, seeded
from procnet.types import HostMatch, Tolerances

NO_TOLERANCE = Tolerances(clock_skew=timedelta(0), end_grace=timedelta(0), start_tolerance=timedelta(0))
RULES = {
    "as shipped": Rules(),
    "no tolerance, hosts in full": Rules(tolerances=NO_TOLERANCE, host_match=HostMatch.FULL),
    "young processes, long grace": Rules(
        max_age=timedelta(seconds=2), tolerances=Tolerances(end_grace=timedelta(seconds=8)), host_match=HostMatch.AS_IS
    ),
}


def drawn(count: int, number: int) -> list[Lake]:
    """`count` lakes as Hypothesis draws them, to be judged together: a Spark job each would take hours."""
    found: list[Lake] = []

    @seed(number)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(lakes())
    def keep(lake: Lake) -> None:
        found.append(lake)

    keep()
    return found


@pytest.mark.spark
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_plans_agree_with_the_oracle(spark: SparkSession, rules: Rules, plan: str) -> None:
    assert_agree(spark, drawn(100, 1) + seeded(200, 1), rules, plan)


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_plans_agree_with_the_oracle_on_5000_lakes(spark: SparkSession, plan: str) -> None:
    assert_agree(spark, seeded(5000, 2), Rules(), plan)


def test_lakes_are_nasty_enough() -> None:
    """A comparison on lakes where nothing is attributed would prove nothing."""
    told = [answer for lake in seeded(300, 1) for answer in by_oracle(lake, Rules())]
    share = {how: sum(how == a[1] for a in told) / len(told) for how in ("guid", "host_pid", "event", "none")}
    assert min(share.values()) > 0.1, share
