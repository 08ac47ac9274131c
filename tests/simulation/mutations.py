"""Faults that the code had, or could have: each is put back by replacing functions, and the simulation must find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

from procnet.contract import REQUIRED_EVENT_TABLES
from procnet.engine.events import Events
from procnet.lake import coverage as coverage_module
from procnet.lake import ledger, write
from procnet.lake.coverage import RunAttempt
from procnet.lake.findings_history import FindingsHistory
from procnet.lake.ledger import Run
from procnet.lake.write import replace_findings
from procnet.periods import Window
from procnet.runs import backfill, catch_up, detect, gaps, ingest, known_runs, maintain, resume, retention
from procnet.runs.known_runs import KnownRuns
from procnet.runs.recorder import RunInProgress
from procnet.runs.retention import first_evaluable, record_deletion
from procnet.runs.selection import run_fingerprints
from procnet.runs.windows import detect_windows
from simulation.frames import Condition, Functions
from simulation.lake import ModelLake
from simulation.storage import Upkeep, add_rows, delete_before, run_attempts
from simulation.tables import Table


def nothing(*args: object, **options: object) -> None:
    """Does nothing."""


def _by_start(run: RunAttempt) -> tuple[object, ...]:
    return (run.started_at,)


def _checked_for_all(self: RunInProgress, windows: list[tuple[Window, str]], **facts: Any) -> Run:
    """Records a check of all time up to now, for every run that has committed until now."""
    lake = self._recorder.lake
    attempts = run_attempts(lake)
    if windows:
        hull = Window(min(a.window.start for a in attempts), max(a.window.end for a in attempts))
        windows = [(hull, "checked")]
    versions = {**facts["table_versions"], ledger.FINDINGS_KEY: lake.version("findings")}
    return _checked(self, windows, **{**facts, "table_versions": versions})


_checked = RunInProgress.checked


def _done_by_one_run(lake: ModelLake, selection: Any, windows: list[Window]) -> set[Window]:
    """A window is done where one run of exactly this window read dates that have not changed, whatever ran later."""
    known = known_runs.known_runs(lake)
    wanted, current = run_fingerprints(selection, lake.settings), known.now.versions
    attempts = [
        a
        for a in known.attempts
        if a.window in windows and a.status != "failed" and a.detections.items() >= wanted.items()
    ]
    if not attempts:
        return set()
    oldest = {t: min(a.versions[t] for a in attempts) for t in REQUIRED_EVENT_TABLES}
    changed = resume.ChangedDates({t: resume.changed_dates(lake, t, v, current[t]) for t, v in oldest.items()})
    longest, name_age = selection.longest_lookback, lake.settings.attribution.name_age
    return {a.window for a in attempts if not changed.affect(a, longest, name_age)}  # type: ignore[arg-type]


def _ledger_first(lake: ModelLake, findings: Any, run: RunAttempt, **options: Any) -> Any:
    """Appends the ledger's row before the findings are replaced."""
    versions = {**run.versions, ledger.FINDINGS_KEY: lake.version("findings")}
    early = Run(
        "early" + run.run_id, "detect", "succeeded", run.started_at, run.started_at, "", "", run.window,
        run.detections, versions,
    )  # fmt: skip
    lake.append_runs(early)
    return replace_findings(lake, findings, run, **options)


@dataclass(frozen=True)
class _EventsReadFirst(Events):
    """Events whose versions are read each time they are needed, and so after the tables."""

    @property
    def known_versions(self) -> dict[str, int]:
        lake = self.process_events.lake
        return {t: lake.version(t) for t in REQUIRED_EVENT_TABLES}


_read_events = detect.read_events


def _versions_last(lake: ModelLake) -> Events:
    return _EventsReadFirst(**vars(_read_events(lake)))


def _since_last(lake: ModelLake, findings: Any, run: RunAttempt, *, since: int, **options: Any) -> Any:
    return replace_findings(lake, findings, run, since=lake.version("findings"), **options)


def _refuse_before_only(run: RunAttempt, history: FindingsHistory) -> None:
    if history.version_of(run.run_id) is None:
        _refuse_overtaken(run, history)


_refuse_overtaken = write._refuse_overtaken


class _AnyDetection(Functions):
    """The condition on detections is missing: all findings of the window are replaced."""

    @staticmethod
    def col(name: str) -> type[Functions]:
        return _AnyDetection

    @staticmethod
    def isin(detections: object) -> Condition:
        return Condition(0, 0, frozenset(), None)


_known_runs = known_runs.known_runs


