"""Gather by broadcast: lives on few keys are sent to the connections, which are never shuffled (3-join)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.lifetimes import field, host_key
from procnet.types import HostMatch


def gather(lives: DataFrame, connections: DataFrame, *, host_match: HostMatch) -> DataFrame:
    """Connections with `by_pid` and `by_guid`: arrays of the lives on their keys, null where there are none.

    In: `lifetimes.lives` (few enough to broadcast), `contract.NETWORK_EVENTS`. One index answers to both keys, so Spark
    builds and sends it once. One row of it is one key: the join cannot multiply connections, and nothing above it needs
    an exchange to choose among several matches.
    """
    pid_key = F.concat(F.lit("p"), F.col("process_id").cast("string"))
    guid_key = F.concat(F.lit("g"), field(F.col("life"), "process_guid"))
    index = (
        lives.select("host_key", "life", F.explode(F.filter(F.array(pid_key, guid_key), F.isnotnull)).alias("key"))
        .groupBy("host_key", "key")
        .agg(F.array_sort(F.collect_list("life")).alias("lives"))
    )
    rows = connections.withColumn("host_key", host_key(F.col("host"), host_match))
    for name, key in (("by_pid", pid_key), ("by_guid", F.concat(F.lit("g"), F.col("process_guid")))):
        side = index.select(
            F.col("host_key").alias("index_host"), F.col("key").alias("index_key"), F.col("lives").alias(name)
        )
        on = (F.col("host_key") == F.col("index_host")) & (key == F.col("index_key"))
        rows = rows.join(F.broadcast(side), on=on, how="left").drop("index_host", "index_key")
    return rows.drop("host_key")
