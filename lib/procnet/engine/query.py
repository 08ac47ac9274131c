"""The input of one evaluation: detections, a window, and the events that they may match. Every step gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from pyspark.sql import DataFrame, SparkSession

from procnet.detections.conditions import Conditions, by_lookback, conditions_of, self_described_lookback_us
from procnet.detections.detection import Detection
from procnet.engine.events import Events
from procnet.periods import Window
from procnet.settings import HostMatch, Settings, Tolerances
from procnet.spark.collect import driver_row_limit
from procnet.spark.filters import events_in_period
from procnet.state.history import CarriedRows, ProcessHistory


@dataclass(frozen=True)
class Query:
    """Detections over one window. `process_events` (`contract.PROCESS_EVENTS`) and `network_events`
    (`contract.NETWORK_EVENTS`) are of any time, lazily; `carried` replaces older process events (state/history.py).
    `dns_events` and `flow_events` (`contract.DNS_EVENTS`, `FLOW_EVENTS`) are None where nothing gives them.

    Raises UsageError for a window outside the range of event times that the settings accept."""

    process_events: DataFrame
    network_events: DataFrame
    detections: Sequence[Detection]
    window: Window
    settings: Settings
    carried: CarriedRows | None = None
    dns_events: DataFrame | None = None
    flow_events: DataFrame | None = None

    def __post_init__(self) -> None:
        self.settings.events.refuse_outside(self.window)

    @classmethod
    def of(cls, events: Events, detections: Sequence[Detection], window: Window, settings: Settings) -> Query:
        """The query over all events of a lake."""
        return cls(
            events.process_events, events.network_events, detections, window, settings,
            dns_events=events.dns_events, flow_events=events.flow_events,
        )  # fmt: skip

    @property
    def spark(self) -> SparkSession:
        return self.network_events.sparkSession

    @property
    def host_match(self) -> HostMatch:
        return self.settings.host.match

    @property
    def tolerances(self) -> Tolerances:
        return self.settings.attribution.tolerances

    @cached_property
    def row_limit(self) -> int:
        """How many rows the driver may collect and send to every task."""
        return driver_row_limit(self.spark, self.settings.attribution.broadcast_limit)

    @property
    def longest_lookback(self) -> timedelta:
        return max(d.lookback for d in self.detections)

    @cached_property
    def window_network_events(self) -> DataFrame:
        """The connections of the window: `contract.NETWORK_EVENTS`."""
        return events_in_period(self.network_events, self.window.start, self.window.end)

    @cached_property
    def history(self) -> ProcessHistory:
        """The process events that the window's connections may belong to."""
        return ProcessHistory(
            self.process_events,
            self.window,
            self.longest_lookback,
            self.host_match,
            self.tolerances,
            self.row_limit,
            self.carried,
        )

    @cached_property
    def conditions(self) -> Conditions:
        """The conditions of all detections together on single events."""
        return conditions_of(self.detections)

    @cached_property
    def conditions_by_lookback(self) -> Mapping[timedelta, Conditions]:
        """Lookback -> the conditions of its detections, so that no start is read from further back than the detections
        that could match it look (seven days of all names cost more than seven of one name and a day of the others)."""
        return {age: conditions_of(group) for age, group in by_lookback(self.detections).items()}

    @property
    def start_conditions(self) -> Mapping[timedelta, str | None]:
        """Lookback -> SQL condition for the starts that its detections could match."""
        return {age: conditions.starts for age, conditions in self.conditions_by_lookback.items()}

    @property
    def self_described_lookback_us(self) -> str:
        """SQL: how far back a self-described connection's process may have started, in microseconds; else null."""
        return self_described_lookback_us(self.conditions_by_lookback)
