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

from procnet.attribution.hosts import host_key
from procnet.contract import FLOW_EVENTS, NETWORK_EVENTS, PROCESS_FIELDS
from procnet.periods import micros
from procnet.settings import HostMatch
from procnet.spark.sql import column, literal

# Why a flow has no process; of several reasons the first is reported.
REASONS = ("no_connection", "several_hosts", "several_processes", "reused_tuple", "no_process")
# The columns that `with_flows` adds to a connection.
SENSOR_FIELDS = ("flow_uid", "community_id", "duration", "server_name", "url", "ja3", "ja4")

_IDENTITY = ("process_guid", "process_id", "process_name")  # any of them says which process it is
_PROCESS = tuple(n for n in NETWORK_EVENTS.names if n in {*PROCESS_FIELDS, "process_start_time"})
# Later records of a flow are further requests: 1,746 records of TLS and HTTP were at most 3.9 s after the first packet.
# Without a bound, the rows around a window would not be enough to know where its flows begin.
_MERGED_WITHIN = timedelta(minutes=1)
# Both ends of a row, in one order for both directions; null where one is unknown, since null joins nothing.
_ENDS = """CASE WHEN src_ip IS NOT NULL AND src_port IS NOT NULL AND dest_ip IS NOT NULL AND dest_port IS NOT NULL THEN
    array_sort(array(struct(src_ip AS ip, src_port AS port), struct(dest_ip AS ip, dest_port AS port))) END AS ends"""
_STRUCT_OF_FLOW = f"struct({', '.join(FLOW_EVENTS.names)})"


def flow_reach(flow_skew: timedelta) -> timedelta:
    """How far before and after connections flow_events and network_events must be read for `with_flows`: there are a
    flow, its connections, their other flows, and the records of each flow."""
    return 3 * flow_skew + _merged_within(flow_skew)


