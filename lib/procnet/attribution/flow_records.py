"""Merges the records of one flow: Zeek writes one of the connection, one of TLS and one of each HTTP request."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import FLOW_EVENTS
from procnet.periods import micros

FLOW_STRUCT = f"struct({', '.join(FLOW_EVENTS.names)})"
# Later records of a flow are further requests: 1,746 records of TLS and HTTP were at most 3.9 s after the first packet.
# Without a bound, the rows around a window would not be enough to know where its flows begin.
_MERGED_WITHIN = timedelta(minutes=1)


def merged_within(flow_skew: timedelta) -> timedelta:
    return max(_MERGED_WITHIN, 2 * flow_skew)  # so no two parts of one flow are near one connection


def merged_flows(flow_events: DataFrame, flow_skew: timedelta) -> DataFrame:
    """One row a flow: its records from the first one on, each column as the earliest record that knows it has it.

    A record begins a flow where none of the same flow lies `merged_within` before it. A record without a `flow_uid` is
    a flow. In and out: `contract.FLOW_EVENTS`.
    """
    within = f"{micros(merged_within(flow_skew))}L"
    content = ", ".join(n for n in FLOW_EVENTS.names if n != "ingest_time")
    key = "source, sensor, flow_uid, src_ip, src_port, dest_ip, dest_port, content"
    time = "unix_micros(event_time)"
    in_time = f"PARTITION BY {key} ORDER BY {time}"
    begins = f"coalesce({time} - lag({time}) OVER ({in_time}) > {within}, true)"
    # Records of TLS and HTTP may not say that they are TCP: they are of the one flow that says it.
    known, of_part = "CASE WHEN least_transport = greatest_transport THEN", f"OVER (PARTITION BY {key}, part)"
    records = (
        flow_events.selectExpr("*", f"CASE WHEN flow_uid IS NULL THEN struct({content}) END AS content")
        .selectExpr("*", f"CASE WHEN {begins} THEN {time} END AS beginning")
        .selectExpr("*", f"last(beginning, true) OVER ({in_time}) AS part")
        .where(f"{time} <= part + {within}")
        .selectExpr(
            "*", f"min(transport) {of_part} AS least_transport", f"max(transport) {of_part} AS greatest_transport"
        )
        .selectExpr("*", f"{FLOW_STRUCT} AS record")
        .selectExpr("*", f"{known} least_transport ELSE transport END AS flow_transport")
    )
    first = (f"min_by({n}, record) FILTER (WHERE {n} IS NOT NULL) AS first_{n}" for n in FLOW_EVENTS.names)
    merged = records.groupBy(*key.split(", "), "part", "flow_transport").agg(*map(F.expr, first))
    return merged.selectExpr(*(f"first_{n} AS {n}" for n in FLOW_EVENTS.names))
