"""Compares the Spark plans with the oracle: many lakes in one job, and the smallest lake that still differs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from oracle import INSTANCE, Answer, attribute
from procnet.attribution.attribute import attribute_connections
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.settings import HostMatch, Tolerances
from random_lakes import NOON, Lake, Row

PLANS = ("shuffled", "broadcast")
Answers = Counter[tuple[Any, ...]]  # how often each (record_id of the connection, attribution, *instance) occurs


@dataclass(frozen=True)
class Rules:
    """How a job's lakes are judged; a short `max_age` puts its boundary inside the lakes."""

    max_age: timedelta = timedelta(seconds=5)
    tolerances: Tolerances = field(default_factory=Tolerances)
    host_match: HostMatch = HostMatch.SHORT


def by_oracle(lake: Lake, rules: Rules) -> Answers:
    answers = attribute(lake.processes, lake.connections, max_age=rules.max_age, tolerances=rules.tolerances,
                        host_match=rules.host_match)  # fmt: skip
    pairs = zip(lake.connections, answers, strict=True)
    return Counter((c["record_id"], a.attribution, *values(a)) for c, a in pairs)


def values(answer: Answer) -> tuple[Any, ...]:
    if answer.instance is None:
        return (None,) * len(INSTANCE)
    return tuple(micros(v) if isinstance(v := answer.instance[k], datetime) else v for k in INSTANCE)


def micros(time: datetime) -> int:
    return (time - NOON) // timedelta(microseconds=1)


def by_spark(spark: SparkSession, lakes: Sequence[Lake], rules: Rules, plan: str) -> list[Answers]:
    """Returns the answers of each lake, all from one job: each lake has hosts of its own, so they do not mix."""
    processes = [moved(r, n) for n, lake in enumerate(lakes) for r in lake.processes]
    connections = [{**moved(r, n), "record_id": f"{n}:{r['record_id']}"}
                   for n, lake in enumerate(lakes) for r in lake.connections]  # fmt: skip
    attributed = attribute_connections(
        frame(spark, processes, PROCESS_EVENTS), frame(spark, connections, NETWORK_EVENTS), max_age=rules.max_age,
        **asdict(rules.tolerances), host_match=rules.host_match, plan=plan,  # type: ignore[arg-type]
    )  # fmt: skip
    answers: list[Answers] = [Counter() for _ in lakes]
    for record_id, *answer in attributed.select("record_id", "attribution", *map(instance_column, INSTANCE)).collect():
        number, _, own = record_id.partition(":")
        answers[int(number)][(own, *answer)] += 1
    return answers


def moved(row: Row, lake: int) -> Row:
    """The row on the hosts of one lake; addresses stay addresses."""
    host = row["host"]
    if host is None:
        return row
    own = f"10.{1 + lake // 250}.{lake % 250}.{host[-1]}" if host.startswith("10.") else f"lake{lake}-{host}"
    return {**row, "host": own}


def frame(spark: SparkSession, rows: Sequence[Row], schema: T.StructType) -> DataFrame:
    return spark.createDataFrame([tuple(r.values()) for r in rows], schema, verifySchema=False)


def instance_column(name: str) -> Column:
    column = F.col("instance")[name]
    if not name.endswith("_time"):
        return column
    # Times are compared as numbers, since collect() returns timestamps in the machine's time zone.
    return F.unix_micros(column) - F.lit(round(NOON.timestamp()) * 1_000_000)


def differences(spark: SparkSession, lakes: Sequence[Lake], rules: Rules, plan: str) -> list[Lake]:
    answers = by_spark(spark, lakes, rules, plan)
    return [lake for lake, found in zip(lakes, answers, strict=True) if found != by_oracle(lake, rules)]


def assert_agree(spark: SparkSession, lakes: Sequence[Lake], rules: Rules, plan: str) -> None:
    """Asserts that every connection of every lake has the oracle's answer; reports the smallest lake found in 30 s."""
    differing = differences(spark, lakes, rules, plan)
    if not differing:
        return
    lake, smaller = differing[0], differing[:1]
    enough = time.monotonic() + 30
    while smaller and time.monotonic() < enough:
        lake = smaller[0]
        smaller = differences(spark, lake.smaller(), rules, plan)
    [answers] = by_spark(spark, [lake], rules, plan)
    expected = by_oracle(lake, rules)
    raise AssertionError(
        f"{plan}: {len(differing)} of {len(lakes)} lakes differ from the oracle; the smallest, times from 12:00:\n"
        f"{lake}\nonly the oracle has {dict(expected - answers)}\nonly Spark has {dict(answers - expected)}\n{rules}"
    )
