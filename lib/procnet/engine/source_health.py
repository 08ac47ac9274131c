"""What a run sees of its sources: one scan of the window's connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import functions as F

from procnet.engine.events import Events
from procnet.periods import Window
from procnet.spark.filters import in_period, out_of_range


@dataclass(frozen=True)
class SourceHealth:
    """`sources`: the rows of `health` in `contract.RUNS`, one for each source with connections in the window.
    `times_out_of_range`: number of connections in the tables whose time no run reads (`events` of the settings)."""

    sources: list[dict[str, Any]]
    times_out_of_range: int


def source_health(events: Events, window: Window) -> SourceHealth:
    """The connections of each source in the window, and how many lack a host, ids, or anything that names a process. A
    sensor that is silent, has lost its ids or has a wrong clock is seen here."""
    no_key = F.col("process_id").isNull() & F.col("process_guid").isNull()
    inside = in_period(window.start, window.end)
    by_source = (
        events.window_and_out_of_range(window)
        .groupBy("source")
        .agg(
            F.count_if(inside).alias("connections"),
            F.count_if(inside & F.col("host").isNull()).alias("without_host"),
            F.count_if(inside & no_key).alias("without_key"),
            F.count_if(inside & no_key & F.col("process_name").isNull()).alias("without_process"),
            F.max(F.when(inside, F.col("event_time"))).alias("newest"),
            F.count_if(out_of_range(events.times)).alias("times_out_of_range"),
        )
    )
    rows = sorted((r.asDict() for r in by_source.collect()), key=lambda r: r["source"] or "")
    refused = sum(r.pop("times_out_of_range") for r in rows)
    return SourceHealth([r for r in rows if r["connections"]], refused)
