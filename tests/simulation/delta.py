"""The same schedules on a real lake of Delta tables: the package's functions, with a step of the scheduler before each.

One task works at a time, so commits do not conflict here; that is the model's part. What the model replaces is real
here: reads, commits and their metadata, the change feed, MERGE, the state of open processes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from installer_lake import SELECTION, all_findings
from procnet.contract import REQUIRED_EVENT_TABLES
from procnet.engine import late_data
from procnet.findings.exclusion_schema import read_exclusions
from procnet.lake import findings_history, retry, table_upkeep, write
from procnet.lake.tables import Lake
from procnet.runs import catch_up, detect, ingest, known_runs, recorder, resume
from procnet.runs.backfill import backfill
from procnet.runs.gaps import gaps_of
from procnet.runs.selection import Selection
from procnet.settings import AttributionSettings, Settings
from simulation.commands import KINDS, Job
from simulation.judge import WrongAtRestError
from simulation.lake import World
from simulation.rules import Connection, Event, time_of, window_of
from simulation.run import run_rounds
from simulation.schedule import Command, Schedule
from simulation.scheduler import Choice, Scheduler
from simulation.storage import CLOCK_START, REPLACED, Current

_IMAGES = {"x": "msiexec.exe", "y": "msiexec.exe", "z": "cmd.exe", "": "msiexec.exe"}
_EXCLUSION = {
    "id": "simulation", "detections": "all", "reason": "simulation", "owner": "simulation",
    "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2026-12-31T00:00:00Z",
    "findings": "{port: {dest_port: 80}, condition: port}",
}  # fmt: skip


def _record(row: Event) -> dict[str, str]:
    """Returns the Sysmon record of an event of the model."""
    common = {"Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "a", "ProcessId": str(8 + row.key)}
    common["@timestamp"] = time_of(row.minute).isoformat()
    if isinstance(row, Connection):
        to = {"DestinationIp": "203.0.113.7", "DestinationPort": str(row.port), "Protocol": "tcp", "Initiated": "true"}
        named = {"Image": "C:\\msiexec.exe"} if row.port == 80 else {}  # as detection B of the model needs no process
        return {**common, "EventID": "3", **to, **named}
    image = {"Image": f"C:\\{_IMAGES[row.image]}", "CommandLine": f"{_IMAGES[row.image]} {row.detail}"}
    return {**common, "EventID": "1", **image} if row.kind == "start" else {**common, "EventID": "5", **image}


def _where(rows: Sequence[Event]) -> str:
    """Returns the SQL condition of the rows with the times and process ids of some events."""
    of_each = [f"(event_time = TIMESTAMP '{time_of(r.minute).isoformat()}' AND process_id = {8 + r.key})" for r in rows]
    return " OR ".join(of_each) or "false"


@dataclass
class DeltaJob(Job):
    """A job over a real lake in a folder."""

    spark: SparkSession | None = None
    folder: Path = Path()
    period: tuple[int, int] = (0, 0)
    versions: dict[str, int] = field(default_factory=dict)  # detection -> edits
    compared: int = 0  # findings of fresh runs

    @property
    def lake(self) -> Lake:  # type: ignore[override]
        return lake_in(self.spark, self.folder / "lake")

    def select(self, only: str | None) -> Selection:
        names = [n for n in "AB" if only is None or n in only]
        detections = (SELECTION.detections["AB".index(n)] for n in names)
        edits = (self.versions.get(n, 0) for n in names)
        edited = tuple(replace(d, version=d.version + n) for d, n in zip(detections, edits, strict=True))
        exclusions, _ = read_exclusions([("simulation", _EXCLUSION)] if self.is_excluding else [])
        return Selection(edited, exclusions)

    def run(self, command: Command) -> None:
        values = dict(command.values)
        if command.kind == "fill_gaps":
            values.setdefault("window", self.period)
        _KINDS.get(command.kind, KINDS[command.kind])(self, values)


def lake_in(spark: SparkSession | None, folder: Path, **settings: Any) -> Lake:
    """Returns the lake of a folder; windows of an hour carry the state of open processes."""
    assert spark is not None
    return Lake(spark, Settings(lake=folder, attribution=AttributionSettings(state_over=timedelta(0)), **settings))


def _ingest(job: DeltaJob, values: Mapping[str, Any]) -> None:
    file, rows = job.folder / values["file"], values["rows"]
    file.write_text("".join(json.dumps(_record(r)) + "\n" for r in rows))
    job.to_ingest[values["file"]] = rows
    ingest.ingest(job.lake, "windows_flat", [str(file)], again=values.get("again", False), now=CLOCK_START)
    job.to_ingest.pop(values["file"], None)


def _append(job: DeltaJob, values: Mapping[str, Any]) -> None:
    lake, rows = job.lake, values["rows"]
    job.world.pause(f"copy rows of {values['table']}")
    lake.append(values["table"], lake.read(values["table"]).where(_where(rows)))


def _delete(job: DeltaJob, values: Mapping[str, Any]) -> None:
    job.world.pause(f"delete rows of {values['table']}")
    job.lake.spark.sql(f"DELETE FROM {job.lake.ref(values['table'])} WHERE {_where(values['rows'])}").collect()


def _restore(job: DeltaJob, values: Mapping[str, Any]) -> None:
    job.world.pause(f"restore {values['table']}")
    ref = job.lake.ref(values["table"])
    to = max(0, job.lake.spark.sql(f"DESCRIBE HISTORY {ref}").count() - 1 - values["back"])
    job.lake.spark.sql(f"RESTORE TABLE {ref} TO VERSION AS OF {to}").collect()


def _remake(job: DeltaJob, values: Mapping[str, Any]) -> None:
    job.world.pause(f"drop {values['table']} and make it anew")
    shutil.rmtree(job.folder / "lake" / values["table"])
    job.lake.create()


def _edit(job: DeltaJob, values: Mapping[str, Any]) -> None:
    job.world.pause(f"edit {values['detection']}")
    job.versions[values["detection"]] = job.versions.get(values["detection"], 0) + 1


_KINDS: dict[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "ingest": _ingest, "append": _append, "delete": _delete, "restore": _restore, "edit": _edit, "remake": _remake,
}  # fmt: skip


def judge(job: DeltaJob, *, gaps_first: bool, clocks_agree: bool) -> None:
    """Raises WrongAtRestError where the findings differ from those of a lake without history over the same events."""
    for name, rows in list(job.to_ingest.items()):
        _ingest(job, {"file": name, "rows": rows})
    lake, period = job.lake, window_of(*job.period)
    steps = [lambda: catch_up.catch_up(lake, job.selection), lambda: KINDS["fill_gaps"](job, {"window": job.period})]
    for step in steps[::-1] if gaps_first else steps:
        step()
    events = {t: str(job.folder / "lake" / t) for t in REQUIRED_EVENT_TABLES}
    fresh = lake_in(job.spark, job.folder / f"fresh{job.world.time}", tables=events)
    fresh.create()
    backfill(fresh, job.selection, period, chunk=timedelta(days=30))
    ids = {d.id for d in job.selection.detections}
    actual, expected = ([f for f in all_findings(of) if f["detection_id"] in ids] for of in (lake, fresh))
    job.compared += len(expected)
    if actual != expected:
        lost = [f["finding_id"] for f in expected if f not in actual]
        raise WrongAtRestError(f"lost: {lost}; too many: {[f['finding_id'] for f in actual if f not in expected]}")
    if not clocks_agree:
        return
    if gaps := [g for g in gaps_of(lake, job.selection, period, CLOCK_START) if g.why != "source had no rows"]:
        raise WrongAtRestError(f"gaps lists {gaps} after they were filled")
    if again := catch_up.catch_up(lake, job.selection).reports:
        raise WrongAtRestError(f"catch-up finds {[str(r.window) for r in again]} after it was repeated")


def _step(text: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def paused(*args: Any, **kwargs: Any) -> Any:
        Current.world.pause(text)
        return function(*args, **kwargs)

    return paused


# Functions that read or write tables, and the text of their step.
_STEPS = {
    (Lake, "version"): "read the version of a table",
    (detect, "read_events"): "read the versions of events",
    (detect, "evaluate"): "evaluate",
    (detect, "save_state"): "save the state",
    (detect, "load_state"): "load the state",
    (write, "collect_at_most"): "collect findings",
    (write, "_overwrite"): "begin a transaction on findings",
    (findings_history, "_commits"): "read the history of findings",
    (known_runs, "run_attempts"): "read runs",
    (recorder, "append_runs"): "append to runs",
    (catch_up, "changed_events"): "read the changes of events",
    (late_data, "_unread_cells"): "read the affected times",
    (resume, "changed_dates"): "read the changed dates",
    (ingest, "_add"): "commit merged rows",
    (table_upkeep, "optimize"): "merge files",
    (table_upkeep, "vacuum"): "vacuum",
}
# As on the model: clocks, ids and pools, and reads in one thread.
_AS_ON_THE_MODEL = [
    (m, name)
    for m, name in REPLACED
    if name in ("run_concurrently", "ThreadPoolExecutor", "as_completed") or m in (retry, recorder)
]
REPLACED_ON_DELTA: dict[tuple[Any, str], Any] = {
    **{key: REPLACED[key] for key in _AS_ON_THE_MODEL if key not in _STEPS},
    **{(m, name): _step(text, getattr(m, name)) for (m, name), text in _STEPS.items()},
}


def run_on_delta(
    schedule: Schedule, spark: SparkSession, folder: Path, choice: Choice, log: Callable[[str], None] | None = None
) -> tuple[str | None, int]:
    """Runs a schedule on a new lake in a folder; returns what is wrong, or None, and how many findings were compared.

    `REPLACED_ON_DELTA` must be in place.
    """
    job = DeltaJob(World(Scheduler(choice, log)), spark=spark, folder=folder, period=_period(schedule))
    Current.world = job.world
    job.lake.create()
    return run_rounds(schedule, job, judge), job.compared


def _period(schedule: Schedule) -> tuple[int, int]:
    """Returns the first and the last time of all windows of a schedule."""
    named = [c.values["window"] for r in schedule.rounds for _, c in r.commands if "window" in c.values]
    return min((w[0] for w in named), default=0), max((w[1] for w in named), default=24 * 60)
