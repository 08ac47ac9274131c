"""The keys by which connections and processes match, and the reduction of both to the keys that matter."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution.hosts import host_key_column, with_host_key
from procnet.contract import PROCESS_EVENTS
from procnet.settings import HostMatch
from procnet.spark.sql import among

# A connection and a process match by host and process id, or by host and guid.
KEY = ("host_key", "process_id", "process_guid")
KEY_SCHEMA = T.StructType([T.StructField("host_key", T.StringType()), *(PROCESS_EVENTS[n] for n in KEY[1:])])

_GUID_ONLY = "process_id IS NULL AND process_guid IS NOT NULL"


def event_keys(events: DataFrame, host_match: HostMatch, *extra: str) -> DataFrame:
    """The KEY of each row, and `extra` of its columns (SQL expressions).

    In: any frame with `host`, `process_id` and `process_guid`. A row without ids stays, although it matches nothing:
    the caller may still need to know that it is there.
    """
    return events.selectExpr(host_key_column(host_match), *KEY[1:], *extra)


def guid_only_keys(keys: DataFrame) -> DataFrame:
    """The keys that have a guid and no process id, as CrowdStrike's connections have."""
    return keys.where(_GUID_ONLY)


def has_guid_only_key(keys: pa.Table) -> bool:
    """Whether one of the collected keys has a guid and no process id."""
    ids, guids = (keys[c].to_pylist() for c in KEY[1:])
    return any(pid is None and guid is not None for pid, guid in zip(ids, guids, strict=True))


def with_process_ids(keys: DataFrame, process_events: DataFrame, host_match: HostMatch) -> DataFrame:
    """The keys, and for each key with a guid and no process id the process ids of the starts with that guid: end events
    and later starts, which end the process, are found by its id.

    It scans the process events once more: call it only where there is such a key (`has_guid_only_key`).
    """
    guids = guid_only_keys(keys).select("host_key", "process_guid")
    # Distinct at once: both sides of `events_with_keys` then share one exchange, and there is one scan.
    starts = event_keys(process_events.where("event_kind = 'start'"), host_match).distinct()
    return keys.union(starts.join(guids, on=["host_key", "process_guid"], how="left_semi").select(keys.columns))


def connections_of_candidates(
    network_events: DataFrame, candidates: pa.Table, host_match: HostMatch, *, self_described: str
) -> DataFrame:
    """Connections that a candidate could have made, with `candidate_lookback_us`: the longest lookback of these
    candidates; and connections for which the SQL condition `self_described` holds, where that column may be null.

    In: `contract.NETWORK_EVENTS`; candidates as KEY, `process_name` and `lookback_us`. Two images that differ are not
    one process (docs/semantics.md, R2): a match by process id counts only where the connection's record names the
    candidate's image, or none.
    """
    connections = with_host_key(network_events, host_match)
    # "" stands for a candidate whose name is unknown: no record has it.
    names = pc.fill_null(candidates["process_name"], "")
    named = candidates.select([*KEY, "lookback_us"]).append_column("name", names)
    for key in KEY[1:]:
        by_key = _grouped_by_key(named, key, {"lookback_us": "max", "name": "distinct"})
        if by_key.num_rows:
            candidate = f"struct(lookback_us_max AS lookback_us, name_distinct AS names) AS by_{key}"
            side = network_events.sparkSession.createDataFrame(by_key).selectExpr("host_key", key, candidate)
            connections = connections.join(F.broadcast(side), on=["host_key", key], how="left")
        else:
            none = f"CAST(NULL AS struct<lookback_us: bigint, names: array<string>>) AS by_{key}"
            connections = connections.selectExpr("*", none)
        if key == "process_id" and not pc.any(pc.is_null(candidates[key])).as_py():
            connections = connections.where(f"by_process_id IS NOT NULL OR process_id IS NULL OR {self_described}")
    names_of_id = "by_process_id.names"
    same_image = (
        f"process_name IS NULL OR array_contains({names_of_id}, process_name) OR array_contains({names_of_id}, '')"
    )
    lookback = f"greatest(CASE WHEN {same_image} THEN by_process_id.lookback_us END, by_process_guid.lookback_us)"
    matching = connections.selectExpr(*network_events.columns, f"{lookback} AS candidate_lookback_us")
    return matching.where(f"candidate_lookback_us IS NOT NULL OR {self_described}")


def events_with_keys(process_events: DataFrame, keys: DataFrame, host_match: HostMatch, *, small: bool) -> DataFrame:
    """The process events that can decide which process has a candidate's key: all on the same host and process id, or
    host and guid, and all starts without a process id, since a connection's guid may match them.

    The reduction is by key, never by image: python.exe that takes over msiexec's id ends msiexec. In and out: columns
    of `contract.PROCESS_EVENTS`, or more. `small`: the keys may be broadcast.
    """
    events = with_host_key(process_events, host_match)
    for key in KEY[1:]:
        side = keys.where(f"{key} IS NOT NULL").selectExpr("host_key", key, f"true AS has_{key}").distinct()
        events = events.join(F.broadcast(side) if small else side, on=["host_key", key], how="left")
    wanted = "has_process_id OR has_process_guid OR (process_id IS NULL AND event_kind = 'start')"
    return events.where(wanted).select(*process_events.columns)


def events_of_connections(
    process_events: DataFrame, keys: pa.Table, host_match: HostMatch, *, all_of_guids: bool = False
) -> DataFrame:
    """The process events that can decide which process made connections with these keys.

    An event has the connection's process id, or none and the connection's guid, since a guid counts only where the ids
    do not differ (docs/semantics.md, R2). So most rows are dropped by their id before anything else is looked at. For
    keys with a guid and no process id see `with_process_ids`. `all_of_guids`: also events of a guid with another id.
    """
    by_guid = all_of_guids or has_guid_only_key(keys)
    ids, guids = ({v for v in keys[key].to_pylist() if v is not None} for key in KEY[1:])
    # Of 16 million rows 221 ids are found in 1.3 s; the two joins without this condition took 4.5 s.
    other = among("process_guid", guids) if by_guid else "process_id IS NULL"
    events = process_events.where(f"{other} OR {among('process_id', ids)}")
    events = with_host_key(events, host_match)
    for key in KEY[1:]:
        schema = T.StructType(
            [KEY_SCHEMA["host_key"], KEY_SCHEMA[key]]
        )  # Connect infers none from a table without rows
        side = process_events.sparkSession.createDataFrame(_grouped_by_key(keys, key), schema)
        events = events.join(F.broadcast(side.selectExpr("*", f"true AS has_{key}")), on=["host_key", key], how="left")
        if key == "process_id" and not by_guid:
            events = events.where("has_process_id OR process_id IS NULL")
    return events.where("has_process_id OR has_process_guid").select(*process_events.columns)


def _grouped_by_key(keys: pa.Table, key: str, aggregates: Mapping[str, str] | None = None) -> pa.Table:
    """One row for each host and known `key`, with aggregates of other columns. On the driver: to group few rows as a
    frame costs an exchange and a job."""
    return keys.filter(pc.is_valid(keys[key])).group_by(["host_key", key]).aggregate([*(aggregates or {}).items()])
