"""The story around findings, read from the events of their period: few findings are computed once for it."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame

from procnet.attribution.lifetimes import host_key, perhaps_on
from procnet.contract import FINDINGS
from procnet.findings.related import AHEAD, PARENT_AGE, REACH, connecting, near_starts, with_related
from procnet.frames import at_most, settled
from procnet.lake.replace import SMALL
from procnet.runs.asked import between
from procnet.types import HostMatch, Window

_SLACK = timedelta(minutes=1)  # two sensors' records of one start: a process began a little before the one that leads


def tell_related(
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
    few = at_most(findings, SMALL)
    since, where = window.start - longest, "true"
    if few is not None:
        findings = findings.sparkSession.createDataFrame(few, FINDINGS)
        if not few.num_rows:
            return findings
        since = min(t for name in ("process_time", "event_time") for t in few.column(name).to_pylist() if t is not None)
        where = perhaps_on(few.column("host").to_pylist(), hosts)
    until = window.end + AHEAD

    starts = between(processes, since - PARENT_AGE - _SLACK, until).where(where)
    near = settled(near_starts(findings, starts, host_key("host", hosts)), SMALL)
    around = between(connections, window.start - REACH, until).where(where)
    return with_related(findings, near, settled(connecting(near, around, host_key("host", hosts)), SMALL))
