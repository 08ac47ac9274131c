"""Gather by broadcast: lives on few keys are sent to the connections, which are never shuffled (3-join)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key
from procnet.attribution.instances import field
from procnet.settings import HostMatch


def gather(lives: DataFrame, connections: DataFrame, *, host_match: HostMatch) -> DataFrame:
    """Connections with `by_pid` and `by_guid`: arrays of the lives on their keys, null where there are none.

    In: `lifetimes.lives` (few enough to broadcast), `contract.NETWORK_EVENTS`. One index answers to both keys, so Spark
    builds and sends it once. One row of it is one key: the join cannot multiply connections, and nothing above it needs
    an exchange to choose among several matches.
    """
    pid_key, guid_key = "concat('p', process_id)", "concat('g', process_guid)"
    keys = f"array({pid_key}, {guid_key.replace('process_guid', field('life', 'process_guid'))})"
    index = (
        lives.selectExpr("host_key", "life", f"explode(filter({keys}, k -> k IS NOT NULL)) AS key")
        .groupBy("host_key", "key")
        .agg(F.expr("array_sort(collect_list(life)) AS lives"))
    )
    rows = connections.selectExpr("*", f"{host_key('host', host_match)} AS host_key")
    for name, key in (("by_pid", pid_key), ("by_guid", guid_key)):
        side = index.selectExpr(f"host_key AS {name}_host", f"key AS {name}_key", f"lives AS {name}")
        on = F.expr(f"host_key = {name}_host AND {key} = {name}_key")
        rows = rows.join(F.broadcast(side), on=on, how="left")
    return rows.select(*connections.columns, "by_pid", "by_guid")
