"""One window: find, replace, and only then the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.detections.detection import Detection
from procnet.engine.enrich import enrich
from procnet.engine.evaluate import Evaluation, evaluate
from procnet.engine.events import read_events
from procnet.engine.query import Query
from procnet.errors import ProcnetError, UsageError, WindowFailed, cause
from procnet.findings.exclusions import Exclusion
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.retry import TRIES, is_conflict, retry_on_conflict
from procnet.lake.tables import Lake
from procnet.lake.write import replace_findings
from procnet.periods import EPOCH, Window
from procnet.runs.exclusions import enabled_exclusions, run_fingerprints
from procnet.runs.recorder import Clock, record
from procnet.runs.retention import refuse_deleted_period
from procnet.settings import Settings
from procnet.spark.filters import between
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


def detect(
    spark: SparkSession,
    settings: Settings,
    window: Window,
    detections: Sequence[Detection],
    *,
    exclusions: Sequence[Exclusion] | None = None,
    broken: Sequence[str] = (),
    kind: str = "detect",
) -> WindowReport:
    """Evaluate one window and replace its findings; the ledger's row follows the commit.

    `exclusions` mark findings; None means those that the settings enable. `broken` says what else was to run and could
    not be loaded, for the ledger. A detection with more live findings than its budget is noisy: they stay, and the
    ledger names it.

    Raises DataError where a table or column is missing; UsageError without detections, where the window's events were
    deleted by `maintain`, and where commits could be lost; WindowFailed where the window could not be evaluated or
    written: nothing of it is then recorded as done, and running it again is safe.
    """
    if not detections:
        raise UsageError(
            "no detection to run: detections.enabled is empty and none was named",
            hint="name one with --detection, or under detections.enabled; procnet detections list shows them",
        )
    if exclusions is None:
        exclusions = enabled_exclusions(settings, spark)
    lake, told = Lake(spark, settings), run_fingerprints(detections, exclusions, settings)
    refuse_unsafe_commits(lake)
    refuse_deleted_period(lake, detections, window)
    clock, of = Clock(), {"window": window, "broken": list(broken), "detections": told}
    try:
        return retry_on_conflict(
            lambda conflicts: _once(lake, window, detections, exclusions, kind, clock, of, conflicts)
        )
    except ProcnetError:
        raise
    except Exception as e:  # Py4J's own too, where Spark has no class for an error of Java's
        failed = WindowFailed(
            f"window {window} failed{f', each of {TRIES} times' if is_conflict(e) else ''}: {cause(e)[:500]}",
            hint=f"procnet detect --start {window.start.isoformat()} --end {window.end.isoformat()}",
        )
        record(lake, clock, kind, "failed", error=str(failed), **of)
        raise failed from e


def _once(
    lake: Lake,
    window: Window,
    detections: Sequence[Detection],
    exclusions: Sequence[Exclusion],
    kind: str,
    clock: Clock,
    of: dict[str, Any],
    conflicts: int,
) -> WindowReport:
    settings, events = lake.settings, read_events(lake)
    processes, connections = events.processes, events.connections
    lake.read("findings")
    of["table_versions"] = events.known_versions
    clock.lap("open")
    of["health"] = health = _health(connections, window)
    counts = _counts(health) | ({"conflicts": conflicts} if conflicts else {})
    clock.lap("read")
    asked = Query(processes, connections, detections, window, settings)
    state = carried_to(lake, asked, events) if kind == "detect" and keeps_state(asked) else None
    if state is not None:
        asked = replace(asked, carried=state.carried)
        clock.lap("state")
    found = (
        evaluate(asked, exclusions) if counts["connections"] else Evaluation(None, "nothing to judge: no connection")
    )
    counts |= found.counts
    plan = found.plan if state is None else f"{found.plan}; {state.told}"
    clock.lap("candidates")
    findings = found.findings
    if findings is not None:
        longest = max(d.lookback for d in detections)
        findings = enrich(findings, processes, connections, window, longest, settings.host.match)
    written = replace_findings(lake, findings, window, [d.id for d in detections])
    counts |= written.counts
    clock.lap("findings")
    # Of more than fits nothing is carried.
    if state is not None and state.mark is not None and (found.counts or not counts["connections"]):
        try:
            carry_on(lake, asked, found.looked_up, events, state.mark)
        except Exception as e:  # a cache: the findings are there, and the next run reads its lookback
            plan += f"; state not left: {cause(e)[:200]}"
        clock.lap("carry on")
    status = "succeeded" if counts["connections"] else "nothing_to_read"
    budgets = {d.id: (d.written.budget or settings.detections.budget).of(window) for d in detections}
    noisy = tuple(sorted(d for d, n in written.live.items() if n > budgets[d]))
    run = record(lake, clock, kind, status, counts=counts, plan=plan, noisy=noisy, **of)
    return WindowReport(run.run_id, window, status, plan, counts, run.seconds, noisy)


def _health(connections: DataFrame, window: Window) -> list[dict[str, Any]]:
    """One row a source, of the window's connections: a sensor that is silent, or has lost its ids, is seen by them."""
    inside = between(connections, window.start, window.end)
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
