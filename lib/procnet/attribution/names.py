"""Gives a connection the name of its destination: what was queried before it, and by which process (docs/semantics.md,
R9).

The queries that may name a connection are gathered into arrays by host, address and slice of time. Of an array the name
is chosen in SQL, so nothing above the joins needs an exchange.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution.hosts import host_key, with_host_key
from procnet.contract import DNS_EVENTS
from procnet.periods import micros
from procnet.settings import HostMatch, Tolerances
from procnet.spark.sql import column, literal

MOST_NAMES = 5  # of one connection in `dest_names`

# What is gathered of a query. It sorts by time, then name: of queries at one instant the greatest name is the latest.
_QUERY = ("event_time", "query_name", "process_id", "process_guid", "process_name")
_QUERIES = T.ArrayType(T.StructType([DNS_EVENTS[n] for n in _QUERY])).simpleString()
# A second at least, so that a name_age of zero has slices too.
_SHORTEST_SLICE = timedelta(seconds=1)


def with_names(
    matches: DataFrame,
    dns_events: DataFrame | None,
    *,
    host_match: HostMatch,
    name_age: timedelta,
    tolerances: Tolerances,
    broadcast: bool,
) -> DataFrame:
    """The connections with `dest_name`, `dest_name_by` (`contract.NAME_KINDS`; null without a name) and `dest_names`
    (the names that fit as well, at most MOST_NAMES, the latest first).

    In: `matches` with the columns of `contract.NETWORK_EVENTS` and `instance` as `attribute` gives it; further columns
    stay, and no row is added or lost. `dns_events` as `contract.DNS_EVENTS`, read from `name_age` before the first
    connection to `end_grace` after the last; None where the lake has no such table. `broadcast`: the queries are few
    enough to be sent to every task. Both plans give the same rows.
    """
    if dns_events is None:
        none = f"CAST(NULL AS {_QUERIES})"
        gathered = matches.selectExpr("*", f"{none} AS host_queries", f"{none} AS sensor_queries")
    else:
        index = _queries_by_address(dns_events, host_match, name_age, tolerances)
        gathered = _with_queries(matches, index, host_match, _slice_micros(name_age, tolerances), broadcast)
    return _with_chosen_names(gathered, matches.columns, name_age, tolerances)


def _slice_micros(name_age: timedelta, tolerances: Tolerances) -> int:
    return micros(max(name_age + tolerances.end_grace, _SHORTEST_SLICE))


def _slice(time: str, length: int) -> str:
    return f"unix_micros({time}) div {length}L"


def _queries_by_address(
    dns_events: DataFrame, host_match: HostMatch, name_age: timedelta, tolerances: Tolerances
) -> DataFrame:
    """One row a host, address and slice of time (`host_key`, `address`, `slice`), with the `queries` that may name a
    connection there.

    A slice is as long as a query can name connections, so a query is in two slices at most. Without slices, an address
    that is queried every second for a day would compare each of its connections with 86,400 queries.
    """
    length = _slice_micros(name_age, tolerances)
    first = _slice(f"query.event_time - {literal(tolerances.end_grace)}", length)
    last = _slice(f"query.event_time + {literal(name_age)}", length)
    return (
        with_host_key(dns_events.where("query_name IS NOT NULL"), host_match)
        .selectExpr("host_key", f"struct({', '.join(_QUERY)}) AS query", "explode(array_distinct(answers)) AS address")
        .where("host_key IS NOT NULL AND address IS NOT NULL")
        .selectExpr("host_key", "address", "query", f"explode(sequence({first}, {last})) AS slice")
        .groupBy("host_key", "address", "slice")
        .agg(F.expr("collect_list(query) AS queries"))
    )


def _with_queries(
    matches: DataFrame, index: DataFrame, host_match: HostMatch, length: int, broadcast: bool
) -> DataFrame:
    """The connections with `host_queries` (of their host) and `sensor_queries` (of the address that they come from, as
    a network sensor records them); null for none, and for inbound connections.

    One index serves both joins, so it is broadcast once. A row of it is one key: no join multiplies connections.
    """
    address = "CASE WHEN NOT coalesce(direction = 'inbound', false) THEN dest_ip END"
    gathered = matches
    for name, host in (("host_queries", host_key("host", host_match)), ("sensor_queries", "src_ip")):
        names = (f"host_key AS {name}_host", f"address AS {name}_address", f"slice AS {name}_slice")
        side = index.selectExpr(*names, f"queries AS {name}")
        same_slice = f"{_slice('event_time', length)} = {name}_slice"
        on = F.expr(f"{host} = {name}_host AND {address} = {name}_address AND {same_slice}")
        gathered = gathered.join(F.broadcast(side) if broadcast else side, on=on, how="left")
    return gathered.select(*map(column, matches.columns), "host_queries", "sensor_queries")


def _with_chosen_names(
    gathered: DataFrame, columns: list[str], name_age: timedelta, tolerances: Tolerances
) -> DataFrame:
    """The `columns` with the names of the first kind that has one. `gathered`: as `_with_queries` returns it."""
    in_time = f"""q.event_time >= event_time - {literal(name_age)}
        AND q.event_time <= event_time + {literal(tolerances.end_grace)}"""
    queries = [f"filter({name}, q -> {in_time}) AS {name}" for name in ("host_queries", "sensor_queries")]
    of_process = _names(f"filter(host_queries, q -> {_same_process('q', tolerances)})")
    of_host = _names("flatten(filter(array(host_queries, sensor_queries), a -> a IS NOT NULL))")
    needs_host = "coalesce(size(process_names), 0) <= 0 AND dest_name IS NULL"
    chosen = """CASE WHEN size(process_names) > 0 THEN struct('process' AS kind, process_names AS names)
        WHEN dest_name IS NOT NULL THEN struct('record' AS kind, array(dest_name) AS names)
        WHEN size(host_names) > 0 THEN struct('host' AS kind, host_names AS names)
        WHEN dest_host IS NOT NULL THEN struct('reverse' AS kind, array(dest_host) AS names) END AS chosen_names"""
    quoted = {n: column(n) for n in columns if n not in ("dest_name_by", "dest_names")}
    out = [value if n != "dest_name" else "chosen_names.names[0] AS dest_name" for n, value in quoted.items()]
    return (
        gathered.selectExpr(*quoted.values(), *queries)
        .selectExpr("*", f"{of_process} AS process_names")
        .selectExpr("*", f"CASE WHEN {needs_host} THEN {of_host} END AS host_names")
        .selectExpr(*quoted.values(), chosen)
        .selectExpr(*out, "chosen_names.kind AS dest_name_by", "chosen_names.names AS dest_names")
    )


def _names(queries: str) -> str:
    """The distinct names of an array of queries, the latest first, as SQL."""
    latest_first = f"transform(reverse(array_sort({queries})), q -> q.query_name)"
    return f"slice(array_distinct({latest_first}), 1, {MOST_NAMES})"


def _same_process(query: str, tolerances: Tolerances) -> str:
    """Whether the connection's process made a query: by the guid where both sides have one, else by the id of the
    attributed instance within its interval. SQL; `query` names the struct.

    As for connections (R2), cloned machines share guids, so process ids must agree where both are known; and an
    instance may be recorded `start_tolerance` after its start, and `clock_skew` after what it does.
    """
    guid, pid, image = (
        f"coalesce({first}, {second})"
        for first, second in (
            ("process_guid", "instance.process_guid"),
            ("process_id", "instance.process_id"),
            ("instance.process_name", "process_name"),
        )
    )
    early = literal(tolerances.start_tolerance + tolerances.clock_skew)
    by_guid = f"{query}.process_guid = {guid} AND coalesce({query}.process_id = {pid}, true)"
    by_id = f"""coalesce({query}.process_id = {pid} AND {query}.event_time >= instance.process_time - {early}, false)
        AND coalesce({query}.event_time < instance.process_end_time, true)
        AND coalesce({query}.process_name = {image}, true)"""
    return f"CASE WHEN {query}.process_guid IS NOT NULL AND {guid} IS NOT NULL THEN {by_guid} ELSE {by_id} END"
