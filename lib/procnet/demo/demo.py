"""The demo: a made-up fleet from raw records to findings, compared with its answers and the original Splunk search."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from procnet.demo.fleet import SENSOR_SOURCE, SOURCE, Fleet, make_fleet
from procnet.demo.scene import Answer
from procnet.demo.splunk_search import SplunkScore, score_splunk_search, splunk_pairs
from procnet.errors import UsageError
from procnet.lake.tables import Lake
from procnet.periods import Window, as_utc
from procnet.runs.backfill import backfill
from procnet.runs.detect import detect
from procnet.runs.ingest import ingest
from procnet.runs.ingest_report import IngestReport
from procnet.runs.selection import Selection
from procnet.runs.windows import WindowProgress
from procnet.settings import Settings
from procnet.spark.filters import events_in_period

NAMES_AND_FLOWS = ("dest_name", "dest_name_by", "flow_uid")
_HOURS_AGAIN = 2  # enough to compare a window with itself; each takes seconds


@dataclass(frozen=True)
class Score:
    """Findings compared with the answers: `right` ones agree in process, its start and the kind of attribution.

    Of the right ones, `misnamed` have another `dest_name`, `dest_name_by` or `flow_uid` than the fleet wrote.
    """

    findings: int
    right: int
    wrong: tuple[Mapping[str, Any], ...]
    missed: tuple[Answer, ...]
    misnamed: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Detected:
    """The findings of the whole period, and whether they were unchanged when the last hours ran again."""

    rows: Sequence[Mapping[str, Any]]
    score: Score
    splunk_search: SplunkScore
    hours_again: int
    unchanged: bool

    @property
    def is_right(self) -> bool:
        """Whether the findings are exactly the answers, and stayed the same."""
        return not (self.score.wrong or self.score.missed or self.score.misnamed) and self.unchanged


@dataclass(frozen=True)
class Demo:
    """Result of the demo.

    `flows` is the ingest of its network sensor's files; `detected` is None where no detection ran; `seconds` by stage.
    """

    fleet: Fleet
    ingested: IngestReport
    flows: IngestReport
    detected: Detected | None
    seconds: Mapping[str, float]


def write_fleet(settings: Settings, *, hosts: int, hours: int, seed: int) -> Fleet:
    """Writes the fleet's raw records into the folder `raw` of the lake, without Spark.

    Raises UsageError where the lake is not a folder, or the fleet would be too small.
    """
    if settings.local_lake is None:
        raise UsageError("the demo needs a folder of this machine for its lake", hint="procnet demo --lake DIR")
    return make_fleet(settings.local_lake / "raw", hosts=hosts, hours=hours, seed=seed)


def ingest_fleet(lake: Lake, fleet: Fleet, *, now: datetime) -> Demo:
    """Ingests the records of the fleet's endpoints and of its network sensor."""
    start = time.monotonic()
    ingested = ingest(lake, SOURCE, [str(f) for f in fleet.files], now=now)
    flows = ingest(lake, SENSOR_SOURCE, [str(f) for f in fleet.sensor_files], now=now)
    return Demo(fleet, ingested, flows, None, {"ingest": time.monotonic() - start})


def run_detections(lake: Lake, demo: Demo, selection: Selection, progress: WindowProgress) -> Demo:
    """Runs a backfill of the whole period, the last hours again one by one, and the original search.

    The enabled exclusions apply. Returns the demo with its findings.
    """
    period = Window(demo.fleet.start, demo.fleet.end)
    start = time.monotonic()
    backfill(lake, selection, period, chunk=period.end - period.start, progress=progress)
    backfilled = time.monotonic()
    before = _all_findings(lake)
    again = Window(max(period.start, period.end - timedelta(hours=_HOURS_AGAIN)), period.end).chunks(timedelta(hours=1))
    for window in again:
        detect(lake, selection, window)
    unchanged = _all_findings(lake) == before
    repeated = time.monotonic()
    splunk_search = _score_splunk_search(lake, period, demo.fleet.answers)
    seconds = {
        **demo.seconds,
        "backfill": backfilled - start,
        "hours again": repeated - backfilled,
        "original search": time.monotonic() - repeated,
    }
    ids = {d.id for d in selection.detections}
    rows = [r for r in before if r["detection_id"] in ids]
    detected = Detected(rows, score_findings(rows, demo.fleet.answers), splunk_search, len(again), unchanged)
    return replace(demo, detected=detected, seconds=seconds)


def score_findings(rows: Sequence[Mapping[str, Any]], answers: Sequence[Answer]) -> Score:
    """Compares findings (rows of `contract.FINDINGS` as dicts) with the answers."""
    expected = {_answer_key(a): a for a in answers}
    found, wrong, misnamed = set(), [], []
    for row in rows:
        key = _finding_key(row)
        if key in expected and key not in found:
            found.add(key)
            if any(row[name] != getattr(expected[key], name) for name in NAMES_AND_FLOWS):
                misnamed.append(row)
        else:
            wrong.append(row)
    missed = tuple(a for key, a in expected.items() if key not in found)
    return Score(len(rows), len(found), tuple(wrong), missed, tuple(misnamed))


def _finding_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    short = str(row["host"]).split(".")[0]
    times = (_utc(row["event_time"]), _utc(row["process_time"]))
    return (short, row["process_id"], *times, row["dest_ip"], row["dest_port"], row["attribution"])


def _answer_key(a: Answer) -> tuple[Any, ...]:
    short = a.host.split(".")[0]
    return (short, a.process_id, _utc(a.event_time), _utc(a.process_time), a.dest_ip, a.dest_port, a.attribution)


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else as_utc(value)


def _all_findings(lake: Lake) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.read("findings").toArrow().to_pylist()
    return sorted(rows, key=lambda r: (r["event_time"], r["finding_id"]))


def _score_splunk_search(lake: Lake, period: Window, answers: Sequence[Answer]) -> SplunkScore:
    process_events, network_events = (
        events_in_period(lake.read(t), period.start, period.end) for t in ("process_events", "network_events")
    )
    pairs = [
        {**r.asDict(), "connection_time": _utc(r["connection_time"])}
        for r in splunk_pairs(process_events, network_events, period).collect()
    ]
    return score_splunk_search(pairs, answers, start=period.start)
