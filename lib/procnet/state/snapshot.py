"""The rows that a run leaves for the run of the next window: those of its events that can still matter then.

These are the starts that a detection could match, as far back as its lookback, and from each on all events of its keys;
and the keys that had to be looked up, since the next windows need them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import reduce
from operator import or_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution.hosts import host_key_column
from procnet.attribution.keys import KEY, KEY_SCHEMA, event_keys
from procnet.contract import OPEN_PROCESSES, PROCESS_EVENTS
from procnet.state.history import CARRIED_COLUMNS, COMPLETE_FROM, ProcessHistory
from procnet.state.lookback import Lookback

_LOOKUP = T.StructType([OPEN_PROCESSES[n] for n in ("host", *KEY[1:], "pid_complete_from", "looked_up_at")])


def snapshot(
    history: ProcessHistory, start_conditions: Mapping[timedelta, str | None], lookback: Lookback | None
) -> DataFrame:
    """The rows that the next window needs, as `CarriedRows.rows`.

    `start_conditions`: lookback -> SQL condition for the starts that detections of this lookback could match.
    `lookback`: what this window has read in addition to the carried rows.
    """
    end, tolerance = history.window.end, history.tolerances.start_tolerance
    events = history.available(history.longest_lookback).where(F.col("event_time") < F.lit(end))
    if lookback is not None and lookback.events.num_rows:
        read = history.spark.createDataFrame(lookback.events.select(PROCESS_EVENTS.names), PROCESS_EVENTS)
        events = events.unionByName(read)
    lookups = _recent_lookups(history, lookback)
    needed = [lookups.select(F.col("host").alias("host_key"), *KEY[1:], F.col("pid_complete_from").alias("since"))]
    for age, condition in start_conditions.items():
        if condition is not None:
            starts = events.where(f"event_kind = 'start' AND {condition}")
            starts = starts.where(F.col("event_time") >= F.lit(end - age - tolerance))
            needed.append(event_keys(starts.withColumn("since", F.col("event_time")), history.host_match, "since"))
    needed_keys = reduce(DataFrame.unionByName, needed)
    rows = events.selectExpr(
        "*", host_key_column(history.host_match), "'event' AS row_kind",
        "CAST(NULL AS timestamp) AS looked_up_at",
    )  # fmt: skip
    for key, complete_from in zip(KEY[1:], COMPLETE_FROM, strict=True):
        of_key = needed_keys.where(F.col(key).isNotNull()).groupBy("host_key", key)
        side = of_key.agg(F.min("since").alias(complete_from))
        rows = rows.join(F.broadcast(side), on=["host_key", key], how="left")
    is_needed = [F.coalesce(F.col("event_time") >= F.col(c) - F.lit(tolerance), F.lit(False)) for c in COMPLETE_FROM]
    # An event that was looked up may be carried too: `distinct` drops the copies, of few rows.
    carried = rows.where(reduce(or_, is_needed)).select(*CARRIED_COLUMNS).distinct()
    return carried.unionByName(lookup_rows(lookups))


def lookups_of(history: ProcessHistory, lookback: Lookback, at: datetime) -> DataFrame:
    """The keys of a lookback, looked up at a time: `host` (a host key), `process_id`, `process_guid`,
    `pid_complete_from`, `looked_up_at`."""
    keys = history.spark.createDataFrame(lookback.keys, KEY_SCHEMA).withColumnRenamed("host_key", "host")
    complete_from = F.lit(history.window.start - lookback.reach)
    return keys.withColumns({"pid_complete_from": complete_from, "looked_up_at": F.lit(at)}).select(*_LOOKUP.names)


def lookup_rows(lookups: DataFrame) -> DataFrame:
    """Lookups as `CarriedRows.rows`. In: the columns of `lookups_of`."""
    values = {n: F.col(n) for n in _LOOKUP.names}
    values |= {"guid_complete_from": F.col("pid_complete_from"), "row_kind": F.lit("lookup")}
    fields = [OPEN_PROCESSES[n] for n in CARRIED_COLUMNS]
    return lookups.select(*[values.get(f.name, F.lit(None).cast(f.dataType)).alias(f.name) for f in fields])


def _recent_lookups(history: ProcessHistory, lookback: Lookback | None) -> DataFrame:
    """One row a key that was looked up for this window, or for one within the longest lookback before its end."""
    end = history.window.end
    lookups = [history.spark.createDataFrame([], _LOOKUP)]
    if history.carried is not None:
        carried = history.carried.rows.where("row_kind = 'lookup'")
        recent = carried.where(F.col("looked_up_at") >= F.lit(end - history.longest_lookback))
        lookups.append(recent.select(*_LOOKUP.names))
    if lookback is not None:
        if lookback.keys.num_rows:
            lookups.append(lookups_of(history, lookback, end))
        if lookback.needed_again is not None and lookback.needed_again.num_rows:
            again = history.spark.createDataFrame(lookback.needed_again).withColumnRenamed("host_key", "host")
            lookups.append(again.withColumn("looked_up_at", F.lit(end)).select(*_LOOKUP.names))
    of_key = F.min("pid_complete_from").alias("pid_complete_from"), F.max("looked_up_at").alias("looked_up_at")
    return reduce(DataFrame.unionByName, lookups).groupBy("host", *KEY[1:]).agg(*of_key)
