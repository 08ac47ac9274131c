"""The shuffled plan: instances and connections sorted together on their key, for candidates too many to broadcast.

A union under one window function survives what a range join does not: 500,000 starts on one key (docs/scale.md). Each
connection gets the last start up to its time, the instances that ended within `end_grace` before it and the starts
within `clock_skew` after it: all that `resolve.instance_by_pid` can choose from.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from procnet.attribution.hosts import with_host_key
from procnet.attribution.instances import instance_column
from procnet.periods import micros
from procnet.settings import HostMatch, Tolerances

_KEY = ("host_key", "process_id")


def gather(
    instances: DataFrame, network_events: DataFrame, *, host_match: HostMatch, tolerances: Tolerances
) -> DataFrame:
    """Connections with `by_pid` and `by_guid`, as `broadcast.gather` gives them; `by_pid` only with the instances that
    `resolve.instance_by_pid` can choose.

    In: `instances.process_instances`, `contract.NETWORK_EVENTS`; both of any size.
    """
    connections = with_host_key(network_events, host_match)
    return _with_guid(instances, _with_pid(instances, connections, tolerances)).drop("host_key")


def _with_pid(instances: DataFrame, connections: DataFrame, tolerances: Tolerances) -> DataFrame:
    boundaries = F.array(
        F.struct(F.col("instance.start").alias("at"), F.lit("start").alias("kind")),
        F.struct(F.when(F.col("instance.ended"), F.col("instance.end")).alias("at"), F.lit("end").alias("kind")),
    )
    instance_rows = (
        instances.where("instance.owns_pid")
        .select(*_KEY, "instance", F.explode(F.filter(boundaries, lambda b: b["at"].isNotNull())).alias("boundary"))
        .select(*_KEY, "boundary.at", "boundary.kind", "instance", F.lit(None).alias("connection"))
    )
    connection_rows = connections.select(
        *_KEY, F.col("event_time").alias("at"), F.lit("connection").alias("kind"), F.lit(None).alias("instance"),
        F.struct(*[c for c in connections.columns if c not in _KEY]).alias("connection"),
    )  # fmt: skip
    in_time = Window.partitionBy(*_KEY).orderBy(F.unix_micros("at"))

    def near(kind: str, first: int, last: int) -> Column:
        return F.collect_list(F.when(F.col("kind") == kind, F.col("instance"))).over(in_time.rangeBetween(first, last))

    started = F.when(F.col("kind") == "start", F.col("instance"))
    latest = F.last(started, ignorenulls=True).over(in_time.rangeBetween(Window.unboundedPreceding, 0))
    gathered = F.concat(F.filter(F.array("latest"), F.isnotnull), F.col("just_ended"), F.col("just_started"))
    return (
        instance_rows.unionByName(connection_rows)
        .select(
            *_KEY, "kind", "connection", latest.alias("latest"),
            near("end", -micros(tolerances.end_grace), 0).alias("just_ended"),
            near("start", 1, micros(tolerances.clock_skew)).alias("just_started"),
        )
        .where(F.col("kind") == "connection")
        .select(*_KEY, "connection.*", F.array_sort(gathered).alias("by_pid"))
    )  # fmt: skip


def _with_guid(instances: DataFrame, connections: DataFrame) -> DataFrame:
    by_guid = (
        instances.select(
            F.col("host_key").alias("guid_host"),
            F.expr(instance_column("instance", "process_guid")).alias("guid_key"),
            "instance",
        )
        .where("guid_key is not null")
        .groupBy("guid_host", "guid_key")
        .agg(F.array_sort(F.collect_list("instance")).alias("by_guid"))
    )
    # Connections without a guid match nothing, but as nulls they would all go to one task: spread them by their id.
    spread = F.coalesce(F.col("process_guid"), F.concat(F.lit("-"), (F.col("process_id") % 997).cast("string")))
    on = (F.col("host_key") == F.col("guid_host")) & (spread == F.col("guid_key"))
    return connections.join(by_guid, on=on, how="left").drop("guid_host", "guid_key")
