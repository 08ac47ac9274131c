"""Makes a schedule of a seed. Times lie at a few spots, so that windows, events and late rows hit each other."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from simulation.rules import DAY, Connection, Event, ProcessEvent
from simulation.schedule import CRITICAL, Command, Round, Schedule

_DAYS = (0, 1, 5)  # a backfill skips by dates: day 5 is out of reach of the others
_HOURS = (0, 1, 10, 11, 12, 22, 23)
_WEIGHTS = {
    "detect": 10, "backfill": 5, "catch_up": 7, "fill_gaps": 3, "ingest": 7, "append": 2, "delete": 3, "maintain": 2,
    "edit": 1, "exclude": 1, "restore": 1, "remake": 1,
}  # fmt: skip
# Rounds in which several runs and a change are about one hour: there the races are.
_RUNS = {"detect": 6, "backfill": 2, "catch_up": 5, "fill_gaps": 2}
_CHANGES = {"ingest": 5, "append": 3, "delete": 3, "edit": 1, "exclude": 1, "restore": 1, "maintain": 1}
_NOT_WITH_RETENTION = (
    "edit",
    "exclude",
    "restore",
    "delete",
    "remake",
)  # they take findings away that retention leaves


_EXPIRE = (1, 2, 6)  # days that retention deletes


@dataclass
class _Generator:
    rng: random.Random
    share_crowded: float
    share_killed: float
    has_retention: bool
    spots: list[int]
    chunks: tuple[int, ...]
    has_clocks: bool
    rows: list[tuple[str, Event]] = field(default_factory=list)
    files: int = 0
    crowded: int | None = None
    expire: int = 1  # of the round's first upkeep; the next ones delete other days
    upkeeps: int = 0

    def kinds(self, number: int) -> list[str]:
        """Returns the kinds of a round's commands; of the first round a file, and perhaps a run over it."""
        rng = self.rng
        self.crowded, self.expire = None, rng.choice(_EXPIRE)
        if number == 0:
            return ["ingest", rng.choice(("backfill", "detect", "fill_gaps"))][: rng.choice((1, 2, 2))]
        if rng.random() >= self.share_crowded:
            kinds = self.draw(_WEIGHTS, rng.choice((1, 2, 2, 3, 4)))
            return ["remake"] if "remake" in kinds else kinds  # a table is dropped while nothing works
        self.crowded = rng.choice(self.spots)
        kinds = self.draw(_RUNS, rng.choice((1, 2, 2, 3))) + self.draw(_CHANGES, rng.choice((1, 1, 2)))
        rng.shuffle(kinds)
        return kinds

    def draw(self, weights: dict[str, int], count: int) -> list[str]:
        """Returns kinds by their weights."""
        possible = {k: w for k, w in weights.items() if not (self.has_retention and k in _NOT_WITH_RETENTION)}
        if self.has_retention and "maintain" in possible:
            possible["maintain"] += 4
        return self.rng.choices(list(possible), list(possible.values()), k=count)

    def spot(self) -> int:
        """Returns a time; in a crowded round the same one for most commands."""
        if self.crowded is not None and self.rng.random() < 0.9:
            return self.crowded
        return self.rng.choice(self.spots)

    def command(self, kind: str) -> Command:
        rng = self.rng
        kill_at = self.step() if rng.random() < self.share_killed else None
        fail_at = self.step() if rng.random() < self.share_killed / 2 else None
        clock = rng.choice((-600, -60, 0, 0, 60, 600)) if self.has_clocks else 0
        return Command(kind, self.values(kind), clock, kill_at, fail_at)

    def step(self) -> int | str:
        """Returns a step at which a command dies or fails."""
        return self.rng.randint(1, 30) if self.rng.random() < 0.6 else self.rng.choice(CRITICAL)

    def values(self, kind: str) -> dict[str, Any]:
        rng = self.rng
        only: dict[str, Any] = {"only": rng.choice(("A", "B"))} if rng.random() < 0.15 else {}
        if self.has_retention and rng.random() < 0.2:
            only["forgets_retention"] = True
        if kind == "detect":
            return {"window": self.window(), **only}
        if kind == "backfill":
            start = self.spot() // DAY * DAY
            values = {"window": (start, start + rng.choice((1, 2)) * DAY), "chunk": rng.choice(self.chunks)}
            return {**values, "parallel": rng.choice((1, 1, 2)), **only}
        if kind == "catch_up":
            return only
        if kind == "fill_gaps":
            return {"parallel": rng.choice((1, 2)), **only} | ({"window": self.window()} if rng.random() < 0.7 else {})
        if kind == "ingest":
            return self.new_file()
        if kind in ("append", "delete"):
            table = rng.choice(("process_events", "network_events"))
            known = [row for of, row in self.rows if of == table]
            if self.crowded is not None:
                known = [row for row in known if abs(row.minute - self.crowded) <= 60] or known
            if kind == "append" and rng.random() < 0.5:
                known = [self.event(table)]
            return {"table": table, "rows": tuple(rng.sample(known, min(len(known), rng.choice((1, 2)))))}
        if kind == "maintain":
            self.upkeeps += 1
            expire = _EXPIRE[(_EXPIRE.index(self.expire) + self.upkeeps) % len(_EXPIRE)]
            return {"expire": expire} if self.has_retention and rng.random() < 0.7 else {}
        if kind == "edit":
            return {"detection": rng.choice("AB")}
        if kind == "remake":
            return {"table": rng.choice(("findings", "findings", "process_events", "network_events"))}
        if kind == "restore":
            table = rng.choice(("findings", "findings", "process_events", "network_events"))
            return {"table": table, "back": rng.choice((1, 1, 2, 4))}
        return {}

    def new_file(self) -> dict[str, Any]:
        rng = self.rng
        if self.files and rng.random() < 0.1:  # the same file once more
            return {**self.file, "again": rng.random() < 0.5}
        self.files += 1
        tables = rng.choices(("process_events", "network_events"), k=rng.randint(1, 5))
        rows = [self.event(t) for t in tables]
        self.file = {"file": f"f{self.files}", "rows": tuple(rows + rows[: rng.random() < 0.2])}
        return self.file

    def event(self, table: str) -> Event:
        rng = self.rng
        minute = self.spot() + rng.choice((0, 5, 30, 45, -60))
        minute, key = max(0, minute), rng.randrange(2)
        row: Event = Connection(minute, key, rng.choice((80, 443)))
        if table == "process_events":
            kind = rng.choice(("start", "start", "start", "end"))
            row = ProcessEvent(minute, key, kind, rng.choice("xyyz") if kind == "start" else "", rng.randrange(2))
        self.rows.append((table, row))
        return row

    def window(self) -> tuple[int, int]:
        rng, spot = self.rng, self.spot()
        shape = rng.random()
        if shape < 0.5:
            return spot, spot + 60
        if shape < 0.7:
            return spot // DAY * DAY, spot // DAY * DAY + DAY
        start = max(0, spot - rng.choice((0, 30, 60)))
        return start, start + rng.choice((60, 120, 180))


