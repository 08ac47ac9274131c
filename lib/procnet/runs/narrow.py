"""First on few columns: which connections, and which process events, can still matter once the text columns are read.

A scan costs by its text columns, not by its rows (3-join). So candidates, connections and lives are looked for by keys
and names alone, a bounded number of them held by the driver, and only what is left is read whole: an hour that has
nothing to say reads no text. Nothing here decides. What is left out could not match; `find` judges the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution import plan as plans
from procnet.attribution.lifetimes import host_key
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.detection import Detection
from procnet.detections.evaluate import fields_asked, wants_any_process
from procnet.predicates.sql import one_of
from procnet.settings import Settings

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


def narrowed(
    met: DataFrame,
    connections: DataFrame,
    detections: Sequence[Detection],
    settings: Settings,
    around: Callable[[timedelta], DataFrame],
    limit: int,
) -> Narrowed | None:
    """What can still give findings; None where that is too much to hold.

    In: `met`, the connections that meet a candidate or stand alone, and `connections`, those it was made of, both as
    `contract.NETWORK_EVENTS`, the first with `mark`: how far back it asks, in microseconds; `around(age)`, the process
    events from `age` before the window on.
    """
    spark = met.sparkSession
    asked = sorted({*_MEETS, *(fields_asked(detections) & set(NETWORK_EVENTS.names))})
    wide = F.expr(wants_any_process(detections)).alias("wide")
    hits = plans.bounded(met.select(*asked, _host_key(settings), wide, "mark"), limit)
    if hits is None:
        return None
    counts = {"connections_met": hits.num_rows}
    if not hits.num_rows:
        return Narrowed(None, counts)
    reach = timedelta(microseconds=max(hits.column("mark").to_pylist()))
    judged = [d for d in detections if d.lookback <= reach]
    processes = around(reach)
    lives = plans.bounded(_lives(processes, hits, processes, settings).select(*_LIVES, _host_key(settings)), limit)
    if lives is None:
        return None
    counts |= {"process_events_met": lives.num_rows}
    wanted = _local(spark, hits, NETWORK_EVENTS).select(_hash(asked).alias("wanted")).distinct()
    whole = connections.where(_pinned(hits, "dest_port", "host"))
    whole = whole.join(F.broadcast(wanted), on=_hash(asked) == F.col("wanted"), how="left_semi")
    return Narrowed(Rest(_described(processes, lives, hits, judged, settings), whole, reach), counts)


def _lives(processes: DataFrame, connections: pa.Table, known: DataFrame, settings: Settings) -> DataFrame:
    """The process events on the keys of some connections; `known` are those that tell a lone guid's process ids."""
    hosts = settings.host.match
    keys = _local(processes.sparkSession, connections, _KEYS).distinct()
    if plans.has_lone_guid(connections):
        keys = plans.with_process_ids(keys, known, hosts)
    return plans.events_on(processes, keys, hosts, small=True)


def _described(
    processes: DataFrame, lives: pa.Table, hits: pa.Table, detections: Sequence[Detection], settings: Settings
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
    return others.unionByName(_lives(whole, hits, events, settings)).coalesce(1)


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


_KEYS = T.StructType(
    [T.StructField("host_key", T.StringType()), *(PROCESS_EVENTS[n] for n in ("process_id", "process_guid"))]
)


def _host_key(settings: Settings) -> Column:
    return host_key(F.col("host"), settings.host.match).alias("host_key")


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
