"""The related processes of a window's findings, from the events around them."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame

from procnet.attribution.hosts import host_filter, host_key
from procnet.contract import FINDINGS
from procnet.engine.query import Query
from procnet.findings.related import AHEAD, PARENT_AGE, REACH, connecting_children, near_starts, with_related
from procnet.lake.write import DRIVER_FINDINGS_LIMIT
from procnet.spark.collect import Empty, Rows, collect_at_most, materialized
from procnet.spark.filters import events_in_period

_SLACK = timedelta(minutes=1)  # of two sensors' records of one start, the other may be a little before the leading one


def enrich(findings: DataFrame, query: Query) -> DataFrame:
    """The findings of the query's window with `related`.

    In and out: `contract.FINDINGS`. Up to DRIVER_FINDINGS_LIMIT findings are computed once; for none, no event is read.
    """
    window, key = query.window, host_key("host", query.host_match)
    since, on_hosts = window.start - query.longest_lookback, "true"
    collected = collect_at_most(findings, DRIVER_FINDINGS_LIMIT)
    if isinstance(collected, Rows | Empty):
        findings = query.spark.createDataFrame(collected.table, FINDINGS)
    if isinstance(collected, Empty):
        return findings
    if isinstance(collected, Rows):
        times = (t for c in ("process_time", "event_time") for t in collected.table.column(c).to_pylist())
        since = min(t for t in times if t is not None)
        on_hosts = host_filter(collected.table.column("host").to_pylist(), query.host_match)
    until = window.end + AHEAD
    starts = events_in_period(query.process_events, since - PARENT_AGE - _SLACK, until).where(on_hosts)
    near = materialized(near_starts(findings, starts, key), DRIVER_FINDINGS_LIMIT)
    network_events = events_in_period(query.network_events, window.start - REACH, until).where(on_hosts)
    return with_related(
        findings, near, materialized(connecting_children(near, network_events, key), DRIVER_FINDINGS_LIMIT)
    )
