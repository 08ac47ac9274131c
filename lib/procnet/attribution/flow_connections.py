"""Judges which connection of an endpoint a flow is, or why that is not certain (docs/semantics.md, R10)."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key
from procnet.contract import NETWORK_EVENTS, PROCESS_FIELDS
from procnet.periods import micros
from procnet.settings import HostMatch
from procnet.spark.sql import literal

# Why a flow has no process; of several reasons the first is reported.
REASONS = ("no_connection", "several_hosts", "several_processes", "reused_tuple", "no_process")
_IDENTITY = ("process_guid", "process_id", "process_name")  # any of them says which process it is
PROCESS_COLUMNS = tuple(n for n in NETWORK_EVENTS.names if n in {*PROCESS_FIELDS, "process_start_time"})
# Both ends of a row, in one order for both directions; null where one is unknown, since null joins nothing.
ENDS = """CASE WHEN src_ip IS NOT NULL AND src_port IS NOT NULL AND dest_ip IS NOT NULL AND dest_port IS NOT NULL THEN
    array_sort(array(struct(src_ip AS ip, src_port AS port), struct(dest_ip AS ip, dest_port AS port))) END AS ends"""


def judged_flows(
    flows: DataFrame, network_events: DataFrame, flow_skew: timedelta, host_match: HostMatch, broadcast: bool
) -> DataFrame:
    """The flows with `ends`, `reason` and the connections that fit: `src_side` of the host that opened the flow, and
    `dest_side` of the other one; those with a guid first, then by time. In: flows of `merged_flows`."""
    flows = flows.selectExpr("*", ENDS)
    sorted_by = ("process_guid IS NULL AS no_guid", "event_time", "host", *PROCESS_COLUMNS, "record_id")
    connection = ", ".join(
        (*sorted_by, "src_ip", "src_port", "transport", "direction", f"{host_key('host', host_match)} AS host_key")
    )
    connections = network_events.where("host IS NOT NULL").selectExpr(
        ENDS, slices(flow_skew, flow_skew), f"struct({connection}) AS connection"
    )
    others = flows.selectExpr(
        "ends", slices(2 * flow_skew, flow_skew), "struct(event_time, source, sensor, transport) AS flow"
    )
    nearby = (
        connections.unionByName(others, allowMissingColumns=True)
        .where("ends IS NOT NULL")
        .groupBy("ends", "slice")
        .agg(F.expr("array_sort(collect_list(connection)) AS connections"), F.expr("collect_list(flow) AS flows"))
    )
    is_dest = is_dest_side("", "c.")
    return (
        with_arrays(flows, nearby, flow_skew, broadcast)
        .selectExpr("*", f"filter(connections, c -> {fits('', 'c.', flow_skew)}) AS fitting")
        .selectExpr(
            "*", f"filter(fitting, c -> NOT {is_dest}) AS src_side", f"filter(fitting, c -> {is_dest}) AS dest_side"
        )
        .selectExpr(*flows.columns, "src_side", "dest_side", f"{_reason(flow_skew)} AS reason")
    )


def _reason(flow_skew: timedelta) -> str:
    """The first of REASONS that holds, or null, as SQL over the columns of `judged_flows`."""
    differing = {
        name: " OR ".join(f"size({_distinct(side, name)}) > 1" for side in ("src_side", "dest_side"))
        for name in ("host_key", *_IDENTITY)
    }
    same_sensor = "f.source <=> source AND f.sensor <=> sensor"
    of_connection = f"filter(flows, f -> {same_sensor} AND {fits('f.', 'c.', flow_skew)})"
    conditions = (
        "coalesce(size(fitting), 0) <= 0",
        differing["host_key"],
        " OR ".join(differing[name] for name in _IDENTITY),
        f"exists(fitting, c -> size({of_connection}) > 1)",
        f"NOT {names_process('fitting')}",
    )
    cases = (f"WHEN {c} THEN {literal(r)}" for r, c in zip(REASONS, conditions, strict=True))
    return f"CASE {' '.join(cases)} END"


def with_arrays(rows: DataFrame, index: DataFrame, flow_skew: timedelta, broadcast: bool) -> DataFrame:
    """The rows with the columns of the index for their `ends` and time; `index` has one row an end and slice."""
    others = index.withColumnsRenamed({"ends": "index_ends", "slice": "index_slice"})
    on = F.expr(f"ends = index_ends AND {_slice('event_time', flow_skew)} = index_slice")
    return rows.join(F.broadcast(others) if broadcast else others, on=on, how="left")


def slices(near: timedelta, flow_skew: timedelta) -> str:
    """A row for each slice of time that reaches `near` to the row's time: `slice`, as an SQL select expression."""
    first, last = (_slice(f"event_time {sign} {literal(near)}", flow_skew) for sign in "-+")
    return f"explode(sequence({first}, {last})) AS slice"


def _slice(time: str, flow_skew: timedelta) -> str:
    # As long as what is near a flow on both sides, so a row is in two slices at most. Without slices, two ports that
    # exchange a packet each second would compare each of their flows with those of the whole period.
    return f"unix_micros({time}) div {micros(max(4 * flow_skew, timedelta(seconds=1)))}L"


def fits(flow: str, connection: str, flow_skew: timedelta) -> str:
    """Whether a flow and a connection with the same ends fit in time and transport, as SQL. In: prefixes of columns."""
    skew = literal(flow_skew)
    flow_time, time = f"{flow}event_time", f"{connection}event_time"
    return f"""{flow_time} >= {time} - {skew} AND {flow_time} <= {time} + {skew}
        AND coalesce({flow}transport = {connection}transport, true)"""


def is_dest_side(flow: str, connection: str) -> str:
    """Whether the host of a connection is the side that the flow was opened to, as SQL. In: prefixes of columns.

    It is if it received the connection, whichever side its sensor writes first (Sysmon the remote one, Security 5156
    mostly its own), and if its own address, `src_ip`, is not the one that opened the flow.
    """
    turned = f"{connection}src_ip != {flow}src_ip OR {connection}src_port != {flow}src_port"
    return f"(coalesce({connection}direction = 'inbound', false) OR {turned})"


def _distinct(array: str, name: str) -> str:
    return f"array_distinct(filter(transform({array}, x -> x.{name}), v -> v IS NOT NULL))"


def first_known(array: str, name: str) -> str:
    return f"try_element_at(filter(transform({array}, x -> x.{name}), v -> v IS NOT NULL), 1)"


def names_process(array: str) -> str:
    return f"exists({array}, c -> coalesce({', '.join(f'CAST(c.{n} AS string)' for n in _IDENTITY)}) IS NOT NULL)"
