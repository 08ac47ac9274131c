"""What a finding is about, as a hash: never of the run, the file, the partition or the order (2-semantics, 6)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from procnet.contract import NETWORK_EVENTS

# ingest_time is the one column in which copies of an event may differ.
_EVENT = tuple(n for n in NETWORK_EVENTS.names if n not in ("ingest_time", "event_date"))
_ABOUT = ("host", "process_id", "event_time", "src_ip", "src_port", "dest_ip", "dest_port", "transport")


def one_per_event(hits: DataFrame) -> DataFrame:
    """Exact duplicates of a connection are one event; those that are not get a number, `repeat`, from 1.

    In: NETWORK_EVENTS, `attribution`, `instance`, `detection`. Out: the same without copies, `about`, `repeat`: true
    repeats agree in all that the id is made of and are told apart by the rest of their columns, in a fixed order.
    """
    # As arrays of texts, so that a plan has two columns to sort by and not eighty. What reaches this point are matches,
    # few rows, not connections.
    keyed = hits.withColumns(
        {"about": F.array(*map(_text, _about())), "event": F.array(*[_text(F.col(n)) for n in _EVENT])}
    )
    # Sorted once: copies stand side by side, so a row that equals the one before it is a copy.
    near = Window.partitionBy("about").orderBy("event", F.col("ingest_time").asc_nulls_first())
    first = ~F.col("event").eqNullSafe(F.lag("event").over(near))
    counted = keyed.withColumn("first", first).withColumn("repeat", F.count_if("first").over(near))
    return counted.where("first").drop("event", "first")


def finding_id() -> Column:
    """SHA-256 of what the finding is about, over the columns of `one_per_event`."""
    # A JSON array keeps nulls apart from texts and separators inside them; concat_ws drops nulls, so that ids collide.
    return F.sha2(F.to_json(F.concat("about", F.array(_text(F.col("repeat"))))), 256)


def _about() -> list[Column]:
    """Detection, connection, and the process's start or its absence."""
    start = F.unix_micros(F.col("instance.process_time"))
    guid = F.coalesce(F.col("instance.process_guid"), F.col("process_guid"))
    time = F.unix_micros("event_time")
    return [F.col("detection.id"), start, guid, *[time if c == "event_time" else F.col(c) for c in _ABOUT]]


def _text(column: Column) -> Column:
    return column.cast("string")
