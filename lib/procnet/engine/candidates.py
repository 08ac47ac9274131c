"""Candidates: process starts that a detection could match, as keys and names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql import DataFrame

from procnet.attribution.keys import event_keys
from procnet.engine.query import Query
from procnet.periods import micros
from procnet.spark.collect import Collected, TooMany, as_collected, collect_at_most
from procnet.spark.concurrent import run_concurrently


def collect_candidates(query: Query) -> Collected:
    """The candidates, collected by the driver where they are at most `query.row_limit`: KEY, `process_name`,
    `lookback_us`. The scans run concurrently."""
    scans = candidate_scans(query, query.history.available)
    collected = run_concurrently(query.spark, *(partial(collect_at_most, scan, query.row_limit) for scan in scans))
    tables = [c.table for c in collected if not isinstance(c, TooMany)]
    if len(tables) < len(collected) or sum(t.num_rows for t in tables) > query.row_limit:
        return TooMany(query.row_limit)
    return as_collected(pa.concat_tables(tables))


def candidate_scans(query: Query, process_events: Callable[[timedelta], DataFrame]) -> list[DataFrame]:
    """The scans that find the candidates, at least one: KEY, `process_name` and `lookback_us`, the longest lookback of
    the detections that could match the start, in microseconds.

    `process_events` gives the process events from a lookback before the window on.
    """
    found = []
    for lookback, conditions in query.conditions_by_lookback.items():
        starts, scans = process_events(lookback).where("event_kind = 'start'"), list(conditions.start_scans)
        # With state a scan reads an hour: planning a second one costs more than reading more text columns in one.
        if query.carried is not None and conditions.starts is not None:
            scans = [conditions.starts]
        columns = "process_name", f"{micros(lookback)}L AS lookback_us"
        found += [event_keys(starts.where(scan), query.host_match, *columns) for scan in scans]
    none = process_events(timedelta(0)).limit(0)
    return found or [event_keys(none, query.host_match, "process_name", "0L AS lookback_us")]
