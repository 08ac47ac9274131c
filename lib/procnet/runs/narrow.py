"""First on few columns: which connections, and which process events, can still matter once the text columns are read.

A scan costs by its text columns, not by its rows (3-join). So candidates, connections and lives are looked for by keys
and names alone, a bounded number of them held by the driver, and only what is left is read whole: an hour that has
nothing to say reads no text. Nothing here decides. What is left out could not match; `find` judges the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution import plan as plans
from procnet.attribution.lifetimes import host_key
from procnet.attribution.settled import unsettled
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.detection import Detection
from procnet.detections.evaluate import fields_asked, wants_any_process
from procnet.predicates.sql import one_of
from procnet.runs.asked import SINCE, Asked
from procnet.runs.look_up import KEYS, LookedUp, look_up
from procnet.types import EPOCH, HostMatch, micros

# By these lives are told apart, and connections find them. The original name is read too: without, any program could
# be a renamed one.
_MEETS = ("event_time", "event_date", "host", "process_id", "process_guid", "process_name")
_LIVES = (*_MEETS, "event_kind", "vendor_product", "source", "original_file_name")
_LISTED = 200  # so many values are named to the files one by one, more not at all


@dataclass(frozen=True)
class Rest:
    """What can still matter: process events, whole where their text can matter, and connections, still to be read."""

    processes: DataFrame
    connections: DataFrame
    reach: timedelta


@dataclass(frozen=True)
class Narrowed:
    """`rest` is None where nothing can match; `counts` are those of the rows that the driver held."""

    rest: Rest | None
    counts: Mapping[str, int]
    looked_up: LookedUp | None = None


def narrowed(met: DataFrame, asked: Asked) -> Narrowed | None:
    """What can still give findings; None where that is too much to hold.

    In: `met`, the connections of the window that meet a candidate or stand alone: `contract.NETWORK_EVENTS` with
    `mark`, how far back it asks, in microseconds.
    """
    columns = sorted({*_MEETS, *(fields_asked(asked.detections) & set(NETWORK_EVENTS.names))})
    wide = F.expr(wants_any_process(asked.detections)).alias("wide")
    hits = plans.bounded(met.select(*columns, _host_key(asked), wide, "mark"), asked.limit)
    if hits is None:
        return None
    counts = {"connections_met": hits.num_rows}
    if not hits.num_rows:
        return Narrowed(None, counts)
    reach = timedelta(microseconds=max(hits.column("mark").to_pylist()))
    judged = [d for d in asked.detections if d.lookback <= reach]
    processes, kept = asked.around(reach), asked.kept(reach)
    since = SINCE if asked.carried is not None else ()
    lives = plans.bounded(_lives(kept, hits, kept, asked.hosts).select(*_LIVES, *since, _host_key(asked)), asked.limit)
    if lives is None:
        return None
    looked_up = None
    if asked.carried is not None:
        looked_up = _look_up(asked, hits, lives, reach)
        if looked_up is None:
            return None
        lives = lives.filter(pc.not_equal(lives["event_kind"], "asked")).select([*_LIVES, "host_key"])
        if looked_up.events.num_rows:
            processes = processes.unionByName(_local(asked.spark, looked_up.events, PROCESS_EVENTS))
            lives = pa.concat_tables([lives, looked_up.events.select(lives.column_names).cast(lives.schema)])
        counts |= {"keys_looked_up": looked_up.keys.num_rows}
    counts |= {"process_events_met": lives.num_rows}
    wanted = _local(asked.spark, hits, NETWORK_EVENTS).select(_hash(columns).alias("wanted")).distinct()
    whole = asked.connections.where(_pinned(hits, "dest_port", "host"))
    whole = whole.join(F.broadcast(wanted), on=_hash(columns) == F.col("wanted"), how="left_semi")
    rest = Rest(_described(processes, lives, hits, judged, asked.hosts), whole, reach)
    return Narrowed(rest, counts, looked_up)


def _look_up(asked: Asked, hits: pa.Table, lives: pa.Table, reach: timedelta) -> LookedUp | None:
    """The events of the keys that what is carried does not tell enough of; None where they are too many to hold."""
    keys = unsettled(hits, lives, micros(asked.known_from - EPOCH), asked.tolerances)
    found = look_up(asked, keys, reach)
    again = lives.filter(pc.equal(lives["event_kind"], "asked")).select([*plans.KEY, "pid_since"])
    return None if found is None else replace(found, again=again)


def _lives(processes: DataFrame, connections: pa.Table, known: DataFrame, hosts: HostMatch) -> DataFrame:
    """The process events on the keys of some connections; `known` are those that tell a lone guid's process ids."""
    keys = _local(processes.sparkSession, connections, KEYS).distinct()
    if plans.has_lone_guid(connections):
        keys = plans.with_process_ids(keys, known, hosts)
    return plans.events_on(processes, keys, hosts, small=True, strays=False)


