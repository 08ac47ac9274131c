"""By which keys connections and processes meet, and the reduction of both to the keys that matter."""

from __future__ import annotations

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution.hosts import host_key
from procnet.contract import PROCESS_EVENTS
from procnet.settings import HostMatch
from procnet.spark.sql import among

KEY = ("host_key", "process_id", "process_guid")  # by which events and processes meet
KEYS = T.StructType(
    [T.StructField("host_key", T.StringType()), *(PROCESS_EVENTS[n] for n in ("process_id", "process_guid"))]
)


def event_keys(events: DataFrame, host_match: HostMatch, *more: str) -> DataFrame:
    """The KEY of each row, and `more` of its columns.

    In: any frame with `host`, `process_id` and `process_guid`. A row without ids stays: it joins nothing, but says that
    somebody asked.
    """
    return events.selectExpr(f"{host_key('host', host_match)} AS host_key", *KEY[1:], *more)


def with_process_ids(keys: DataFrame, processes: DataFrame, host_match: HostMatch) -> DataFrame:
    """Keys, and for those that are a guid alone the process ids of its starts: when they end is told by the id.

    It reads processes once more: ask it only where `has_lone_guid`, as with CrowdStrike's connections.
    """
    alone = keys.where(_LONE_GUID).select("host_key", "process_guid")
    # Made distinct at once: so both of `events_on`'s sides take them from one exchange, and the scan stays one.
    starts = event_keys(processes.where("event_kind = 'start'"), host_match).distinct()
    return keys.union(starts.join(alone, on=["host_key", "process_guid"], how="left_semi").select(keys.columns))


_LONE_GUID = "process_id IS NULL AND process_guid IS NOT NULL"


def has_guid_only_key(keys: pa.Table | DataFrame) -> bool:
    """Whether a key is a guid alone. Asked of a frame it is an action."""
    if isinstance(keys, DataFrame):
        return not keys.where(_LONE_GUID).isEmpty()
    ids, guids = (keys[c].to_pylist() for c in ("process_id", "process_guid"))
    return any(pid is None and guid is not None for pid, guid in zip(ids, guids, strict=True))


def connections_of_candidates(
    connections: DataFrame, candidates: pa.Table, host_match: HostMatch, *, alone: str
) -> DataFrame:
    """Connections that a candidate could have made, with `asked_by`, the greatest `mark` of these; and those for which
    `alone` holds, an SQL condition, where it is null if nobody asks.

    In: candidates as KEY, `process_name`, `mark`. Two images that differ are not one process (2-semantics, 2): so a key
    of the process id counts where the connection's record names the candidate's image, or none.
    """
    rows = connections.selectExpr("*", f"{host_key('host', host_match)} AS host_key")
    # "" stands for a name that is not known: no record has it.
    told = candidates.select([*KEY, "mark"]).append_column("name", pc.fill_null(candidates["process_name"], ""))
    for key in KEY[1:]:
        side = _known(told, key, ("mark", "max"), ("name", "distinct"))
        if side.num_rows:
            by = f"struct(mark_max AS mark, name_distinct AS names) AS by_{key}"
            known = connections.sparkSession.createDataFrame(side).selectExpr("host_key", key, by)
            rows = rows.join(F.broadcast(known), on=["host_key", key], how="left")
        else:
            rows = rows.selectExpr("*", f"CAST(NULL AS struct<mark: bigint, names: array<string>>) AS by_{key}")
        if key == "process_id" and not pc.any(pc.is_null(candidates[key])).as_py():
            rows = rows.where(f"by_process_id IS NOT NULL OR process_id IS NULL OR {alone}")
    names = "by_process_id.names"
    agrees = f"process_name IS NULL OR array_contains({names}, process_name) OR array_contains({names}, '')"
    mark = f"greatest(CASE WHEN {agrees} THEN by_process_id.mark END, by_process_guid.mark)"
    told = rows.selectExpr(*connections.columns, f"{mark} AS asked_by")
    return told.where(f"asked_by IS NOT NULL OR {alone}")


def _known(keys: pa.Table, key: str, *told: tuple[str, str]) -> pa.Table:
    """One row for each host and `key` that is known, with what is told of them: by the driver, since to group few rows
    as a frame costs an exchange and a job."""
    return keys.filter(pc.is_valid(keys[key])).group_by(["host_key", key]).aggregate([*told])


def events_with_keys(processes: DataFrame, keys: DataFrame, host_match: HostMatch, *, small: bool) -> DataFrame:
    """The process events that can decide who answers for the keys of candidates: all on the same host and id, or host
    and guid, and all starts without a process id, which a connection's guid may find.

    The reduction is by key, never by image: python.exe that takes over msiexec's id ends msiexec. In and out: columns
    of `contract.PROCESS_EVENTS`, or with more.
    """
    rows = processes.selectExpr("*", f"{host_key('host', host_match)} AS host_key")
    for key in KEY[1:]:
        side = keys.where(f"{key} IS NOT NULL").selectExpr("host_key", key, f"true AS on_{key}").distinct()
        rows = rows.join(F.broadcast(side) if small else side, on=["host_key", key], how="left")
    wanted = "on_process_id OR on_process_guid OR (process_id IS NULL AND event_kind = 'start')"
    return rows.where(wanted).select(*processes.columns)


def events_of_connections(
    processes: DataFrame, keys: pa.Table, host_match: HostMatch, *, all_of_guids: bool = False
) -> DataFrame:
    """The same for the keys of connections: an event has their process id, or none and their guid, since a guid counts
    only where ids do not differ (2-semantics, 2). So most rows are dropped before anything but their id is looked at.
    Of a key that is a guid alone, see `with_process_ids`. With `all_of_guids`, those of their guids on any id too.
    """
    by_guid = all_of_guids or has_guid_only_key(keys)
    ids, guids = ({v for v in keys[key].to_pylist() if v is not None} for key in KEY[1:])
    # Of 16 million rows 221 ids are asked for in 1.3 s; the joins at once took 4.5 s.
    other = among("process_guid", guids) if by_guid else "process_id IS NULL"
    rows = processes.where(f"{other} OR {among('process_id', ids)}")
    rows = rows.selectExpr("*", f"{host_key('host', host_match)} AS host_key")
    for key in KEY[1:]:
        schema = T.StructType([KEYS["host_key"], KEYS[key]])  # Connect cannot tell it from a table without rows
        side = processes.sparkSession.createDataFrame(_known(keys, key), schema).selectExpr("*", f"true AS on_{key}")
        rows = rows.join(F.broadcast(side), on=["host_key", key], how="left")
        if key == "process_id" and not by_guid:
            rows = rows.where("on_process_id OR process_id IS NULL")
    return rows.where("on_process_id OR on_process_guid").select(*processes.columns)
