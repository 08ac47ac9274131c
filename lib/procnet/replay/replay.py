"""Replays recorded data from raw records to findings, in temporary lakes, and compares the findings with expectations.

Each dataset has a lake of its own: process ids and hosts of different recordings must not be joined.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame
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
from procnet.replay.verdicts import Expectation, Row, Verdict, expectations_of, judge_expectation
from procnet.runs.ingest import ingest
from procnet.runs.ingest_report import IngestReport
from procnet.settings import Settings
from procnet.spark.collect import TooMany, collect_at_most

_MAX_FINDINGS = 100_000  # of a dataset; some 1 KB each in the driver


@dataclass(frozen=True)
class Dataset:
    """A recording, the detections to run over it, and the expectations of their findings."""

    recording: Recording
    detections: tuple[Detection, ...]
    expected: tuple[Expectation, ...]

    @property
    def name(self) -> str:
        """The first file's name, the number of others, the source."""
        first, *more = (Path(f).name for f in self.recording.files)
        return f"{first}{f' and {len(more)} more' if more else ''} as {Path(self.recording.source).stem}"


@dataclass(frozen=True)
class ReplayReport:
    """The verdicts on a dataset; `period` is that of its connections, None without any. `seconds` of wall time."""

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
    """The datasets of a file. Each runs the detections that it names and, where `others` applies to it, the enabled
    ones; a detection that it names by a file replaces the enabled one of the same id."""
    datasets = []
    for i, recording in enumerate(recordings):
        expected = expectations_of(expectations, i, enabled)
        ids = frozenset().union(*[e.ids for e in expected])
        by_id = {d.id: d for d in enabled if d.id in ids}
        by_id |= {d.id: d for (number, _), d in expectations.detections.items() if number == i}
        datasets.append(Dataset(recording, tuple(by_id[d] for d in sorted(by_id)), expected))
    return tuple(datasets)


def replay(
    lake: Lake,
    datasets: Sequence[Dataset],
    exclusions: Sequence[Exclusion],
    *,
    now: datetime,
    progress: Callable[[ReplayReport], None] = lambda _: None,
) -> tuple[ReplayReport, ...]:
    """Ingests each dataset, evaluates its detections over the period of its connections, and judges the findings.

    Of `lake` only session and settings are used: each dataset is in a temporary lake. `progress` is called after each
    dataset. Raises DataError where no record of a dataset is usable: no finding would prove nothing.
    """
    reports = []
    for dataset in datasets:
        with tempfile.TemporaryDirectory(prefix="procnet-replay-", ignore_cleanup_errors=True) as folder:
            reports.append(_replay(Lake(lake.spark, _temporary(lake.settings, Path(folder))), dataset, exclusions, now))
        progress(reports[-1])
    return tuple(reports)


def _temporary(settings: Settings, folder: Path) -> Settings:
    """The settings with `folder` as the lake, and no other place to read events from."""
    return settings.model_copy(update={"lake": folder, "namespace": None, "tables": {}, "sources": {}})


def _replay(lake: Lake, dataset: Dataset, exclusions: Sequence[Exclusion], now: datetime) -> ReplayReport:
    start, recording = time.monotonic(), dataset.recording
    ingested = ingest(lake, recording.source, recording.files, host=recording.host, now=now)
    if not ingested.process_events and not ingested.network_events:
        reasons = [f"{n} {what}" for what, n in ingested.lines() if what.startswith(("quarantined", "skipped"))]
        raise DataError(
            f"no record of {dataset.name} could be used; of {ingested.read} read: {', '.join(reasons) or 'nothing'}",
            hint=f"procnet sources check {recording.source} FILE shows what the source makes of a file",
        )
    events = read_events(lake)
    period = _period(events.network_events)
    rows = [] if period is None else _findings(lake, events, dataset, period, exclusions)
    verdicts = [judge_expectation(e, rows) for e in dataset.expected]
    explained = tuple(
        v if v.ok or v.why or v.findings else replace(v, why=_why_none(events, dataset, v)) for v in verdicts
    )
    return ReplayReport(dataset, ingested, period, explained, time.monotonic() - start)


def _period(network_events: DataFrame) -> Window | None:
    time_micros = F.unix_micros("event_time")
    first, last = network_events.agg(F.min(time_micros), F.max(time_micros)).collect()[0]
    if first is None:
        return None
    return Window(from_micros(first), from_micros(last + 1))


def _findings(
    lake: Lake, events: Events, dataset: Dataset, period: Window, exclusions: Sequence[Exclusion]
) -> list[Row]:
    """The findings (`contract.FINDINGS`) in order of time. Raises UsageError above `_MAX_FINDINGS`."""
    query = Query.of(events, dataset.detections, period, lake.settings)
    findings = evaluate(query, exclusions).findings
    if findings is None:
        return []
    collected = collect_at_most(findings, _MAX_FINDINGS)
    if isinstance(collected, TooMany):
        raise UsageError(
            f"more than {_MAX_FINDINGS} findings in {dataset.name}", hint="replay fewer files, or name fewer detections"
        )
    rows: list[Row] = sorted(collected.table.to_pylist(), key=lambda r: (r["event_time"], r["finding_id"]))
    return rows


def _why_none(events: Events, dataset: Dataset, verdict: Verdict) -> str | None:
    """Why a detection has no finding: how many process starts and connections satisfy its blocks."""
    detection = next((d for d in dataset.detections if verdict.expected.ids == {d.id}), None)
    if detection is None:
        return None
    reasons = []
    if detection.process is not None:
        starts = events.process_events.where(F.col("event_kind") == "start")
        reasons.append(f"{_satisfying(starts, detection.process)} process starts satisfy its process block")
    if detection.network is not None:
        reasons.append(f"{_satisfying(events.network_events, detection.network)} connections satisfy its network block")
    return "no finding of it: " + ", ".join(reasons)


def _satisfying(events: DataFrame, tree: Predicate) -> str:
    n, of = events.agg(F.count_if(to_column(tree, F.col)), F.count(F.lit(1))).collect()[0]
    return f"{n} of {of}"
