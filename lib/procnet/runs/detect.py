"""One window: find, replace, and only then the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.engine.enrich import enrich
from procnet.engine.evaluate import Evaluation, evaluate
from procnet.engine.events import read_events
from procnet.engine.query import Query
from procnet.errors import ProcnetError, UsageError, WindowFailed, cause
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.retry import TRIES, is_conflict, retry_on_conflict
from procnet.lake.tables import Lake
from procnet.lake.write import replace_findings
from procnet.periods import EPOCH, Window
from procnet.runs.recorder import RunInProgress, RunRecorder
from procnet.runs.retention import refuse_deleted_period
from procnet.runs.selection import Selection, run_fingerprints
from procnet.settings import Settings
from procnet.spark.filters import events_in_period
from procnet.state.state import carried_to, carry_on, keeps_state


@dataclass(frozen=True)
class WindowReport:
    """What one window came to: the ledger's row, as the caller may print it."""

    run_id: str
    window: Window
    status: str
    plan: str
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    noisy: tuple[str, ...] = ()


def last_complete(now: datetime, settings: Settings) -> Window:
    """The newest window of the schedule's grid that ended at least `window.delay` before `now`."""
    length = settings.window.length
    end = EPOCH + ((now - settings.window.delay - EPOCH) // length) * length
    return Window(end - length, end)


def detect(lake: Lake, selection: Selection, window: Window, *, kind: str = "detect") -> WindowReport:
    """Evaluate one window and replace its findings; the ledger's row follows the commit.

    A detection with more live findings than its budget is noisy: they stay, and the ledger names it.

    Raises DataError where a table or column is missing; UsageError without detections, where the window's events were
    deleted by `maintain`, and where commits could be lost; WindowFailed where the window could not be evaluated or
    written: nothing of it is then recorded as done, and running it again is safe.
    """
    if not selection.detections:
        raise UsageError(
            "no detection to run: detections.enabled is empty and none was named",
            hint="name one with --detection, or under detections.enabled; procnet detections list shows them",
        )
    refuse_unsafe_commits(lake)
    refuse_deleted_period(lake, selection, window)
    fingerprints = run_fingerprints(selection, lake.settings)
    recorder = RunRecorder(lake, kind, window=window, detections=fingerprints, broken=selection.broken)
    attempt = recorder.attempt()

    def run(conflicts: int) -> WindowReport:
        nonlocal attempt
        if conflicts:
            attempt = recorder.attempt()
        return _once(lake, window, selection, kind, attempt, conflicts)

    try:
        return retry_on_conflict(run)
    except ProcnetError:
        raise
    except Exception as e:  # Py4J's own too, where Spark has no class for an error of Java's
        failed = WindowFailed(
            f"window {window} failed{f', each of {TRIES} times' if is_conflict(e) else ''}: {cause(e)[:500]}",
            hint=f"procnet detect --start {window.start.isoformat()} --end {window.end.isoformat()}",
        )
        attempt.failed(str(failed))
        raise failed from e


def _once(
    lake: Lake, window: Window, selection: Selection, kind: str, attempt: RunInProgress, conflicts: int
) -> WindowReport:
    detections = selection.detections
    settings, events = lake.settings, read_events(lake)
    processes, connections = events.processes, events.connections
    lake.read("findings")
    attempt.note(table_versions=events.known_versions)
    attempt.stage("open")
    health = _health(connections, window)
    attempt.note(health=health)
    counts = _counts(health) | ({"conflicts": conflicts} if conflicts else {})
    attempt.stage("read")
    asked = Query(processes, connections, detections, window, settings)
    state = carried_to(lake, asked, events) if kind == "detect" and keeps_state(asked) else None
    if state is not None:
        asked = replace(asked, carried=state.carried)
        attempt.stage("state")
    found = (
        evaluate(asked, selection.exclusions)
        if counts["connections"]
        else Evaluation(None, "nothing to judge: no connection")
    )
    counts |= found.counts
    plan = found.plan if state is None else f"{found.plan}; {state.told}"
    attempt.stage("candidates")
    findings = found.findings
    if findings is not None:
        longest = max(d.lookback for d in detections)
        findings = enrich(findings, processes, connections, window, longest, settings.host.match)
    written = replace_findings(lake, findings, window, [d.id for d in detections])
    counts |= written.counts
    attempt.stage("findings")
    # Of more than fits nothing is carried.
    if state is not None and state.mark is not None and (found.counts or not counts["connections"]):
        try:
            carry_on(lake, asked, found.looked_up, events, state.mark)
        except Exception as e:  # a cache: the findings are there, and the next run reads its lookback
            plan += f"; state not left: {cause(e)[:200]}"
        attempt.stage("carry on")
    status = "succeeded" if counts["connections"] else "nothing_to_read"
    budgets = {d.id: (d.written.budget or settings.detections.budget).of(window) for d in detections}
    noisy = tuple(sorted(d for d, n in written.live.items() if n > budgets[d]))
    run = attempt.succeeded(status, counts=counts, plan=plan, noisy=noisy)
    return WindowReport(run.run_id, window, status, plan, counts, run.seconds, noisy)


def _health(connections: DataFrame, window: Window) -> list[dict[str, Any]]:
    """One row a source, of the window's connections: a sensor that is silent, or has lost its ids, is seen by them."""
    inside = events_in_period(connections, window.start, window.end)
    no_key = F.col("process_id").isNull() & F.col("process_guid").isNull()
    of_source = inside.groupBy("source").agg(
        F.count("*").alias("connections"),
        F.count_if(F.col("host").isNull()).alias("without_host"),
        F.count_if(no_key).alias("without_key"),
        F.count_if(no_key & F.col("process_name").isNull()).alias("without_process"),
        F.max("event_time").alias("newest"),
    )
    return sorted((r.asDict() for r in of_source.collect()), key=lambda r: r["source"] or "")


def _counts(health: list[dict[str, Any]]) -> dict[str, int]:
    return {
        "connections": sum(r["connections"] for r in health),
        "connections_without_key": sum(r["without_key"] for r in health),
    }
