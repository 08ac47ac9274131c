"""The demo: a made-up fleet from raw records to findings, held against its known answers and the original search."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from procnet.demo.fleet import SOURCE, Fleet, make_fleet
from procnet.demo.scene import Answer
from procnet.demo.splunk_search import SplunkScore, score_splunk_search, splunk_pairs
from procnet.detections.detection import Detection
from procnet.errors import UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window, as_utc
from procnet.runs.backfill import backfill
from procnet.runs.detect import detect
from procnet.runs.ingest import IngestReport, ingest
from procnet.runs.selection import Selection, enabled_exclusions
from procnet.settings import Settings
from procnet.spark.filters import events_in_period

_HOURS_AGAIN = 2  # enough to see that a window replaces itself; each costs seconds


@dataclass(frozen=True)
class Score:
    """Findings against answers: `right` agree in process, its start and the kind of attribution."""

    findings: int
    right: int
    wrong: tuple[Mapping[str, Any], ...]
    missed: tuple[Answer, ...]


@dataclass(frozen=True)
class Detected:
    """What came of the two days, and of the last hours evaluated again."""

    rows: Sequence[Mapping[str, Any]]
    score: Score
    literal: SplunkScore
    hours_again: int
    unchanged: bool


@dataclass(frozen=True)
class Demo:
    """All that the demo has to show; `seconds` by stage."""

    fleet: Fleet
    ingested: IngestReport
    detected: Detected | None
    seconds: Mapping[str, float]


def make(settings: Settings, *, hosts: int, hours: int, seed: int) -> Fleet:
    """Write the fleet's raw records beside the lake. Needs no session."""
    if settings.lake is None:
        raise UsageError("the demo needs a folder for its lake", hint="procnet demo --lake DIR")
    return make_fleet(settings.lake / "raw", hosts=hosts, hours=hours, seed=seed)


def bring_in(spark: SparkSession, settings: Settings, fleet: Fleet, *, now: datetime) -> Demo:
    """Ingest the fleet's records."""
    mark = time.monotonic()
    ingested = ingest(Lake(spark, settings), SOURCE, [str(f) for f in fleet.files], now=now)
    return Demo(fleet, ingested, None, {"ingest": time.monotonic() - mark})


def run_detections(
    spark: SparkSession, settings: Settings, demo: Demo, detections: Sequence[Detection], tell: Callable[..., None]
) -> Demo:
    """Two days in one backfill, the last hours again one by one, and the original search over the same hours."""
    lake, period = Lake(spark, settings), Window(demo.fleet.start, demo.fleet.end)
    seconds = dict(demo.seconds)
    mark = time.monotonic()
    selection = Selection(tuple(detections), enabled_exclusions(settings, spark))
    backfill(lake, selection, period, chunk=period.end - period.start, progress=tell)
    seconds["backfill"] = time.monotonic() - mark
    mark = time.monotonic()
    before = _rows(lake)
    again = Window(max(period.start, period.end - timedelta(hours=_HOURS_AGAIN)), period.end).chunks(timedelta(hours=1))
    for window in again:
        detect(lake, selection, window)
    unchanged = _rows(lake) == before
    seconds["hours again"] = time.monotonic() - mark
    mark = time.monotonic()
    literal = _literal(lake, period, demo.fleet.answers)
    seconds["original search"] = time.monotonic() - mark
    rows = [r for r in before if r["detection_id"] in {d.id for d in detections}]
    detected = Detected(rows, score_findings(rows, demo.fleet.answers), literal, len(again), unchanged)
    return Demo(demo.fleet, demo.ingested, detected, seconds)


def score_findings(rows: Sequence[Mapping[str, Any]], answers: Sequence[Answer]) -> Score:
    """Hold findings (rows of `contract.FINDINGS` as dicts) against the answers."""
    wanted = {_of_answer(a): a for a in answers}
    wrong = []
    found = set()
    for row in rows:
        key = _of_row(row)
        if key in wanted and key not in found:
            found.add(key)
        else:
            wrong.append(row)
    missed = tuple(a for key, a in wanted.items() if key not in found)
    return Score(len(rows), len(found), tuple(wrong), missed)


def _of_row(row: Mapping[str, Any]) -> tuple[Any, ...]:
    short = str(row["host"]).split(".")[0]
    times = (_utc(row["event_time"]), _utc(row["process_time"]))
    return (short, row["process_id"], *times, row["dest_ip"], row["dest_port"], row["attribution"])


def _of_answer(a: Answer) -> tuple[Any, ...]:
    short = a.host.split(".")[0]
    return (short, a.process_id, _utc(a.event_time), _utc(a.process_time), a.dest_ip, a.dest_port, a.attribution)


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else as_utc(value)


def _rows(lake: Lake) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.read("findings").toArrow().to_pylist()
    return sorted(rows, key=lambda r: (r["event_time"], r["finding_id"]))


def _literal(lake: Lake, period: Window, answers: Sequence[Answer]) -> SplunkScore:
    around = [events_in_period(lake.read(t), period.start, period.end) for t in ("process_events", "network_events")]
    pairs = [
        {**r.asDict(), "connection_time": _utc(r["connection_time"])}
        for r in splunk_pairs(around[0], around[1], period).collect()
    ]
    return score_splunk_search(pairs, answers, start=period.start)
