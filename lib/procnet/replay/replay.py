"""Recorded data through the whole path, in a lake that is made for it and thrown away, held against expectations.

Each dataset has a lake of its own: process ids and hosts of two recordings mean nothing to each other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.events import Events, read_events
from procnet.engine.query import Query
from procnet.errors import DataError, UsageError
from procnet.findings.exclusions import Exclusion
from procnet.lake.tables import Lake
from procnet.periods import Window, from_micros
from procnet.predicates.compile import to_column
from procnet.predicates.model import Predicate
from procnet.replay.datasets import Recording
from procnet.replay.expectations import Expectations
from procnet.replay.verdicts import Expected, Row, Verdict, expected_of, judge_expectation
from procnet.runs.ingest import IngestReport, ingest
from procnet.settings import Settings
from procnet.spark.collect import collect_at_most

_MOST = 100_000  # findings of a dataset that are judged, some 1 KB each


@dataclass(frozen=True)
class Dataset:
    """A recording, what runs over it, and what must come of it."""

    recording: Recording
    detections: tuple[Detection, ...]
    expected: tuple[Expected, ...]

    @property
    def name(self) -> str:
        """Its files and source, short enough for a title."""
        first, *more = (Path(f).name for f in self.recording.files)
        return f"{first}{f' and {len(more)} more' if more else ''} as {Path(self.recording.source).stem}"


@dataclass(frozen=True)
class Replayed:
    """What came of a dataset; `period` is that of its connections, None where there are none."""

    dataset: Dataset
    ingested: IngestReport
    period: Window | None
    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The expectations that do not hold."""
        return tuple(v for v in self.verdicts if not v.ok)


def datasets_of(
    expectations: Expectations, recordings: Sequence[Recording], enabled: Sequence[Detection]
) -> tuple[Dataset, ...]:
    """What is to be replayed. A dataset runs the detections that it names, and the enabled ones where it says `others`;
    a detection that it names by a file stands in for the enabled one of the same id."""
    found = []
    for i, recording in enumerate(recordings):
        expected = expected_of(expectations, i, enabled)
        asked = frozenset().union(*[e.ids for e in expected])
        by_id = {d.id: d for d in enabled if d.id in asked}
        by_id |= {d.id: d for (of, _), d in expectations.detections.items() if of == i}
        found.append(Dataset(recording, tuple(by_id[d] for d in sorted(by_id)), expected))
    return tuple(found)


def replay(
    spark: SparkSession,
    settings: Settings,
    datasets: Sequence[Dataset],
    exclusions: Sequence[Exclusion],
    *,
    now: datetime,
    tell: Callable[[Replayed], None] = lambda _: None,
) -> tuple[Replayed, ...]:
    """Ingest each dataset, find over all the time that its connections cover, and judge; the settings' lake is not
    touched. `tell` hears of each dataset as it is done.

    Raises DataError where no record of a dataset could be used: that nothing is found in it would prove nothing.
    """
    done = []
    for dataset in datasets:
        with tempfile.TemporaryDirectory(prefix="procnet-replay-", ignore_cleanup_errors=True) as folder:
            done.append(_replay(spark, _scratch(settings, Path(folder)), dataset, exclusions, now))
        tell(done[-1])
    return tuple(done)


def _scratch(settings: Settings, folder: Path) -> Settings:
    """The settings with another lake, and nothing else to read events from."""
    return settings.model_copy(update={"lake": folder, "namespace": None, "tables": {}, "sources": {}})


def _replay(
    spark: SparkSession, settings: Settings, dataset: Dataset, exclusions: Sequence[Exclusion], now: datetime
) -> Replayed:
    mark = time.monotonic()
    recording = dataset.recording
    ingested = ingest(Lake(spark, settings), recording.source, recording.files, host=recording.host, now=now)
    if not ingested.process_events and not ingested.network_events:
        reasons = ", ".join(
            f"{n} {what}" for what, n in ingested.lines() if what.startswith(("quarantined", "skipped"))
        )
        raise DataError(
            f"no record of {dataset.name} could be used; of {ingested.read} read: {reasons or 'nothing'}",
            hint=f"procnet sources check {recording.source} FILE shows what the source makes of a file",
        )
    events = read_events(Lake(spark, settings))
    period = _period(events.connections)
    rows = [] if period is None else _rows(events, dataset, period, settings, exclusions)
    verdicts = [judge_expectation(e, rows) for e in dataset.expected]
    told = tuple(v if v.ok or v.why or v.findings else replace(v, why=_why_none(events, dataset, v)) for v in verdicts)
    return Replayed(dataset, ingested, period, told, time.monotonic() - mark)


def _period(connections: DataFrame) -> Window | None:
    first, last = connections.agg(F.min(F.unix_micros("event_time")), F.max(F.unix_micros("event_time"))).collect()[0]
    if first is None:
        return None
    return Window(from_micros(first), from_micros(last + 1))


def _rows(
    events: Events, dataset: Dataset, period: Window, settings: Settings, exclusions: Sequence[Exclusion]
) -> list[Row]:
    found = evaluate(
        Query(events.processes, events.connections, dataset.detections, period, settings), exclusions
    ).findings
    if found is None:
        return []
    rows = collect_at_most(found, _MOST)
    if rows is None:
        raise UsageError(f"more than {_MOST} findings in {dataset.name}", hint="replay fewer files, or name fewer")
    told: list[Row] = sorted(rows.to_pylist(), key=lambda r: (r["event_time"], r["finding_id"]))
    return told


def _why_none(events: Events, dataset: Dataset, verdict: Verdict) -> str | None:
    """How far the records came, where a detection has no finding at all: how many satisfy each of its blocks."""
    detection = next((d for d in dataset.detections if verdict.expected.ids == {d.id}), None)
    if detection is None:
        return None
    told = []
    if detection.process is not None:
        starts = events.processes.where(F.col("event_kind") == "start")
        told.append(f"{_satisfying(starts, detection.process)} process starts satisfy its process block")
    if detection.network is not None:
        told.append(f"{_satisfying(events.connections, detection.network)} connections satisfy its network block")
    return "no finding of it: " + ", ".join(told)


def _satisfying(events: DataFrame, tree: Predicate) -> str:
    n, of = events.agg(F.count_if(to_column(tree, F.col)), F.count(F.lit(1))).collect()[0]
    return f"{n} of {of}"
