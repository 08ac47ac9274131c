"""Brings a lake to rest and compares its findings with those of a fresh run over all rows."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta, timezone
from typing import Any

from procnet.errors import DataError
from procnet.findings.related import PARENT_AGE
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.gaps import gaps_of
from procnet.runs.retention import first_day
from simulation.commands import Job, fill_gaps, ingest_file
from simulation.rules import DAY, findings_of, minute_of, window_of
from simulation.storage import CLOCK_START

PERIOD = (0, 8 * DAY)  # of all windows of schedules


class WrongAtRestError(AssertionError):
    """What is wrong at rest."""


def judge(job: Job, *, gaps_first: bool, clocks_agree: bool) -> None:
    """Raises WrongAtRestError where a finding is lost, doubled or another's, or where the job does not come to rest."""
    for name, rows in list(job.to_ingest.items()):
        ingest_file(job, {"file": name, "rows": rows})
    _refuse_lost_events(job)
    _refuse_unknown_errors(job)
    steps = [lambda: catch_up(job.lake, job.selection), lambda: fill_gaps(job, {"window": PERIOD})]
    try:
        for step in steps[::-1] if gaps_first else steps:
            step()
    except DataError:  # the change feed is gone: the message says to backfill
        if first_minute(job) < PERIOD[1]:
            backfill(job.lake, job.selection, window_of(first_minute(job), PERIOD[1]))
    _compare(job)
    if not clocks_agree:  # a clock decides which of two runs with the same findings counts: too many runs then
        return
    gaps = [
        g for g in gaps_of(job.lake, job.selection, window_of(*PERIOD), CLOCK_START) if g.why != "source had no rows"
    ]
    if gaps:
        raise WrongAtRestError(f"gaps lists {gaps} after they were filled")
    try:
        again = catch_up(job.lake, job.selection).reports
    except DataError:
        return
    if again:
        raise WrongAtRestError(f"catch-up finds {[str(r.window) for r in again]} after it was repeated")


def first_minute(job: Job) -> int:
    """Returns from when on windows can be evaluated: retention has deleted what earlier ones need."""
    days = _first_days(job)
    if not days:
        return PERIOD[0]
    first = datetime.combine(max(days), datetime.min.time(), timezone.utc)
    reach = max(d.lookback for d in job.selection.detections) + PARENT_AGE + timedelta(days=1)
    return minute_of(first + reach)


def _refuse_lost_events(job: Job) -> None:
    stored = Counter(r for t in ("process_events", "network_events") for r in job.world.tables[t].rows)
    if doubled := [r for r, n in stored.items() if n > 1 and r not in job.copies]:
        raise WrongAtRestError(f"events are doubled: {doubled}")
    wanted = {r for rows in job.ingested.values() for r in rows if r.minute >= _first_event(job)}
    if lost := wanted - stored.keys() - job.removed:
        raise WrongAtRestError(f"events are lost: {sorted(map(str, lost))}")


def _refuse_unknown_errors(job: Job) -> None:
    """The code under test reports any error as a failed run: only those of the storage are expected."""
    known = ("the storage failed", "DELTA_CONCURRENT", "another run has replaced findings")
    errors = {r.error for r in job.world.tables["runs"].rows if getattr(r, "error", None) is not None}
    if unknown := [e for e in errors if not any(k in e for k in known)]:
        raise WrongAtRestError(f"a run failed: {unknown[0]}")


def _first_event(job: Job) -> int:
    midnights = (datetime.combine(day, datetime.min.time(), timezone.utc) for day in _first_days(job))
    return max(map(minute_of, midnights), default=0)


def _first_days(job: Job) -> list[date]:
    days = (first_day(table.properties) for table in job.world.tables.values())
    return [day for day in days if day is not None]


def _compare(job: Job) -> None:
    tables, selection, first = job.world.tables, job.selection, first_minute(job)
    ids = {d.id for d in selection.detections}
    expected = Counter(
        f
        for f in findings_of(
            tables["process_events"].rows, tables["network_events"].rows, selection.detections, selection.exclusions
        )
        if f.minute >= first
    )
    actual = Counter(f for f in tables["findings"].rows if f.minute >= first and f.detection_id in ids)
    problems = {"lost": expected - actual, "doubled or another's": actual - expected}
    every = [[r for c in tables[t].commits for r in c.added] for t in ("process_events", "network_events")]
    right = set(findings_of(*every, selection.detections, selection.exclusions))
    problems["lost, though only retention deleted its events"] = Counter(
        f for f in (job.preserved & right) - set(tables["findings"].rows) if f.minute < first
    )
    if found := [f"{what}: {_text(rows)}" for what, rows in problems.items() if rows]:
        raise WrongAtRestError("; ".join(found))


def _text(findings: Counter[Any]) -> str:
    return ", ".join(str(tuple(f)) for f in sorted(findings, key=str)[:3]) + (" ..." if len(findings) > 3 else "")
