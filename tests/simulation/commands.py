"""Runs a command of a schedule against the model: the package's own code, or what an owner of the lake does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.runs.gaps import gaps_of
from procnet.runs.ingest import ingest
from procnet.runs.maintain import maintain
from procnet.runs.selection import Selection
from simulation.lake import KEEP_EVENTS, SETTINGS, ModelLake, World
from simulation.rules import BASE, DETECTIONS, EXCLUSION, ModelDetection, edited, window_of
from simulation.schedule import Command
from simulation.storage import CLOCK_START
from simulation.tables import Table


@dataclass
class Job:
    """The job of one lake: what its configuration selects now, the files that it shall ingest, and what was removed."""

    world: World
    detections: dict[str, ModelDetection] = field(default_factory=lambda: dict(DETECTIONS))
    is_excluding: bool = False
    to_ingest: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # file -> rows; not read to its end yet
    ingested: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    copies: set[Any] = field(default_factory=set)  # rows that another writer has appended: they may be there twice
    removed: set[Any] = field(default_factory=set)  # rows that the owner of the lake has deleted
    preserved: set[Any] = field(default_factory=set)  # findings whose events retention has deleted since

    @property
    def lake(self) -> ModelLake:
        return ModelLake(self.world, self.world.settings)

    @property
    def selection(self) -> Selection:
        return self.select(None)

    def select(self, only: str | None) -> Selection:
        """What a command evaluates: all detections, or those of these names."""
        detections = tuple(d for name, d in self.detections.items() if only is None or name in only)
        return Selection(detections, (EXCLUSION,) if self.is_excluding else ())  # type: ignore[arg-type]

    def run(self, command: Command) -> None:
        """Runs a command in the running task."""
        KINDS[command.kind](self, command.values)


def _lake(job: Job, values: Mapping[str, Any]) -> ModelLake:
    """The lake as the command's configuration has it: with `forgets_retention`, without `keep_events`."""
    return ModelLake(job.world, SETTINGS) if values.get("forgets_retention") else job.lake


def _detect(job: Job, values: Mapping[str, Any]) -> None:
    detect(_lake(job, values), job.select(values.get("only")), window_of(*values["window"]))


def _backfill(job: Job, values: Mapping[str, Any]) -> None:
    chunk = timedelta(minutes=values["chunk"])
    backfill(
        _lake(job, values),
        job.select(values.get("only")),
        window_of(*values["window"]),
        chunk=chunk,
        parallel=values["parallel"],
    )


def _catch_up(job: Job, values: Mapping[str, Any]) -> None:
    catch_up(_lake(job, values), job.select(values.get("only")))


def fill_gaps(job: Job, values: Mapping[str, Any]) -> None:
    """`procnet backfill --gaps`."""
    selection = job.select(values.get("only"))
    period = window_of(*values["window"]) if "window" in values else None
    if gaps := gaps_of(_lake(job, values), selection, period, CLOCK_START):
        backfill(_lake(job, values), selection, *(g.window for g in gaps), parallel=values.get("parallel", 1))


def ingest_file(job: Job, values: Mapping[str, Any]) -> None:
    """Ingests a file, whose rows are in `values`."""
    name, rows = values["file"], values["rows"]
    job.world.files[name] = rows
    if name not in job.ingested:
        job.to_ingest[name] = rows
    ingest(job.lake, "model", [name], again=values.get("again", False), now=CLOCK_START)
    job.ingested[name] = rows
    job.to_ingest.pop(name, None)


def _append(job: Job, values: Mapping[str, Any]) -> None:
    """Another writer appends rows, among them copies of rows that are there."""
    job.copies |= set(values["rows"])
    job.lake.append(values["table"], values["rows"])


def _delete(job: Job, values: Mapping[str, Any]) -> None:
    job.removed |= set(values["rows"])
    job.world.pause(f"delete rows of {values['table']}")
    job.world.tables[values["table"]].delete(lambda r: r in values["rows"], job.world.time)


def _restore(job: Job, values: Mapping[str, Any]) -> None:
    table = job.world.tables[values["table"]]
    job.world.pause(f"restore {values['table']}")
    to = max(0, table.version - values["back"])
    job.removed |= set(table.rows) - set(table.snapshots[to])
    table.restore(to, job.world.time)


def _remake(job: Job, values: Mapping[str, Any]) -> None:
    """Drops a table and makes it anew; the files that it was made of are ingested again."""
    table = job.world.tables[values["table"]]
    job.world.pause(f"drop {values['table']} and make it anew")
    job.world.tables[values["table"]] = Table(table.name, table.generation + 1)
    job.removed |= set(table.rows)


def _maintain(job: Job, values: Mapping[str, Any]) -> None:
    """With `expire`, as many days after the first event's that retention deletes the events of so many days."""
    if "expire" not in values:
        maintain(job.lake, CLOCK_START + timedelta(minutes=job.world.time))
        return
    maintain(job.lake, BASE + KEEP_EVENTS + timedelta(days=values["expire"]))


def _edit(job: Job, values: Mapping[str, Any]) -> None:
    job.world.pause(f"edit {values['detection']}")
    name = values["detection"]
    job.detections[name] = edited(job.detections[name])


def _exclude(job: Job, values: Mapping[str, Any]) -> None:
    job.world.pause("edit the exclusions")
    job.is_excluding = not job.is_excluding


KINDS: dict[str, Callable[[Job, Mapping[str, Any]], None]] = {
    "detect": _detect,
    "backfill": _backfill,
    "catch_up": _catch_up,
    "fill_gaps": fill_gaps,
    "ingest": ingest_file,
    "append": _append,
    "delete": _delete,
    "restore": _restore,
    "remake": _remake,
    "maintain": _maintain,
    "edit": _edit,
    "exclude": _exclude,
}
