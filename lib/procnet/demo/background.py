"""What a machine of the made-up fleet does all day: programs that start, connect, end, and hand their ids on."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

from procnet.demo import programs as cast
from procnet.demo.scene import Stage
from procnet.demo.sysmon import (
    HOUR,
    MINUTE,
    NO_GUID,
    NO_IMAGE,
    SECOND,
    SYSTEM,
    Image,
    Machine,
    Remote,
    sysmon_connection,
)


@dataclass(frozen=True)
class Habit:
    """A program: how often (of 100 starts), how long it lives (seconds), how often it connects, and where to."""

    share: int
    image: Image
    command_line: str
    life: tuple[int, int]
    connections: tuple[int, int]
    remotes: tuple[Remote, ...]
    user: str | None = None


_ALL = cast.OUTSIDE + cast.INSIDE
_HABITS = (
    Habit(22, cast.CHROME, f'"{cast.CHROME.path}"', (60, 14_400), (2, 8), cast.OUTSIDE),
    Habit(8, cast.EDGE, f'"{cast.EDGE.path}" --no-startup-window', (60, 7_200), (1, 6), cast.OUTSIDE),
    Habit(18, cast.SVCHOST, f"{cast.SVCHOST.path} -k netsvcs -p -s BITS", (120, 28_800), (0, 4), _ALL, SYSTEM),
    Habit(6, cast.OUTLOOK, f'"{cast.OUTLOOK.path}"', (600, 28_800), (2, 7), _ALL),
    Habit(6, cast.WORD, f'"{cast.WORD.path}" /n report.docx', (300, 7_200), (0, 3), cast.INSIDE),
    Habit(8, cast.UPDATER, f'"{cast.UPDATER.path}" --check', (2, 40), (1, 3), cast.OUTSIDE, SYSTEM),
    Habit(6, cast.PYTHON, "python.exe sync.py --once", (5, 600), (1, 5), _ALL),
    Habit(10, cast.POWERSHELL, "powershell.exe -NoProfile -File inventory.ps1", (2, 90), (0, 1), cast.INSIDE),
    Habit(16, cast.CONHOST, f"{cast.CONHOST.path} 0x4", (2, 90), (0, 0), cast.INSIDE),
)
_SHARES = [h.share for h in _HABITS]
_STARTS_PER_HOUR = 3.3


def live(stage: Stage, machine: Machine, start: int, hours: int) -> None:
    """Log the daily life of one machine over `hours` from `start`; a process id is free again 10 s after its process.

    One start in six was not recorded and one end in eight; one connection in thirty lost its guid, and a few all that
    names a process, as in real records.
    """
    rng, free, busy = stage.rng, stage.ids[machine], list[tuple[int, int]]()
    stop = start + hours * HOUR
    for at in _starts(rng, start, hours):
        while busy and busy[0][0] <= at:
            free.append(heappop(busy)[1])
        if not free:
            continue
        process_id = free.pop(int(rng.random() * len(free)))
        habit = rng.choices(_HABITS, _SHARES)[0]
        life = rng.randint(*habit.life) * SECOND
        heappush(busy, (at + life + 10 * SECOND, process_id))
        parent = stage.services[machine] if habit.user else stage.shells[machine]
        p = stage.process(machine, process_id, habit.image, habit.command_line, at, user=habit.user, parent=parent)
        if rng.random() > 0.16:
            stage.begin(p)
        if rng.random() > 0.12 and at + life < stop:
            stage.end(p, at + life)
        for _ in range(rng.randint(*habit.connections)):
            connected = at + 20 + int(rng.random() * min(life, 45 * MINUTE))
            if connected >= stop:
                continue
            remote = habit.remotes[int(rng.random() * len(habit.remotes))]
            record = sysmon_connection(p, connected, remote, 49_152 + int(rng.random() * 16_384))
            luck = rng.random()
            if luck < 0.03:
                record |= NO_GUID
                if luck < 0.01:
                    record |= NO_IMAGE
                if luck < 0.005:
                    record["ProcessId"] = "0"
            stage.write(machine, connected, record, copies=2 if luck > 0.998 else 1)


def _starts(rng: Random, start: int, hours: int) -> list[int]:
    """Moments in the period, three times as many in an hour of the working day (UTC) as in one of the night."""
    weights = [3 if 8 <= (start // HOUR + h) % 24 < 18 else 1 for h in range(hours)]
    chosen = rng.choices(range(hours), weights, k=max(1, round(hours * _STARTS_PER_HOUR)))
    return sorted(start + h * HOUR + int(rng.random() * HOUR) for h in chosen)
