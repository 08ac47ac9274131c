"""Which instance made a connection, of those that could have (2-semantics, 2): the one place that decides.

Every plan gathers arrays of lives for a connection and asks the functions here, so no plan can decide otherwise.
The arrays hold `lifetimes.lives`' `life` structs sorted by start; a superset of the lives that count does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.attribution.lifetimes import INSTANCE_FIELDS, field
from procnet.contract import NETWORK_EVENTS
from procnet.types import Tolerances


def attribute(gathered: DataFrame, *, max_ages: Sequence[timedelta], tolerances: Tolerances) -> DataFrame:
    """Name the process of each connection, once for each of `max_ages`: how old it may be when it connects.

    In: `contract.NETWORK_EVENTS`, `by_guid` and `by_pid` (arrays of lives on the connection's host and guid, host and
    process id; null: none). Out: NETWORK_EVENTS, `max_age`, `attribution` (`guid`, `host_pid`, `event` or `none`) and
    `instance` (struct `process_time`, `process_end_time`, INSTANCE_FIELDS; null for `event` and `none`). Every row is
    kept.
    """
    ages = [F.lit(age) for age in max_ages]
    guid = F.when(F.col("by_guid").isNotNull(), answer_by_guid(F.col("by_guid"), tolerances))
    pid = F.when(F.col("by_pid").isNotNull(), answer_by_pid(F.col("by_pid"), tolerances))
    attribution = (
        F.when(F.col("guid_life").isNotNull(), "guid")
        .when(F.col("life").isNotNull(), "host_pid")
        .when(F.col("process_name").isNotNull(), "event")
        .otherwise("none")
    )
    # An end is told where every window that holds the connection has read that far. A later one would be known to a
    # backfill of a day and not to the hour's own run, and the same finding would then read differently.
    seen = F.col("life.end") <= F.col("event_time") + F.lit(tolerances.clock_skew)
    instance = F.struct(
        F.col("life.told").alias("process_time"),
        F.when(seen, F.col("life.end")).alias("process_end_time"),
        *[field(F.col("life"), n).alias(n) for n in INSTANCE_FIELDS],
    )
    return (
        gathered.withColumn("max_age", F.explode(F.array(*ages)) if len(ages) > 1 else ages[0])
        .withColumn("guid_life", guid)
        .withColumn("life", F.coalesce(F.col("guid_life"), pid))
        .select(
            *NETWORK_EVENTS.names,
            "max_age",
            attribution.alias("attribution"),
            F.when(F.col("life").isNotNull(), instance).alias("instance"),
        )
    )


def answer_by_guid(starts: Column, tolerances: Tolerances) -> Column:
    """The start with the connection's guid: the latest up to the connection, else the earliest within `clock_skew`.

    Cloned machines share guids, so process ids must agree where both are known; a connection without one is answered
    only where the starts in reach have one process id among them. Ends are not asked: a guid is one life.
    """
    time, pid = F.col("event_time"), F.col("process_id")
    near = F.filter(
        starts,
        lambda s: (
            F.coalesce(s["process_id"] == pid, F.lit(True))
            & (s["start"] >= time - F.col("max_age"))
            & (s["start"] <= time + F.lit(tolerances.clock_skew))
        ),
    )
    ids = F.array_distinct(F.filter(F.transform(near, lambda s: s["process_id"]), lambda p: p.isNotNull()))
    before = F.filter(near, lambda s: s["start"] <= time)
    after = F.filter(near, lambda s: s["start"] > time)
    soonest = F.filter(after, lambda s: s["start"] == F.array_min(F.transform(after, lambda a: a["start"])))
    answer = F.coalesce(F.try_element_at(before, F.lit(-1)), F.try_element_at(soonest, F.lit(-1)))
    return F.when(pid.isNotNull() | (F.size(ids) <= 1), answer)


def answer_by_pid(lives: Column, tolerances: Tolerances) -> Column:
    """The life on the connection's host and process id: the one that holds it, else one just closed, else just begun.

    A life is refused where both sides name an image or a guid and they differ: then the true start was not seen.
    """
    time = F.col("event_time")

    def may_be(life: Column) -> Column:
        other_image = field(life, "process_name") != F.col("process_name")
        other_guid = field(life, "process_guid") != F.col("process_guid")
        young = life["start"] >= time - F.col("max_age")
        refused = F.coalesce(other_image, F.lit(False)) | F.coalesce(other_guid, F.lit(False))
        return life["lived"] & young & ~refused

    holds = F.filter(lives, lambda s: may_be(s) & (s["start"] <= time) & F.coalesce(time < s["end"], F.lit(True)))
    closed = F.filter(
        lives,
        lambda s: may_be(s) & s["ended"] & (s["end"] <= time) & (time <= s["end"] + F.lit(tolerances.end_grace)),
    )
    begun = F.filter(
        lives, lambda s: may_be(s) & (s["start"] > time) & (s["start"] <= time + F.lit(tolerances.clock_skew))
    )
    return F.coalesce(
        F.try_element_at(holds, F.lit(-1)), F.try_element_at(closed, F.lit(-1)), F.try_element_at(begun, F.lit(1))
    )
