"""One question over one window, and the events that may answer it: what every step of a run is given."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.attribution.attribute import broadcast_limit
from procnet.contract import PROCESS_EVENTS
from procnet.detections.detection import Detection
from procnet.periods import Window
from procnet.settings import HostMatch, Settings, Tolerances
from procnet.spark.filters import between, in_period


@dataclass(frozen=True)
class CarriedEvents:
    """Process events before `since` that can matter, in the place of the table's (runs/carry.py).

    `rows`: `contract.PROCESS_EVENTS`, and `pid_since` and `guid_since`: from when on all events of the row's host and
    id, and of its host and guid, are among them; null: not told. A row of the kind `asked` is no event, it tells that
    of its key alone.
    """

    rows: DataFrame
    since: datetime


SINCE = ("pid_since", "guid_since")


@dataclass(frozen=True)
class Query:
    """Detections, a window, and frames with its events: `processes` as `contract.PROCESS_EVENTS` from the longest
    lookback on, or with `carried` in part instead; `events` as `contract.NETWORK_EVENTS`."""

    processes: DataFrame
    events: DataFrame
    detections: Sequence[Detection]
    window: Window
    settings: Settings
    carried: CarriedEvents | None = None

    @property
    def spark(self) -> SparkSession:
        return self.events.sparkSession

    @property
    def hosts(self) -> HostMatch:
        return self.settings.host.match

    @property
    def tolerances(self) -> Tolerances:
        return self.settings.attribution.tolerances

    @cached_property
    def limit(self) -> int:
        """How many rows the driver may hold and every task be sent."""
        return broadcast_limit(self.spark, self.settings.attribution.broadcast_limit)

    @property
    def longest(self) -> timedelta:
        return max(d.lookback for d in self.detections)

    @property
    def connections(self) -> DataFrame:
        """Those of the window."""
        return between(self.events, self.window.start, self.window.end)

    def by_lookback(self) -> Mapping[timedelta, list[Detection]]:
        groups: dict[timedelta, list[Detection]] = defaultdict(list)
        for detection in self.detections:
            groups[detection.lookback].append(detection)
        return groups

    def whole(self, age: timedelta) -> DataFrame:
        """The table's process events from `age` before the window on: so far on both sides that the window cuts no
        tolerance, and tiling cannot change a result."""
        return between(self.processes, self.first(age), self._until)

    def around(self, age: timedelta) -> DataFrame:
        """The same for whoever asks for what is carried, or may be missing it: `contract.PROCESS_EVENTS`."""
        if self.carried is None:
            return self.whole(age)
        return self.kept(age).where("event_kind != 'asked'").select(*PROCESS_EVENTS.names)

    def kept(self, age: timedelta) -> DataFrame:
        """The same with SINCE, where something is carried, and with what is told of keys alone."""
        if self.carried is None:
            return self.whole(age)
        carried = self.carried
        told = (F.col("event_kind") == "asked") | in_period(self.first(age), carried.since)
        # A start so early that another sensor's record of it lies before is told by what is carried, or by no one.
        read = between(self.processes, max(carried.since, self.first(age)), self._until)
        return carried.rows.where(told).unionByName(read.withColumns(dict.fromkeys(SINCE, F.lit(self.known_from))))

    @property
    def known_from(self) -> datetime:
        """From when on starts, and the records that belong to them, are all read, whatever their key."""
        since = self.first(self.longest) if self.carried is None else self.carried.since
        return since + self.tolerances.start_tolerance

    def first(self, age: timedelta) -> datetime:
        """From when on the events of starts of such an age are read."""
        return self.window.start - age - self.tolerances.start_tolerance

    @property
    def _until(self) -> datetime:
        return self.window.end + self.tolerances.clock_skew + 2 * self.tolerances.start_tolerance