def attribute_flows(
    flow_events: DataFrame,
    network_events: DataFrame,
    *,
    flow_skew: timedelta,
    host_match: HostMatch,
    broadcast: bool = False,
) -> DataFrame:
    """The flows of sensors, each with the process of its connection.

    In: `contract.FLOW_EVENTS` and `contract.NETWORK_EVENTS`. Out: one row a flow: FLOW_EVENTS, `host`, `side` (src or
    dest: which side of the flow the host is), the columns of the process, `connection_record_id`, `attribution` (flow
    or none) and `reason` (null, or one of REASONS). `broadcast`: both frames are few enough to be sent to every task.
    Both plans give the same rows.
    """
    judged = _judged(_merged(flow_events, flow_skew), network_events, flow_skew, host_match, broadcast)
    side = f"CASE WHEN reason IS NULL THEN CASE WHEN {_names_process('src_side')} THEN 'src' ELSE 'dest' END END"
    own = "CASE side WHEN 'src' THEN src_side WHEN 'dest' THEN dest_side END"
    return (
        judged.selectExpr("*", f"{side} AS side")
        .selectExpr("*", f"{own} AS own")
        .selectExpr(
            *FLOW_EVENTS.names,
            "try_element_at(own, 1).host AS host",
            "side",
            *(f"{_first_known('own', n)} AS {n}" for n in _PROCESS),
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
        _judged(_merged(flow_events, flow_skew), network_events, flow_skew, host_match, broadcast)
        .where("coalesce(reason, 'no_process') = 'no_process'")
        .selectExpr("ends", _slices(flow_skew, flow_skew), f"{_STRUCT_OF_FLOW} AS flow")
        .groupBy("ends", "slice")
        .agg(F.expr("array_sort(collect_list(flow)) AS flows"))
    )
    fits = f"host IS NOT NULL AND {_fits('f.', '', flow_skew)}"
    found = _with_arrays(matches.selectExpr("*", _ENDS), index, flow_skew, broadcast).selectExpr(
        *map(column, columns), f"transform(filter(flows, f -> {fits}), f -> {_described_connection('f')}) AS fitting"
    )
    known = {n: _first_known("fitting", n) for n in (*SENSOR_FIELDS, "bytes_in", "bytes_out", "dest_name")}
    return found.selectExpr(
        *(f"coalesce({n}, {known[n]}) AS {n}" if n in known else column(n) for n in columns),
        *(f"{known[n]} AS {n}" for n in SENSOR_FIELDS),
    )


def _described_connection(flow: str) -> str:
    """What a flow says of the row's connection, as a struct: bytes as its host sees them, and the server's name where
    its host opened the flow."""
    is_dest = _is_dest_side(f"{flow}.", "")
    columns = {n: f"{flow}.{n}" for n in SENSOR_FIELDS}
    columns["bytes_in"] = f"CASE WHEN {is_dest} THEN {flow}.bytes_out ELSE {flow}.bytes_in END"
    columns["bytes_out"] = f"CASE WHEN {is_dest} THEN {flow}.bytes_in ELSE {flow}.bytes_out END"
    columns["dest_name"] = f"CASE WHEN NOT {is_dest} THEN {flow}.server_name END"
    return f"struct({', '.join(f'{value} AS {n}' for n, value in columns.items())})"


def _merged_within(flow_skew: timedelta) -> timedelta:
    return max(_MERGED_WITHIN, 2 * flow_skew)  # so no two parts of one flow are near one connection


def _merged(flow_events: DataFrame, flow_skew: timedelta) -> DataFrame:
    """One row a flow: its records from the first one on, each column as the earliest record that knows it has it.

    A record begins a flow where none of the same flow lies `_merged_within` before it. A record without a `flow_uid` is
    a flow. In and out: `contract.FLOW_EVENTS`.
    """
    within = f"{micros(_merged_within(flow_skew))}L"
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
        .selectExpr("*", f"{_STRUCT_OF_FLOW} AS record")
        .selectExpr("*", f"{known} least_transport ELSE transport END AS flow_transport")
    )
    first = (f"min_by({n}, record) FILTER (WHERE {n} IS NOT NULL) AS first_{n}" for n in FLOW_EVENTS.names)
    merged = records.groupBy(*key.split(", "), "part", "flow_transport").agg(*map(F.expr, first))
    return merged.selectExpr(*(f"first_{n} AS {n}" for n in FLOW_EVENTS.names))


def _judged(
    flows: DataFrame, network_events: DataFrame, flow_skew: timedelta, host_match: HostMatch, broadcast: bool
) -> DataFrame:
    """The flows with `ends`, `reason` and the connections that fit: `src_side` of the host that opened the flow, and
    `dest_side` of the other one; those with a guid first, then by time. In: flows of `_merged`."""
    flows = flows.selectExpr("*", _ENDS)
    sorted_by = ("process_guid IS NULL AS no_guid", "event_time", "host", *_PROCESS, "record_id")
    connection = ", ".join(
        (*sorted_by, "src_ip", "src_port", "transport", "direction", f"{host_key('host', host_match)} AS host_key")
    )
    connections = network_events.where("host IS NOT NULL").selectExpr(
        _ENDS, _slices(flow_skew, flow_skew), f"struct({connection}) AS connection"
    )
    others = flows.selectExpr(
        "ends", _slices(2 * flow_skew, flow_skew), "struct(event_time, source, sensor, transport) AS flow"
    )
    nearby = (
        connections.unionByName(others, allowMissingColumns=True)
        .where("ends IS NOT NULL")
        .groupBy("ends", "slice")
        .agg(F.expr("array_sort(collect_list(connection)) AS connections"), F.expr("collect_list(flow) AS flows"))
    )
    is_dest = _is_dest_side("", "c.")
    return (
        _with_arrays(flows, nearby, flow_skew, broadcast)
        .selectExpr("*", f"filter(connections, c -> {_fits('', 'c.', flow_skew)}) AS fitting")
        .selectExpr(
            "*", f"filter(fitting, c -> NOT {is_dest}) AS src_side", f"filter(fitting, c -> {is_dest}) AS dest_side"
        )
        .selectExpr(*flows.columns, "src_side", "dest_side", f"{_reason(flow_skew)} AS reason")
    )


