"""One window: evaluate it, replace its findings, and only then append to the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from procnet.detections.detection import Detection
from procnet.engine.enrich import enrich
from procnet.engine.evaluate import Evaluation, evaluate
from procnet.engine.events import Events, changed_process_events, read_events
from procnet.engine.query import Query
from procnet.engine.source_health import SourceHealth, source_health
from procnet.errors import ProcnetError, UsageError, WindowFailed, cause
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.ledger import FINDINGS_KEY
from procnet.lake.retry import TRIES, is_conflict, retry_on_conflict
from procnet.lake.table_errors import table_error
from procnet.lake.tables import Lake
from procnet.lake.write import WrittenFindings, replace_findings
from procnet.periods import Window, floor_to_grid
from procnet.runs.known_runs import table_ids
from procnet.runs.recorder import RunInProgress, RunRecorder
from procnet.runs.retention import refuse_deleted_period
from procnet.runs.selection import Selection, run_fingerprints
from procnet.settings import Settings
from procnet.state.state import LoadedState, carries_state, load_state, save_state

_NO_CONNECTIONS = Evaluation(None, "none", "the window has no connection")


@dataclass(frozen=True)
class WindowReport:
    """The result of one window: the values of its ledger row that a caller may print."""

    run_id: str
    window: Window
    status: str
    plan: str
    plan_reason: str
    rows_collected: Mapping[str, int]
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    noisy: tuple[str, ...] = ()


def last_complete(now: datetime, settings: Settings) -> Window:
    """The newest window of the schedule's grid that ended at least `window.delay` before `now`."""
    length = settings.window.length
    end = floor_to_grid(now - settings.window.delay, length)
    return Window(end - length, end)


def detect(lake: Lake, selection: Selection, window: Window, *, kind: str = "detect") -> WindowReport:
    """Evaluate one window and replace its findings; the ledger's row follows the commit.

    A detection with more live findings than its budget is noisy: they stay, and the ledger names it.

    Raises DataError where a table or column is missing; UsageError without detections, and where `maintain` has deleted
    events that the window needs; ConfigError where commits could be lost; WindowFailed where the window could not be
    evaluated or written: it is then not recorded as done, and running it again is safe.
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
    attempts = list[RunInProgress]()

    def attempt(conflicts: int) -> WindowReport:
        attempts.append(recorder.attempt())
        return _evaluate_and_replace(lake, selection, window, attempts[-1], conflicts)

    try:
        return retry_on_conflict(attempt)
    except Exception as e:  # Py4J's own too, where Spark has no class for an error of Java's
        if isinstance(e, ProcnetError) and not is_conflict(e):
            raise
        problem = table_error(e)  # not raised: other windows of a backfill may not need the files that are missing
        failed = WindowFailed(
            f"window {window} failed{f', each of {TRIES} times' if is_conflict(e) else ''}: "
            + (problem.message if problem else cause(e)[:500]),
            hint=problem.hint
            if problem
            else f"procnet detect --start {window.start.isoformat()} --end {window.end.isoformat()}",
        )
        attempts[-1].failed(str(failed))
        raise failed from e


def _evaluate_and_replace(
    lake: Lake, selection: Selection, window: Window, attempt: RunInProgress, conflicts: int
) -> WindowReport:
    # The ids first: a table that is made anew meanwhile has another one than is recorded, and its window is a gap.
    # Then the version, before the events: a run that reads newer ones commits its findings later than this version.
    ids, since = table_ids(lake), lake.version("findings")
    events = read_events(lake)
    for table in ("findings", "runs"):  # a table or column that is missing is an error before anything is computed
        lake.read(table)
    attempt.note(table_versions=events.known_versions, inputs=ids)
    attempt.stage("open")
    query = Query.of(events, selection.detections, window, lake.settings)
    health = source_health(events, window)
    attempt.note(health=health.sources)
    attempt.stage("read")
    state = _load_state(lake, query, events, attempt)
    query = replace(query, carried=state.carried if state else None)
    has_connections = bool(health.sources)
    evaluation = evaluate(query, selection.exclusions) if has_connections else _NO_CONNECTIONS
    attempt.stage("candidates")
    findings = None if evaluation.findings is None else enrich(evaluation.findings, query)
    # Once more: what maintain has deleted meanwhile is missing in the findings.
    refuse_deleted = partial(refuse_deleted_period, lake, selection, window)
    read = attempt.over(window, events.known_versions, ids)
    written = replace_findings(lake, findings, read, since=since or 0, before_commit=refuse_deleted)
    attempt.note(table_versions={**events.known_versions, FINDINGS_KEY: written.version})
    attempt.stage("findings")
    reason = _save_state(lake, query, events, state, evaluation, attempt)
    status = "succeeded" if has_connections else "nothing_to_read"
    counts = _counts(health, conflicts) | dict(written.counts)
    noisy = _noisy(written, selection.detections, window, lake.settings)
    run = attempt.succeeded(
        status, counts=counts, plan=evaluation.plan, plan_reason=reason, rows_collected=evaluation.rows_collected,
        noisy=noisy,
    )  # fmt: skip
    return WindowReport(
        run.run_id, window, status, evaluation.plan, reason, evaluation.rows_collected, counts, run.seconds, noisy
    )


def _counts(health: SourceHealth, conflicts: int) -> dict[str, int]:
    counts = {
        "connections": sum(source["connections"] for source in health.sources),
        "connections_without_key": sum(source["without_key"] for source in health.sources),
    }
    seldom = {"times_out_of_range": health.times_out_of_range, "conflicts": conflicts}
    return counts | {name: count for name, count in seldom.items() if count}


def _load_state(lake: Lake, query: Query, events: Events, attempt: RunInProgress) -> LoadedState | None:
    """The state of the window before; None where a run of this kind and window carries none."""
    if attempt.kind != "detect" or not carries_state(lake.settings, query.window, query.longest_lookback):
        return None
    versions = events.process_versions
    changes_since = partial(changed_process_events, lake, versions)
    state = load_state(lake, query.history, query.start_conditions, versions, changes_since)
    attempt.stage("state")
    return state


def _save_state(
    lake: Lake, query: Query, events: Events, state: LoadedState | None, evaluation: Evaluation, attempt: RunInProgress
) -> str:
    """Saves the state for the next window; returns the reason of the plan, with what became of the state."""
    if state is None:
        return evaluation.reason
    reason = f"{evaluation.reason}; {state.reason}"
    # Nothing is saved where no run could read it, or where the candidates were too many to collect.
    if state.fingerprint is None or not (evaluation.rows_collected or evaluation is _NO_CONNECTIONS):
        return reason
    try:
        save_state(
            lake, query.history, query.start_conditions, evaluation.lookback, events.process_versions, state.fingerprint
        )
    except Exception as e:  # a cache: the findings are committed, and the next run reads its lookback
        reason += f"; state not saved: {cause(e)[:200]}"
    attempt.stage("carry on")
    return reason


def _noisy(
    written: WrittenFindings, detections: Sequence[Detection], window: Window, settings: Settings
) -> tuple[str, ...]:
    """Ids of the detections with more live findings in the window than their budget."""
    budgets = {d.id: (d.written.budget or settings.detections.budget).of(window) for d in detections}
    return tuple(sorted(d for d, n in written.live.items() if n > budgets[d]))