def _recorded_only(lake: ModelLake) -> KnownRuns:
    known = _known_runs(lake)
    ids = {a.run_id for a in run_attempts(lake)}
    return replace(known, attempts=[a for a in known.attempts if a.run_id in ids])


def _failed_are_ignored(*args: Any, **options: Any) -> Any:
    reports, _ = detect_windows(*args, **options)
    return reports, []


def _ingest_ledger_first(lake: ModelLake, table: str, rows: Any, dates: object) -> int:
    """Appends the ledger's row with the first table's rows."""
    if table == "process_events":
        now = lake.world.time
        file = next(name for name, of in lake.world.files.items() if of is not None and set(rows) <= set(of))
        start = SimpleNamespace(run_id=f"ingest{now}", kind="ingest", status="succeeded", window=None)
        start.inputs, start.table_versions, start.started_at = {file: file}, {}, None
        lake.append("runs", [start])
    return add_rows(lake, table, rows, dates)


def _newest_of_runs(*args: Any) -> list[coverage_module.Part]:
    """A part has the newest version that any of its detections' last runs has read, and not the oldest."""
    attempts = args[1]
    parts = _coverage(*args)
    return [
        replace(
            p, versions={t: max((a.versions.get(t, -1) for a in attempts), default=v) for t, v in p.versions.items()}
        )
        for p in parts
    ]


_coverage = coverage_module.coverage


def _delete_and_record(lake: ModelLake, name: str, column: str, before: date) -> None:
    delete_before(lake, name, column, before)
    record_deletion(lake, name, before)  # type: ignore[arg-type]


def _by_settings(lake: ModelLake, selection: Any) -> datetime | None:
    return None if lake.settings.maintenance.keep_events is None else first_evaluable(lake, selection)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Mutation:
    """A fault, as functions in place of others. A seed soon after `first` finds it."""

    name: str
    functions: Mapping[tuple[Any, str], Any]
    first: int = 0
    crowded: float = 1  # share of rounds in which all commands are about one hour


_OLD_ORDER = {(RunAttempt, "order"): property(_by_start)}
MUTATIONS = [
    Mutation("runs are ordered by their start, and one that is overtaken is not refused", {
        (write, "_refuse_overtaken"): nothing, **_OLD_ORDER}, 1170),
    Mutation("only before the commit a run looks whether it is overtaken", {
        (write, "_refuse_overtaken"): _refuse_before_only, **_OLD_ORDER}, 1170),
    Mutation("a run looks only for what overtook it since it was evaluated", {
        (detect, "replace_findings"): _since_last, **_OLD_ORDER}, 650),
    Mutation("a check counts for all runs until now", {(RunInProgress, "checked"): _checked_for_all}, 20),
    Mutation("a check is recorded though windows failed", {(catch_up, "detect_windows"): _failed_are_ignored}, 150),
    Mutation("a backfill takes any run of exactly it as done", {(backfill, "done_windows"): _done_by_one_run}, 10),
    Mutation("the ledger's row comes before the commit", {(detect, "replace_findings"): _ledger_first}),
    Mutation("commits do not name their run", {(write, "commit_metadata"): lambda run: "{}"}, 170),
    Mutation("commits of runs that were killed are not known", {
        (m, "known_runs"): _recorded_only for m in (catch_up, resume, gaps)}, 170),
    Mutation("versions are read after the tables", {(detect, "read_events"): _versions_last}),
    Mutation("a part has the newest versions of its runs", {(catch_up, "coverage"): _newest_of_runs}),
    Mutation("the findings of other detections are replaced too", {(write, "F"): _AnyDetection}),
    Mutation("a restore of findings is not seen", {(coverage_module, "_is_rewound"): lambda run, now: False}, 95),
    Mutation("a table that was made anew is not known by its id", {
        (m, "table_ids"): lambda lake: {} for m in (known_runs, detect)}, crowded=0.3),
    Mutation("versions of two tables of findings are compared", {
        (coverage_module, "_of_table_now"): lambda run, now: run}, crowded=0.3),
    Mutation("an ingest is recorded before its rows", {(ingest, "_add"): _ingest_ledger_first}, 100),
    Mutation("rows that another ingest adds meanwhile are added again", {(Table, "merge"): Table.append_merged}, 150),
    Mutation("events that expire during a run are not noticed", {(detect, "refuse_deleted_period"): nothing}, 50),
    Mutation("expired events are deleted before that is recorded", {
        (maintain, "record_deletion"): nothing, (Upkeep, "delete_before"): _delete_and_record}, 5260),
    Mutation("without retention in the settings nothing has expired", {
        (m, "first_evaluable"): _by_settings for m in (retention, catch_up, gaps)}, 50),
]  # fmt: skip