def _reason(flow_skew: timedelta) -> str:
    """The first of REASONS that holds, or null, as SQL over the columns of `_judged`."""
    differing = {
        name: " OR ".join(f"size({_distinct(side, name)}) > 1" for side in ("src_side", "dest_side"))
        for name in ("host_key", *_IDENTITY)
    }
    same_sensor = "f.source <=> source AND f.sensor <=> sensor"
    of_connection = f"filter(flows, f -> {same_sensor} AND {_fits('f.', 'c.', flow_skew)})"
    conditions = (
        "coalesce(size(fitting), 0) <= 0",
        differing["host_key"],
        " OR ".join(differing[name] for name in _IDENTITY),
        f"exists(fitting, c -> size({of_connection}) > 1)",
        f"NOT {_names_process('fitting')}",
    )
    cases = (f"WHEN {c} THEN {literal(r)}" for r, c in zip(REASONS, conditions, strict=True))
    return f"CASE {' '.join(cases)} END"


def _with_arrays(rows: DataFrame, index: DataFrame, flow_skew: timedelta, broadcast: bool) -> DataFrame:
    """The rows with the columns of the index for their `ends` and time; `index` has one row an end and slice."""
    others = index.withColumnsRenamed({"ends": "index_ends", "slice": "index_slice"})
    on = F.expr(f"ends = index_ends AND {_slice('event_time', flow_skew)} = index_slice")
    return rows.join(F.broadcast(others) if broadcast else others, on=on, how="left")


def _slices(near: timedelta, flow_skew: timedelta) -> str:
    """A row for each slice of time that reaches `near` to the row's time: `slice`, as an SQL select expression."""
    first, last = (_slice(f"event_time {sign} {literal(near)}", flow_skew) for sign in "-+")
    return f"explode(sequence({first}, {last})) AS slice"


def _slice(time: str, flow_skew: timedelta) -> str:
    # As long as what is near a flow on both sides, so a row is in two slices at most. Without slices, two ports that
    # exchange a packet each second would compare each of their flows with those of the whole period.
    return f"unix_micros({time}) div {micros(max(4 * flow_skew, timedelta(seconds=1)))}L"


def _fits(flow: str, connection: str, flow_skew: timedelta) -> str:
    """Whether a flow and a connection with the same ends fit in time and transport, as SQL. In: prefixes of columns."""
    skew = literal(flow_skew)
    flow_time, time = f"{flow}event_time", f"{connection}event_time"
    return f"""{flow_time} >= {time} - {skew} AND {flow_time} <= {time} + {skew}
        AND coalesce({flow}transport = {connection}transport, true)"""


def _is_dest_side(flow: str, connection: str) -> str:
    """Whether the host of a connection is the side that the flow was opened to, as SQL. In: prefixes of columns.

    It is if it received the connection, whichever side its sensor writes first (Sysmon the remote one, Security 5156
    mostly its own), and if its own address, `src_ip`, is not the one that opened the flow.
    """
    turned = f"{connection}src_ip != {flow}src_ip OR {connection}src_port != {flow}src_port"
    return f"(coalesce({connection}direction = 'inbound', false) OR {turned})"


def _distinct(array: str, name: str) -> str:
    return f"array_distinct(filter(transform({array}, x -> x.{name}), v -> v IS NOT NULL))"


def _first_known(array: str, name: str) -> str:
    return f"try_element_at(filter(transform({array}, x -> x.{name}), v -> v IS NOT NULL), 1)"


def _names_process(array: str) -> str:
    return f"exists({array}, c -> coalesce({', '.join(f'CAST(c.{n} AS string)' for n in _IDENTITY)}) IS NOT NULL)"
