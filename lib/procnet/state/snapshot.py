"""The events that can still answer after a window, of those that its run was given: what the next run is told."""

from __future__ import annotations

from datetime import datetime
from functools import reduce
from operator import or_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.attribution.hosts import host_key
from procnet.attribution.keys import KEY, KEYS, event_keys
from procnet.contract import OPEN_PROCESSES, PROCESS_EVENTS
from procnet.detections.evaluate import starts_wanted
from procnet.engine.query import SINCE, Query
from procnet.state.lookback import LookedUp

ROWS = (*PROCESS_EVENTS.names, *SINCE)
TOLD = T.StructType([OPEN_PROCESSES[n] for n in ("host", *KEY[1:], "pid_since", "event_time")])


def left_open(asked: Query, looked_up: LookedUp | None) -> DataFrame:
    """What can matter after the window, as `Carried.rows`."""
    end, tolerance, kept = asked.window.end, asked.tolerances.start_tolerance, asked.kept(asked.longest)
    events = kept.where("event_kind IN ('start', 'end')").where(F.col("event_time") < F.lit(end))
    events = events.select(*PROCESS_EVENTS.names)
    if looked_up is not None and looked_up.events.num_rows:
        more = asked.spark.createDataFrame(looked_up.events.select(PROCESS_EVENTS.names), PROCESS_EVENTS)
        events = events.unionByName(more)
    told = _still_told(asked, looked_up)
    tracks = [told.select(F.col("host").alias("host_key"), *KEY[1:], F.col("pid_since").alias("since"))]
    for age, group in asked.by_lookback().items():
        if (wanted := starts_wanted(group)) is not None:
            starts = events.where(f"event_kind = 'start' AND {wanted}")
            starts = starts.where(F.col("event_time") >= F.lit(end - age - tolerance))
            tracks.append(event_keys(starts.withColumn("since", F.col("event_time")), asked.hosts, "since"))
    tracked = reduce(DataFrame.unionByName, tracks)
    rows = events.selectExpr("*", f"{host_key('host', asked.hosts)} AS host_key")
    for key, since in zip(KEY[1:], SINCE, strict=True):
        side = tracked.where(F.col(key).isNotNull()).groupBy("host_key", key).agg(F.min("since").alias(since))
        rows = rows.join(F.broadcast(side), on=["host_key", key], how="left")
    held = reduce(or_, [F.coalesce(F.col("event_time") >= F.col(s) - F.lit(tolerance), F.lit(False)) for s in SINCE])
    # What was looked up may be carried too: of few rows the doubles are dropped.
    return rows.where(held).select(*ROWS).distinct().unionByName(told)


def _still_told(asked: Query, looked_up: LookedUp | None) -> DataFrame:
    """Rows of the kind `asked`: keys that were looked up, now or within the longest lookback."""
    end = asked.window.end
    keys = [asked.spark.createDataFrame([], TOLD)]
    if asked.carried is not None:
        recent = asked.carried.rows.where("event_kind = 'asked'").where(
            F.col("event_time") >= F.lit(end - asked.longest)
        )
        keys.append(recent.select(*TOLD.names))
    if looked_up is not None:
        if looked_up.keys.num_rows:
            keys.append(told_of(asked, looked_up, end))
        if looked_up.again is not None and looked_up.again.num_rows:
            again = asked.spark.createDataFrame(looked_up.again).withColumnRenamed("host_key", "host")
            keys.append(again.withColumn("event_time", F.lit(end)).select(*TOLD.names))
    newest = F.min("pid_since").alias("pid_since"), F.max("event_time").alias("event_time")
    return as_rows(reduce(DataFrame.unionByName, keys).groupBy("host", *KEY[1:]).agg(*newest))


def told_of(asked: Query, found: LookedUp, at: datetime) -> DataFrame:
    """The keys that were looked up at a time, by their host's key, and since when their events are known."""
    keys = asked.spark.createDataFrame(found.keys, KEYS).withColumnRenamed("host_key", "host")
    since = F.lit(asked.window.start - found.reach)
    return keys.withColumns({"pid_since": since, "event_time": F.lit(at)}).select(*TOLD.names)


def as_rows(told: DataFrame) -> DataFrame:
    """The keys of `told_of` as rows of the kind `asked`."""
    values = {n: F.col(n) for n in TOLD.names} | {
        "guid_since": F.col("pid_since"),
        "event_kind": F.lit("asked"),
        "event_date": F.col("event_time").cast("date"),
    }
    shape = [OPEN_PROCESSES[n] for n in ROWS]
    return told.select(*[values.get(f.name, F.lit(None).cast(f.dataType)).alias(f.name) for f in shape])
