"""What names and network sensors say of the destinations of matches (docs/semantics.md, R9 and R10).

Only matches are looked at, which are few: without one, no name and no flow is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame

from procnet.attribution.flows import flow_reach, with_flows
from procnet.attribution.hosts import host_filter
from procnet.attribution.names import with_names
from procnet.engine.driver_rows import driver_frame
from procnet.engine.query import Query
from procnet.lake.write import DRIVER_FINDINGS_LIMIT
from procnet.spark.collect import Empty, Rows, collect_at_most, materialized
from procnet.spark.concurrent import run_concurrently
from procnet.spark.filters import events_in_period
from procnet.spark.sql import among, one_of

_MOST_VALUES = 1_000  # addresses of one condition of a scan


@dataclass(frozen=True)
class _Around:
    """The events of the period that the matches' names and flows lie in; None where nothing gives them."""

    dns_events: DataFrame | None
    flow_events: DataFrame | None
    network_events: DataFrame

    def on(self, matches: pa.Table, query: Query) -> _Around:
        """Those of them that may belong to one of few matches."""
        addresses = {a for c in ("src_ip", "dest_ip") for a in matches[c].to_pylist() if a is not None}
        ports = [p for c in ("src_port", "dest_port") for p in matches[c].to_pylist()]
        tuples = " AND ".join(
            f"({among(side, addresses, _MOST_VALUES)}) AND ({among(f'{side[:-2]}port', ports, _MOST_VALUES)})"
            for side in ("src_ip", "dest_ip")
        )
        found = replace(self, network_events=self.network_events.where(tuples))
        if self.dns_events is not None:
            hosts = host_filter(matches["host"].to_pylist(), query.host_match)
            clients = among("host", {a for a in matches["src_ip"].to_pylist() if a is not None}, _MOST_VALUES)
            found = replace(found, dns_events=self.dns_events.where(f"({hosts} OR {clients}) AND {_answers(matches)}"))
        if self.flow_events is not None:
            found = replace(found, flow_events=self.flow_events.where(tuples))
        return found


def with_destinations(matches: DataFrame, query: Query) -> DataFrame | None:
    """The matches with `contract.JOINED_FIELDS`, `dest_name_by` and `dest_names`; None where there is no match.

    In: matches of `judge.judge`. Up to DRIVER_FINDINGS_LIMIT matches are computed once, here, and so are the names and
    flows near them.
    """
    around, few = _around(query), False
    if around.dns_events is not None or around.flow_events is not None:
        collected = collect_at_most(matches, DRIVER_FINDINGS_LIMIT)
        if isinstance(collected, Empty):
            return None
        if isinstance(collected, Rows):
            matches = driver_frame(query.spark, collected.table, matches.schema)
            around = around.on(collected.table, query)
            near = run_concurrently(
                query.spark, *(partial(_near, events, query) for events in (around.dns_events, around.flow_events))
            )
            around, few = replace(around, dns_events=near[0].rows, flow_events=near[1].rows), all(n.few for n in near)
    attribution, match = query.settings.attribution, query.host_match
    with_sensor = with_flows(
        matches, around.flow_events, around.network_events,
        flow_skew=attribution.flow_skew, host_match=match, broadcast=few,
    )  # fmt: skip
    # Each step is computed by itself where rows are few: as one query their code is longer than the JVM compiles.
    has_flows, has_names = around.flow_events is not None, around.dns_events is not None
    if few and has_flows:
        with_sensor = materialized(with_sensor, DRIVER_FINDINGS_LIMIT)
    named = with_names(
        with_sensor, around.dns_events,
        host_match=match, name_age=attribution.name_age, tolerances=query.tolerances, broadcast=few,
    )  # fmt: skip
    return materialized(named, DRIVER_FINDINGS_LIMIT) if few and (has_flows or has_names) else named


@dataclass(frozen=True)
class _Near:
    """Events near few matches: None where there is none, and from the driver where they are few."""

    rows: DataFrame | None
    few: bool


def _near(events: DataFrame | None, query: Query) -> _Near:
    collected = None if events is None else collect_at_most(events, query.row_limit)
    if events is None or isinstance(collected, Empty):
        return _Near(None, few=True)
    if isinstance(collected, Rows):
        return _Near(driver_frame(query.spark, collected.table, events.schema), few=True)
    return _Near(events, few=False)


def _around(query: Query) -> _Around:
    """The events of the window, as far beside it as a name or a flow of one of its connections may lie.

    One query of each table says whether it has any: an hour without is evaluated as on a lake without these tables.
    """
    window, attribution = query.window, query.settings.attribution
    after = attribution.end_grace + timedelta(microseconds=1)
    dns_events, flow_events, network_events = query.dns_events, query.flow_events, query.network_events
    if dns_events is not None:
        dns_events = events_in_period(dns_events, window.start - attribution.name_age, window.end + after)
    beside = flow_reach(attribution.flow_skew) + timedelta(microseconds=1)
    if flow_events is not None:
        flow_events = events_in_period(flow_events, window.start - beside, window.end + beside)
    network_events = events_in_period(network_events, window.start - beside, window.end + beside)
    dns_events, flow_events = run_concurrently(
        query.spark, *(partial(_unless_empty, events) for events in (dns_events, flow_events))
    )
    return _Around(dns_events, flow_events, network_events)


def _unless_empty(events: DataFrame | None) -> DataFrame | None:
    return None if events is None or events.isEmpty() else events


def _answers(matches: pa.Table) -> str:
    """SQL: whether an answer may hold the address of a match."""
    addresses = sorted(a for a in pc.unique(matches["dest_ip"]).to_pylist() if a is not None)
    if not addresses:
        return "false"
    return "answers IS NOT NULL" if len(addresses) > _MOST_VALUES else f"exists(answers, a -> {one_of('a', addresses)})"
