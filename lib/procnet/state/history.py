"""The process events that a window may need: those of the tables, or in part those that the state carries instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.contract import OPEN_PROCESSES, PROCESS_EVENTS
from procnet.periods import Window
from procnet.settings import HostMatch, Tolerances
from procnet.spark.filters import events_in_period, in_period

# Times from which all events of a row's (host, process id) and of its (host, guid) are at hand; null: unknown.
COMPLETE_FROM = ("pid_complete_from", "guid_complete_from")
# The columns of a carried row: `row_kind` is event or lookup, `looked_up_at` is that of a lookup.
CARRIED_COLUMNS = ("row_kind", *PROCESS_EVENTS.names, *COMPLETE_FROM, "looked_up_at")


@dataclass(frozen=True)
class CarriedRows:
    """Rows left by the run of the window before, which replace the tables' process events before `since`.

    `rows`: CARRIED_COLUMNS. A lookup is no event: its key is `host` (a host key), `process_id`, `process_guid`, and it
    has the time from which all events of the key are among the rows.
    """

    rows: DataFrame
    since: datetime


@dataclass(frozen=True)
class ProcessHistory:
    """The process events of one window and its longest lookback.

    `process_events`: `contract.PROCESS_EVENTS` of any time, lazily. `carried`: what replaces those of the time before
    `carried.since`, if anything does. `row_limit`: how many rows the driver may collect.
    """

    process_events: DataFrame
    window: Window
    longest_lookback: timedelta
    host_match: HostMatch
    tolerances: Tolerances
    row_limit: int
    carried: CarriedRows | None = None

    @property
    def spark(self) -> SparkSession:
        return self.process_events.sparkSession

    def stored(self, lookback: timedelta) -> DataFrame:
        """The tables' process events from `lookback` before the window on: `contract.PROCESS_EVENTS`. They reach so far
        on both sides that the window cuts no tolerance, and tiling cannot change a result (docs/semantics.md, R4)."""
        return events_in_period(self.process_events, self.start_of(lookback), self._end)

    def available(self, lookback: timedelta) -> DataFrame:
        """Process events from `lookback` before the window on, including carried ones: `contract.PROCESS_EVENTS`."""
        if self.carried is None:
            return self.stored(lookback)
        return self.with_completeness(lookback).where("row_kind = 'event'").select(*PROCESS_EVENTS.names)

    def with_completeness(self, lookback: timedelta) -> DataFrame:
        """The available process events and lookups as CARRIED_COLUMNS; without a carried state, the stored events."""
        if self.carried is None:
            return self.stored(lookback)
        before = in_period(self.start_of(lookback), self.carried.since)
        carried = self.carried.rows.where((F.col("row_kind") == "lookup") | before)
        # A start so early that another sensor's record of it lies before `since` is in the carried rows, or nowhere.
        stored = events_in_period(
            self.process_events, max(self.carried.since, self.start_of(lookback)), self._end
        ).withColumns(
            {
                "row_kind": F.lit("event"),
                **dict.fromkeys(COMPLETE_FROM, F.lit(self.complete_from)),
                "looked_up_at": F.lit(None).cast(OPEN_PROCESSES["looked_up_at"].dataType),
            }
        )
        return carried.unionByName(stored)

    @property
    def complete_from(self) -> datetime:
        """The time from which all starts, and all records of them, are at hand, whatever their key."""
        since = self.start_of(self.longest_lookback) if self.carried is None else self.carried.since
        return since + self.tolerances.start_tolerance

    def start_of(self, lookback: timedelta) -> datetime:
        """The time from which events are read to have all records of starts up to `lookback` before the window."""
        return self.window.start - lookback - self.tolerances.start_tolerance

    @property
    def _end(self) -> datetime:
        return self.window.end + self.tolerances.clock_skew + 2 * self.tolerances.start_tolerance
