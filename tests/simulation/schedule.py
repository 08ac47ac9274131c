"""A schedule: commands in rounds, what they do, when they die, and which one goes on at which step. Plain values."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from simulation.scheduler import Choice, Task

# Steps between which a run has computed findings and is not recorded: there most races are.
CRITICAL = ("begin a transaction", "commit to", "read the history", "append to runs")


@dataclass(frozen=True)
class Command:
    """A command of one round. `clock` is how many minutes its machine's clock is ahead of the true time."""

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    clock: int = 0
    kill_at: int | str | None = None
    fail_at: int | str | None = None

    def __str__(self) -> str:
        words = [self.kind, *(f"{k}={v}" for k, v in self.values.items())]
        words += [f"{k}={v}" for k in ("clock", "kill_at", "fail_at") if (v := getattr(self, k))]
        return " ".join(words)


@dataclass(frozen=True)
class Round:
    """Commands that run at once. `is_judged`: then all comes to rest and the findings are compared."""

    commands: tuple[tuple[str, Command], ...]  # name -> command; names are unique in the schedule
    is_judged: bool


@dataclass(frozen=True)
class Schedule:
    """Rounds one after the other. `switches`: the step at which the named task goes on instead of the current one.

    `gaps_first`: at rest the gaps are filled before catch-up; `many_findings`: the driver collects none before it
    commits; `has_retention`: `maintain` may delete events.
    """

    seed: int
    rounds: tuple[Round, ...]
    switches: Mapping[str, str] = field(default_factory=dict)
    gaps_first: bool = False
    many_findings: bool = False
    has_retention: bool = False

    def lines(self) -> list[str]:
        """Returns the schedule as text, one command a line."""
        flags = [f for f in ("gaps_first", "many_findings", "has_retention") if getattr(self, f)]
        found = [" ".join([f"seed {self.seed}", *flags])]
        for n, one in enumerate(self.rounds):
            found += [f"round {n}{' (judged)' if one.is_judged else ''}"]
            found += [f"  {name}: {command}" for name, command in one.commands]
        return [*found, f"switches: {dict(self.switches)}"]

    def without(self, names: set[str]) -> Schedule:
        """Returns the schedule without some of its commands."""
        rounds = (replace(r, commands=tuple(c for c in r.commands if c[0] not in names)) for r in self.rounds)
        return replace(self, rounds=tuple(r for r in rounds if r.commands or r.is_judged))

    def replacing(self, name: str, command: Command) -> Schedule:
        """Returns the schedule with another command of the same name."""
        rounds = (
            replace(r, commands=tuple((n, command if n == name else c) for n, c in r.commands)) for r in self.rounds
        )
        return replace(self, rounds=tuple(rounds))


class RandomChoice:
    """Chooses at random, and records where it switched.

    In half of the schedules any task may go on at any step, often or seldom. In the others each task has a priority,
    and one that loses it waits until all others have ended: so slow runs are found that a coin does not find
    (Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010).
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._often = self._rng.choice((0.03, 0.1, 0.3, 0.8))
        self._demotes = self._rng.choice((None, None, 0.03, 0.06, 0.12))
        self._priorities: dict[str, float] = {}
        self.switches: dict[str, str] = {}

    def __call__(self, current: Task | None, ready: list[Task], at: str, step: str) -> Task:
        default = current or ready[0]
        chosen = default
        if self._demotes is not None:
            chosen = self._by_priority(current, ready, step)
        elif current is None or (len(ready) > 1 and self._rng.random() < self._often):
            chosen = ready[int(self._rng.random() * len(ready))]
        if chosen is not default:
            self.switches[at] = chosen.name
        return chosen

    def _by_priority(self, current: Task | None, ready: list[Task], step: str) -> Task:
        for task in ready:
            self._priorities.setdefault(task.name, self._rng.random())
        demotes = self._demotes * (4 if step.startswith(CRITICAL) else 1)
        if current is not None and self._rng.random() < demotes:
            self._priorities[current.name] = min(self._priorities.values()) - 1
        return max(ready, key=lambda t: self._priorities[t.name])


def recorded_choice(switches: Mapping[str, str]) -> Choice:
    """Returns the choice that switches where a schedule says so; else the current task, or the first one, goes on."""

    def choose(current: Task | None, ready: list[Task], at: str, step: str) -> Task:
        wanted = switches.get(at)
        default = current or ready[0]
        return default if wanted is None else next((t for t in ready if t.name == wanted), default)

    return choose
