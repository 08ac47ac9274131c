"""Finds the findings and connections whose name or flow rows committed since could change (docs/semantics.md, R5).

Like late_data.py, whose part it is: the result is a superset.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.attribution.flows import flow_reach
from procnet.attribution.hosts import host_key
from procnet.detections.conditions import conditions_of
from procnet.detections.detection import Detection
from procnet.engine.events import Events
from procnet.settings import Settings
from procnet.spark.filters import events_in_period, in_period

_TUPLE = ("src_ip", "src_port", "dest_ip", "dest_port")


def affected_by_names(
    late: DataFrame,
    period: tuple[datetime, datetime],
    events: Events,
    findings: DataFrame,
    detections: Sequence[Detection],
    settings: Settings,
) -> DataFrame:
    """`event_time`, `version`, `of` of what late answers may name.

    In: changed `contract.DNS_EVENTS` with times in `period`, `version`, `of`. These are findings of the same host and
    an address of the answer, and connections where a detection tests names.
    """
    attribution = settings.attribution
    before, after = attribution.clock_skew + attribution.end_grace, attribution.name_age
    named = _that_may_change(period, before, after, events, findings, detections)
    answers = late.select(
        F.expr(host_key("host", settings.host.match)).alias("queried_on"), F.col("host").alias("client"),
        F.explode("answers").alias("dest_ip"), F.col("event_time").alias("changed"), "version", "of",
    )  # fmt: skip
    here = F.expr(host_key("host", settings.host.match))
    is_client = (F.col("queried_on") == here) | (F.col("client") == F.col("src_ip"))
    near = _between(before, after)
    return named.join(answers, "dest_ip").where(is_client & near).select("event_time", "version", "of")


def affected_by_flows(
    late: DataFrame,
    period: tuple[datetime, datetime],
    events: Events,
    findings: DataFrame,
    detections: Sequence[Detection],
    settings: Settings,
) -> DataFrame:
    """`event_time`, `version`, `of` of the findings and connections with the five-tuple of late flows or connections.

    In: changed `contract.FLOW_EVENTS` or NETWORK_EVENTS with times in `period`, `version`, `of`. A connection counts
    too, since a flow that two processes may have made is refused.
    """
    reach = flow_reach(settings.attribution.flow_skew)
    named = _that_may_change(period, reach, reach, events, findings, detections)
    changed: list[Column | str] = [F.col("event_time").alias("changed"), "version", "of"]
    sides = zip(_TUPLE, (*_TUPLE[2:], *_TUPLE[:2]), strict=True)
    turned: list[Column | str] = [F.col(other).alias(c) for c, other in sides]
    tuples = late.select(*_TUPLE, *changed).unionAll(late.select(*turned, *changed))
    near = _between(reach, reach)
    return named.join(tuples, list(_TUPLE)).where(near).select("event_time", "version", "of")


def _that_may_change(
    period: tuple[datetime, datetime],
    before: timedelta,
    after: timedelta,
    events: Events,
    findings: DataFrame,
    detections: Sequence[Detection],
) -> DataFrame:
    """`event_time`, `host` and the addresses of the findings around the period, and of the connections that a detection
    with joined fields could match."""
    first, end = period[0] - before, period[1] + after
    columns = ("event_time", "host", *_TUPLE)
    found = findings.where(in_period(first, end, "finding_date")).select(*columns)
    testing = [d for d in detections if d.joined_fields]
    if not testing:
        return found
    connections = events_in_period(events.network_events, first, end).where(conditions_of(testing).network)
    return found.unionAll(connections.select(*columns))


def _between(before: timedelta, after: timedelta) -> Column:
    time, changed = F.col("event_time"), F.col("changed")
    return (time >= changed - F.lit(before)) & (time <= changed + F.lit(after))
