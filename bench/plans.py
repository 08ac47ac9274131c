"""procnet's own plans over one window, without and with state, and the bare scans that they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bench.rivals import IS_NAMED, KEY, LOOKBACK, PORTS
from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.events import Events, changed_process_events, read_events
from procnet.engine.query import Query
from procnet.errors import DataError
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.spark.filters import events_in_period
from procnet.state.state import LoadedState, load_state, save_state


def findings_of(lake: Lake, detections: Sequence[Detection], window: Window) -> DataFrame | None:
    """Findings of the window, computed from the whole lookback; None where there are none."""
    return evaluate(_query(lake, read_events(lake), detections, window)).findings


def write_state(lake: Lake, detections: Sequence[Detection], window: Window) -> None:
    """Write the state that a run over `window` leaves for the window after it. DataError where it can write none."""
    events = read_events(lake)
    query = _query(lake, events, detections, window)
    state = _load_state(lake, events, query)
    if state.fingerprint is None:
        raise DataError(f"the benchmark can write no state: {state.reason}")
    save_state(lake, query.history, query.start_conditions, None, events.process_versions, state.fingerprint)


def findings_with_state(lake: Lake, detections: Sequence[Detection], window: Window) -> DataFrame | None:
    """Findings of the window, computed from the state of the window before: a run without its commits.

    DataError where `write_state` has left none for these detections.
    """
    events = read_events(lake)
    query = _query(lake, events, detections, window)
    state = _load_state(lake, events, query)
    if state.carried is None:
        raise DataError(f"the benchmark has no state to measure: {state.reason}")
    return evaluate(replace(query, carried=state.carried)).findings


def _query(lake: Lake, events: Events, detections: Sequence[Detection], window: Window) -> Query:
    return Query.of(events, detections, window, lake.settings)


def _load_state(lake: Lake, events: Events, query: Query) -> LoadedState:
    versions = events.process_versions
    changes_since = partial(changed_process_events, lake, versions)
    return load_state(lake, query.history, query.start_conditions, versions, changes_since)


def scan_lookback(lake: Lake, window: Window) -> None:
    """Scan what any right plan must read: the columns of candidates, key and time of every event, the connections."""
    process_events = events_in_period(lake.read("process_events"), window.start - LOOKBACK, window.end)
    _scan(process_events.where("event_kind = 'start'").where(IS_NAMED), *KEY, "process_guid", "event_time")
    _scan(process_events, *KEY, "process_guid", "event_time", "event_kind", "process_name")
    _scan_connections(lake, window)


def scan_window(lake: Lake, window: Window) -> None:
    """Scan what a plan with state must read: the same columns, of the window's own events."""
    process_events = events_in_period(lake.read("process_events"), window.start, window.end)
    _scan(process_events, *KEY, "process_guid", "event_time", "event_kind", "process_name", "original_file_name")
    _scan_connections(lake, window)


def _scan_connections(lake: Lake, window: Window) -> None:
    network_events = events_in_period(lake.read("network_events"), window.start, window.end)
    on_ports = network_events.where(F.col("dest_port").isin(*PORTS))
    _scan(on_ports, *KEY, "process_guid", "event_time", "dest_port", "process_name")


def _scan(rows: DataFrame, *columns: str) -> None:
    rows.select(*[F.max(c) for c in columns]).collect()
