"""Gather by shuffle: lives and connections meet sorted on their key, for candidates too many to broadcast (3-join).

A union under one window survives what a range join does not: 500,000 starts on one key. Each connection takes with it
the last start up to its time, the lives closed within `end_grace` before it and the starts within `clock_skew` after
it: all that `match.answer_by_pid` can choose from.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key
from procnet.attribution.instances import field
from procnet.periods import micros
from procnet.settings import HostMatch, Tolerances

_KEY = ("host_key", "process_id")


def gather(lives: DataFrame, connections: DataFrame, *, host_match: HostMatch, tolerances: Tolerances) -> DataFrame:
    """Connections with `by_pid` and `by_guid`, as `broadcast.gather` gives them, cut to the lives that can answer.

    In: `lifetimes.lives`, `contract.NETWORK_EVENTS`; both of any size.
    """
    rows = connections.selectExpr("*", f"{host_key('host', host_match)} AS host_key")
    return _with_guid(lives, _with_pid(lives, rows, tolerances)).drop("host_key")


def _with_pid(lives: DataFrame, rows: DataFrame, tolerances: Tolerances) -> DataFrame:
    moments = F.array(
        F.struct(F.col("life.start").alias("at"), F.lit("start").alias("what")),
        F.struct(F.when(F.col("life.ended"), F.col("life.end")).alias("at"), F.lit("end").alias("what")),
    )
    marks = (
        lives.where("life.lived")
        .select(*_KEY, "life", F.explode(F.filter(moments, lambda m: m["at"].isNotNull())).alias("moment"))
        .select(*_KEY, "moment.at", "moment.what", "life", F.lit(None).alias("row"))
    )
    asks = rows.select(
        *_KEY, F.col("event_time").alias("at"), F.lit("ask").alias("what"), F.lit(None).alias("life"),
        F.struct(*[c for c in rows.columns if c not in _KEY]).alias("row"),
    )  # fmt: skip
    in_time = Window.partitionBy(*_KEY).orderBy(F.unix_micros("at"))

    def near(what: str, first: int, last: int) -> Column:
        return F.collect_list(F.when(F.col("what") == what, F.col("life"))).over(in_time.rangeBetween(first, last))

    begun = F.when(F.col("what") == "start", F.col("life"))
    latest = F.last(begun, ignorenulls=True).over(in_time.rangeBetween(Window.unboundedPreceding, 0))
    gathered = F.concat(F.filter(F.array("latest"), F.isnotnull), F.col("closed"), F.col("begun"))
    return (
        marks.unionByName(asks)
        .select(
            *_KEY, "what", "row", latest.alias("latest"),
            near("end", -micros(tolerances.end_grace), 0).alias("closed"),
            near("start", 1, micros(tolerances.clock_skew)).alias("begun"),
        )
        .where(F.col("what") == "ask")
        .select(*_KEY, "row.*", F.array_sort(gathered).alias("by_pid"))
    )  # fmt: skip


def _with_guid(lives: DataFrame, rows: DataFrame) -> DataFrame:
    by_guid = (
        lives.select(
            F.col("host_key").alias("guid_host"), F.expr(field("life", "process_guid")).alias("guid_key"), "life"
        )
        .where("guid_key is not null")
        .groupBy("guid_host", "guid_key")
        .agg(F.array_sort(F.collect_list("life")).alias("by_guid"))
    )
    # Connections without a guid join nothing, but as nulls they would all go to one task: spread them by their id.
    spread = F.coalesce(F.col("process_guid"), F.concat(F.lit("-"), (F.col("process_id") % 997).cast("string")))
    on = (F.col("host_key") == F.col("guid_host")) & (spread == F.col("guid_key"))
    return rows.join(by_guid, on=on, how="left").drop("guid_host", "guid_key")