def _described(
    processes: DataFrame, lives: pa.Table, hits: pa.Table, detections: Sequence[Detection], hosts: HostMatch
) -> DataFrame:
    """The process events `lives`, those starts whole that have a name which a detection could want.

    Two records of one start agree in its name (2-semantics, 1), so none is filled by a record that is not read whole.
    """
    names = _names_wanted(lives, hits, detections) | set(_unclear(lives).column("process_name").to_pylist())
    events = _local(processes.sparkSession, lives, PROCESS_EVENTS)
    if not names:
        return events
    described = f"event_kind = 'start' AND {_any_of('process_name', names)}"
    whole = processes.where(f"{described} AND {_any_of('host', lives.column('host').to_pylist())}")
    others = events.where(f"NOT coalesce({described}, false)")
    return others.unionByName(_lives(whole, hits, events, hosts)).coalesce(1)


def _names_wanted(lives: pa.Table, hits: pa.Table, detections: Sequence[Detection]) -> set[str | None]:
    """Names of the starts that a detection could want: by one of its names, or, where it may want any process, by the
    key of a connection that it wants."""
    named = frozenset[str]().union(*[d.names or () for d in detections])
    asking = hits.filter(hits["wide"])
    ids, guids = (set(_columns(asking, "host_key", key)) for key in ("process_id", "process_guid"))
    starts = lives.filter(pc.equal(lives["event_kind"], "start"))
    return {
        name
        for host, pid, guid, name, original in _columns(
            starts, "host_key", "process_id", "process_guid", "process_name", "original_file_name"
        )
        if name in named or (original or "").lower() in named or (host, pid) in ids or (host, guid) in guids
    }


def _columns(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table.column(n).to_pylist() for n in names), strict=True)


def _unclear(lives: pa.Table) -> pa.Table:
    """Of starts of several names on one key at one instant, whose order only their text tells: `host_key` and names."""
    starts = lives.filter(pc.equal(lives["event_kind"], "start"))
    found = []
    for key in ("process_id", "process_guid"):
        known, at = starts.filter(pc.is_valid(starts[key])), ["host_key", key, "event_time"]
        names = known.group_by(at).aggregate([("process_name", "count_distinct", pc.CountOptions(mode="all"))])
        several = names.filter(pc.greater(names["process_name_count_distinct"], 1)).select(at)
        found.append(known.join(several, at, join_type="left semi").select(["host_key", "process_name"]))
    return pa.concat_tables(found)


def _local(spark: SparkSession, table: pa.Table, schema: T.StructType) -> DataFrame:
    """Rows of the driver as a frame of one partition, so that nothing is exchanged to sort or group them: of exactly
    the schema's columns, null where the table has none."""
    there = [n for n in table.column_names if n in schema.names]
    frame = spark.createDataFrame(table.select(there), T.StructType([schema[n] for n in there])).coalesce(1)
    return frame.select(
        *[F.col(f.name) if f.name in there else F.lit(None).cast(f.dataType).alias(f.name) for f in schema]
    )


def _host_key(asked: Asked) -> Column:
    return host_key(F.col("host"), asked.hosts).alias("host_key")


def _hash(columns: Sequence[str]) -> Column:
    """Rows that agree in the columns agree in it; that others may too does no harm, since the rest is judged again."""
    return F.xxhash64(*columns)


def _pinned(rows: pa.Table, *columns: str) -> str:
    there = [c for c in columns if c in rows.column_names]
    return " AND ".join(_any_of(c, set(rows.column(c).to_pylist())) for c in there) or "true"


def _any_of(column: str, values: Iterable[Any]) -> str:
    """Whether the column is one of the values, for the files to be told by; true where they are too many to say."""
    some = sorted(v for v in set(values) if v is not None)
    if len(some) > _LISTED:
        return "true"
    told = [one_of(column, some)] if some else []
    return f"({' OR '.join([*told, f'{column} IS NULL'])})" if None in values else f"({told[0]})"