def generate(seed: int, *, crowded: float = 0.65, killed: float = 0.2, is_small: bool = False) -> Schedule:
    """Returns the schedule of a seed: first a file and a run over it, then one to four rounds of commands at once.

    `crowded` is the share of the rounds in which all commands are about one hour, `killed` that of commands that die.
    `is_small`: of one day, few rounds and large chunks, as real tables need; without retention.
    """
    rng = random.Random(seed)
    has_retention = rng.random() < 0.1 and not is_small
    days = rng.sample(_DAYS, 1 if is_small else rng.choice((1, 1, 2)))
    spots = [d * DAY + h * 60 for d in days for h in rng.sample(_HOURS, rng.choice((1, 2, 3)))]
    dies = killed if rng.random() < 0.6 else 0
    chunks = (720, DAY) if is_small else (180, 360, DAY)
    made = _Generator(rng, crowded, dies, has_retention, spots, chunks, rng.random() < 0.3)
    count = 0
    rounds = []
    for n in range(rng.choice((1, 2) if is_small else (1, 2, 2, 3, 3, 4)) + 1):
        named = []
        for kind in made.kinds(n):
            count += 1
            named.append((f"c{count:02}", made.command(kind)))
        rounds.append(Round(tuple(named), is_judged=rng.random() < 0.3))
    # Findings that the driver does not collect are computed by their commit: retention may delete events before it.
    many = rng.random() < 0.1 and not has_retention
    rounds[-1] = Round(rounds[-1].commands, is_judged=True)
    return Schedule(
        seed,
        tuple(rounds),
        gaps_first=rng.random() < 0.3,
        many_findings=many,
        has_retention=has_retention,
    )
