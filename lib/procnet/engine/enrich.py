"""The story around findings, read from the events of their period: few findings are computed once for it."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame

from procnet.attribution.hosts import host_filter, host_key
from procnet.contract import FINDINGS
from procnet.findings.related import AHEAD, PARENT_AGE, REACH, connecting, near_starts, with_related
from procnet.lake.write import SMALL
from procnet.periods import Window
from procnet.settings import HostMatch
from procnet.spark.collect import collect_at_most, materialized
from procnet.spark.filters import between

_SLACK = timedelta(minutes=1)  # two sensors' records of one start: a process began a little before the one that leads


def enrich(
    findings: DataFrame,
    processes: DataFrame,
    connections: DataFrame,
    window: Window,
    longest: timedelta,
    hosts: HostMatch,
) -> DataFrame:
    """Findings of a window with `related`; `longest` is the longest lookback of their detections.

    In and out: `contract.FINDINGS`. Where there are none, no event is read for it.
    """
    few = collect_at_most(findings, SMALL)
    since, where = window.start - longest, "true"
    if few is not None:
        findings = findings.sparkSession.createDataFrame(few, FINDINGS)
        if not few.num_rows:
            return findings
        since = min(t for name in ("process_time", "event_time") for t in few.column(name).to_pylist() if t is not None)
        where = host_filter(few.column("host").to_pylist(), hosts)
    until = window.end + AHEAD

    starts = between(processes, since - PARENT_AGE - _SLACK, until).where(where)
    near = materialized(near_starts(findings, starts, host_key("host", hosts)), SMALL)
    around = between(connections, window.start - REACH, until).where(where)
    return with_related(findings, near, materialized(connecting(near, around, host_key("host", hosts)), SMALL))
