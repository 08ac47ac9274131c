"""Runs a schedule on the model, and shrinks one that fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from procnet.errors import ProcnetError
from procnet.lake import write
from simulation.commands import Job
from simulation.judge import WrongAtRestError, judge
from simulation.lake import SETTINGS, WITH_RETENTION, World
from simulation.rules import findings_of
from simulation.schedule import RandomChoice, Schedule, recorded_choice
from simulation.scheduler import Choice, Killed, Process, Scheduler, StorageError, Task
from simulation.storage import Current, replaced

EXPECTED_ERRORS = (ProcnetError, StorageError, Killed)


@dataclass(frozen=True)
class Failure:
    """A schedule that leaves something wrong, with its switches."""

    schedule: Schedule
    problem: str


def run_seed(seed: int, generate: Callable[[int], Schedule]) -> Failure | None:
    """Runs the schedule of a seed; switches are chosen at random and recorded."""
    schedule, choice = generate(seed), RandomChoice(seed)
    problem = run_schedule(schedule, choice)
    return None if problem is None else Failure(replace(schedule, switches=choice.switches), problem)


def run_schedule(
    schedule: Schedule, choice: Choice | None = None, log: Callable[[str], None] | None = None
) -> str | None:
    """Runs a schedule on the model; returns what is wrong, or None. `REPLACED` must be in place."""
    scheduler = Scheduler(choice or recorded_choice(schedule.switches), log)
    job = Job(World(scheduler, settings=WITH_RETENTION if schedule.has_retention else SETTINGS))
    job.world.before_deletion = lambda: _preserve(job)
    return run_rounds(schedule, job, judge)


def run_rounds(schedule: Schedule, job: Job, judge: Callable[..., None]) -> str | None:
    """Runs the rounds of a schedule, and judges where it says so; returns what is wrong, or None."""
    scheduler = job.world.scheduler
    Current.world = job.world
    clocks_agree = all(c.clock == 0 for r in schedule.rounds for _, c in r.commands)
    with replaced({(write, "DRIVER_FINDINGS_LIMIT"): 0 if schedule.many_findings else 10_000}):
        for n, one in enumerate(schedule.rounds):
            scheduler.write(f"-- round {n}")
            tasks: list[Task] = []
            for name, command in one.commands:
                process = Process(name, command.kill_at, command.fail_at, shared={"clock": command.clock})
                tasks.append(scheduler.spawn(process, partial(job.run, command)))
            scheduler.run()
            for task in tasks:
                scheduler.write(f"{task.name} ended: {task.error!r}")
                if task.error is not None and not isinstance(task.error, EXPECTED_ERRORS):
                    return f"{task.name} raised {task.error!r}"
            if one.is_judged:
                try:
                    judge(job, gaps_first=schedule.gaps_first, clocks_agree=clocks_agree)
                except WrongAtRestError as e:
                    return f"after round {n}: {e}"
                except Exception as e:
                    return f"after round {n}: it does not come to rest: {e!r}"
    return None


def _preserve(job: Job) -> None:
    """Remembers the findings that are right before retention deletes their events."""
    tables, selection = job.world.tables, job.selection
    right = findings_of(
        tables["process_events"].rows, tables["network_events"].rows, selection.detections, selection.exclusions
    )
    job.preserved |= set(tables["findings"].rows) & set(right)


def shrink(failure: Failure) -> Failure:
    """Returns a smaller schedule that fails too: without commands, rows, kills and switches that it does not need."""
    best = failure
    while True:
        smaller = next((f for s in _smaller(best.schedule) if (f := _fails(s)) is not None), None)
        if smaller is None:
            return best
        best = smaller


def _without_row(schedule: Schedule, file: str | None, name: str, row: object) -> Schedule:
    """Returns the schedule without a row of one command, or of all commands that ingest the file."""
    for one in schedule.rounds:
        for other, command in one.commands:
            values = command.values
            if other == name or (file is not None and values.get("file") == file):
                rows = tuple(r for r in values["rows"] if r != row)
                schedule = schedule.replacing(other, replace(command, values={**values, "rows": rows}))
    return schedule


def _fails(schedule: Schedule) -> Failure | None:
    problem = run_schedule(schedule)
    return None if problem is None else Failure(schedule, problem)


def _smaller(schedule: Schedule):
    """Yields schedules with one thing less."""
    names = [name for r in schedule.rounds for name, _ in r.commands]
    for name in names:
        yield schedule.without({name})
    for i, one in enumerate(schedule.rounds[:-1]):
        if one.is_judged:
            rounds = (*schedule.rounds[:i], replace(one, is_judged=False), *schedule.rounds[i + 1 :])
            yield replace(schedule, rounds=rounds)
    switches = list(schedule.switches.items())
    half = len(switches) // 2
    if half > 1:
        yield replace(schedule, switches=dict(switches[:half]))
        yield replace(schedule, switches=dict(switches[half:]))
    for key, _ in switches:
        yield replace(schedule, switches={k: v for k, v in switches if k != key})
    for one in schedule.rounds:
        for name, command in one.commands:
            for smaller in (replace(command, kill_at=None), replace(command, fail_at=None), replace(command, clock=0)):
                if smaller != command:
                    yield schedule.replacing(name, smaller)
            values = command.values
            if values.get("parallel", 1) > 1:
                yield schedule.replacing(name, replace(command, values={**values, "parallel": 1}))
            for row in dict.fromkeys(values.get("rows", ())):
                yield _without_row(schedule, values.get("file"), name, row)
    for flag in ("gaps_first", "many_findings", "has_retention"):
        if getattr(schedule, flag):
            yield replace(schedule, **{flag: False})
