"""The broadcast plan: instances on few keys are sent to the connections, which are never shuffled (docs/scale.md)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import with_host_key
from procnet.attribution.instances import instance_column
from procnet.settings import HostMatch


def gather(instances: DataFrame, network_events: DataFrame, *, host_match: HostMatch) -> DataFrame:
    """Connections with `by_pid` and `by_guid`: arrays of the instances on their keys, null for none.

    In: `instances.process_instances` (few enough to broadcast), `contract.NETWORK_EVENTS`. One index serves both keys,
    so Spark builds and sends it once. A row of it is one key: the join cannot multiply connections, and nothing above
    it needs an exchange to choose among several matches.
    """
    pid_key, guid_key = "concat('p', process_id)", "concat('g', process_guid)"
    instance_guid_key = guid_key.replace("process_guid", instance_column("instance", "process_guid"))
    keys = f"filter(array({pid_key}, {instance_guid_key}), k -> k IS NOT NULL)"
    index = (
        instances.selectExpr("host_key", "instance", f"explode({keys}) AS key")
        .groupBy("host_key", "key")
        .agg(F.expr("array_sort(collect_list(instance)) AS instances"))
    )
    connections = with_host_key(network_events, host_match)
    for name, key in (("by_pid", pid_key), ("by_guid", guid_key)):
        side = index.selectExpr(f"host_key AS {name}_host", f"key AS {name}_key", f"instances AS {name}")
        on = F.expr(f"host_key = {name}_host AND {key} = {name}_key")
        connections = connections.join(F.broadcast(side), on=on, how="left")
    return connections.select(*network_events.columns, "by_pid", "by_guid")
