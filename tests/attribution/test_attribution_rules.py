"""The rules of attribution, one by one: by the oracle, and by each plan in one job."""

from __future__ import annotations

from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession

from attribution.against_oracle import PLANS, Rules, assert_agree, frame
from attribution.cases import ALL, MAX_AGE, Case, connection, start
from oracle import attribute, host_key
from procnet.attribution.attribute import attribute_connections
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.settings import HostMatch
from random_lakes import Lake


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_oracle_reads_each_rule_as_written(case: Case) -> None:
    [answer] = attribute(case.processes, [case.connection], max_age=MAX_AGE)
    known: dict[str, Any] = answer.instance or {}
    expected = (case.attribution, case.record_id, case.fields)
    assert (answer.attribution, known.get("record_id"), {k: known.get(k) for k in case.fields}) == expected


@pytest.mark.spark
@pytest.mark.parametrize("plan", PLANS)
def test_plans_read_each_rule_as_the_oracle_does(spark: SparkSession, plan: str) -> None:
    assert_agree(spark, [case.lake for case in ALL], Rules(max_age=MAX_AGE), plan)


@pytest.mark.parametrize(
    ("host", "match", "key"),
    [
        ("hr001.shire.com", HostMatch.SHORT, "hr001"),
        ("hr001.shire.com", HostMatch.FULL, "hr001.shire.com"),
        ("hr001.shire.com", HostMatch.AS_IS, "hr001.shire.com"),
        ("10.0.0.1", HostMatch.SHORT, "10.0.0.1"),
        ("10.0.0.1.example", HostMatch.SHORT, "10"),
        ("fe80::ffff:10.0.0.1", HostMatch.SHORT, "fe80::ffff:10.0.0.1"),
        (None, HostMatch.SHORT, None),
    ],
)
def test_host_keys(host: str | None, match: HostMatch, key: str | None) -> None:
    assert host_key(host, match) == key


@pytest.mark.spark
@pytest.mark.parametrize("plan", PLANS)
def test_connections_are_handed_on_untouched(spark: SparkSession, plan: str) -> None:
    """Every column of every row, duplicates too, whether or not a process is named."""
    twice = connection(1, process_guid="G", dest_port=443, dest_ip="192.0.2.1", bytes=7, user="u")
    rows = [twice, twice, connection(1, host=None), connection(-9)]
    given = frame(spark, rows, NETWORK_EVENTS)
    starts = frame(spark, [start("s", 0, process_guid="G", user="another")], PROCESS_EVENTS)
    answered = attribute_connections(starts, given, max_age=MAX_AGE, plan=plan)  # type: ignore[arg-type]
    assert_df_equality(answered.select(*NETWORK_EVENTS.names), given, ignore_row_order=True, ignore_nullable=True)


def test_smaller_lakes_lack_one_row_or_one_value() -> None:
    lake = Lake([start("s", 0)], [connection(1)])
    sizes = [(len(x.processes), len(x.connections)) for x in lake.smaller()]
    assert sizes.count((0, 1)) == 1
    assert sizes.count((1, 0)) == 1
    assert all(x != lake for x in lake.smaller())
