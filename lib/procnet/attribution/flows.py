"""Joins the flows of network sensors with the connections of endpoints (docs/semantics.md, R10). A flow that fits
several processes is refused, never guessed.

What is near a flow is gathered into arrays, by addresses, ports and slice of time, and the arrays are judged in SQL: no
join multiplies a flow or a connection. Everything that decides about a flow lies near it in time, so a part of the
tables gives the same result as the whole.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.flow_connections import (
    ENDS,
    PROCESS_COLUMNS,
    first_known,
    fits,
    is_dest_side,
    judged_flows,
    names_process,
    slices,
    with_arrays,
)
from procnet.attribution.flow_records import FLOW_STRUCT, merged_flows, merged_within
from procnet.attribution.inputs import checked_duration
from procnet.contract import FLOW_EVENTS
from procnet.settings import FLOW_SKEW, HostMatch
from procnet.spark.sql import column

# The columns that `with_flows` adds to a connection.
SENSOR_FIELDS = ("flow_uid", "community_id", "duration", "server_name", "url", "ja3", "ja4")


def flow_reach(flow_skew: timedelta) -> timedelta:
    """How far before and after connections flow_events and network_events must be read for `with_flows`: there are a
    flow, its connections, their other flows, and the records of each flow."""
    return 3 * flow_skew + merged_within(flow_skew)


def attribute_flows(
    flow_events: DataFrame,
    network_events: DataFrame,
    *,
    flow_skew: timedelta | str = FLOW_SKEW,
    host_match: HostMatch | str = HostMatch.SHORT,
    broadcast: bool = False,
) -> DataFrame:
    """Give each flow of a network sensor the process of its connection (docs/semantics.md, R10).

    In: `flow_events` as `contract.FLOW_EVENTS`, and `network_events` as `contract.NETWORK_EVENTS`, read from
    `flow_skew` before the first flow to `flow_skew` after the last.
    Out: one row a flow, in any order: its columns, `host`, `side` (src or dest: which side of the flow the host is),
    the columns of the process, `connection_record_id`, `attribution` (flow or none) and `reason` (null; of none:
    no_connection, several_hosts, several_processes, reused_tuple or no_process).
    `flow_skew` is how far apart the two records may be: a timedelta, or a text such as "5s". `broadcast`: both frames
    are few enough to be sent to every task; both plans give the same rows. Lazy: no Spark job runs here.

    UsageError for an argument of another type or value.
    """
    skew, match = checked_duration(flow_skew, "flow_skew"), HostMatch(host_match)
    judged = judged_flows(merged_flows(flow_events, skew), network_events, skew, match, broadcast)
    side = f"CASE WHEN reason IS NULL THEN CASE WHEN {names_process('src_side')} THEN 'src' ELSE 'dest' END END"
    own = "CASE side WHEN 'src' THEN src_side WHEN 'dest' THEN dest_side END"
    return (
        judged.selectExpr("*", f"{side} AS side")
        .selectExpr("*", f"{own} AS own")
        .selectExpr(
            *FLOW_EVENTS.names,
            "try_element_at(own, 1).host AS host",
            "side",
            *(f"{first_known('own', n)} AS {n}" for n in PROCESS_COLUMNS),
            "try_element_at(own, 1).record_id AS connection_record_id",
            "CASE WHEN reason IS NULL THEN 'flow' ELSE 'none' END AS attribution",
            "reason",
        )
    )


def with_flows(
    matches: DataFrame,
    flow_events: DataFrame | None,
    network_events: DataFrame,
    *,
    flow_skew: timedelta,
    host_match: HostMatch,
    broadcast: bool,
) -> DataFrame:
    """The connections with SENSOR_FIELDS, and with `bytes_in`, `bytes_out` and `dest_name` of their flows where their
    own record has none.

    In: `matches` with the columns of `contract.NETWORK_EVENTS`; further columns stay, and no row is added or lost.
    `flow_events`, and `network_events` with the matches' own records, as far around the matches as `flow_reach` says;
    `flow_events` is None where the lake has no such table: SENSOR_FIELDS are then null. Only a flow that is not refused
    describes a connection; of several sensors' flows, each column is of the first that knows it. `broadcast` as for
    `attribute_flows`.
    """
    columns = [n for n in matches.columns if n not in SENSOR_FIELDS]
    if flow_events is None:
        nulls = (f"CAST(NULL AS {FLOW_EVENTS[n].dataType.simpleString()}) AS {n}" for n in SENSOR_FIELDS)
        return matches.selectExpr(*map(column, columns), *nulls)
    index = (
        judged_flows(merged_flows(flow_events, flow_skew), network_events, flow_skew, host_match, broadcast)
        .where("coalesce(reason, 'no_process') = 'no_process'")
        .selectExpr("ends", slices(flow_skew, flow_skew), f"{FLOW_STRUCT} AS flow")
        .groupBy("ends", "slice")
        .agg(F.expr("array_sort(collect_list(flow)) AS flows"))
    )
    of_match = f"host IS NOT NULL AND {fits('f.', '', flow_skew)}"
    found = with_arrays(matches.selectExpr("*", ENDS), index, flow_skew, broadcast).selectExpr(
        *map(column, columns),
        f"transform(filter(flows, f -> {of_match}), f -> {_described_connection('f')}) AS fitting",
    )
    known = {n: first_known("fitting", n) for n in (*SENSOR_FIELDS, "bytes_in", "bytes_out", "dest_name")}
    return found.selectExpr(
        *(f"coalesce({n}, {known[n]}) AS {n}" if n in known else column(n) for n in columns),
        *(f"{known[n]} AS {n}" for n in SENSOR_FIELDS),
    )


def _described_connection(flow: str) -> str:
    """What a flow says of the row's connection, as a struct: bytes as its host sees them, and the server's name where
    its host opened the flow."""
    is_dest = is_dest_side(f"{flow}.", "")
    columns = {n: f"{flow}.{n}" for n in SENSOR_FIELDS}
    columns["bytes_in"] = f"CASE WHEN {is_dest} THEN {flow}.bytes_out ELSE {flow}.bytes_in END"
    columns["bytes_out"] = f"CASE WHEN {is_dest} THEN {flow}.bytes_in ELSE {flow}.bytes_out END"
    columns["dest_name"] = f"CASE WHEN NOT {is_dest} THEN {flow}.server_name END"
    return f"struct({', '.join(f'{value} AS {n}' for n, value in columns.items())})"
