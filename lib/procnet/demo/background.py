"""The daily activity of a machine of the made-up fleet: programs start, connect, end, and their ids are reused."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random

from procnet.demo import programs
from procnet.demo.scene import Connection, Defect, FleetLog
from procnet.demo.sysmon import (
    HOUR,
    MINUTE,
    NO_GUID,
    NO_IMAGE,
    SECOND,
    SYSTEM,
    Command,
    Image,
    Machine,
    Process,
    Raw,
    Remote,
    sysmon_connection,
)


@dataclass(frozen=True)
class Habit:
    """A program in daily use: its share of 100 starts, its runtime in seconds (least, most), its number of connections
    (least, most), and their remote ends."""

    share: int
    command: Command
    runtime: tuple[int, int]
    connections: tuple[int, int]
    remotes: tuple[Remote, ...]


def _command(image: Image, arguments: str = "", user: str | None = None) -> Command:
    return Command(image, f'"{image.path}"{arguments}', user)


_ALL = programs.OUTSIDE + programs.INSIDE
_SVCHOST = Command(programs.SVCHOST, f"{programs.SVCHOST.path} -k netsvcs -p -s BITS", SYSTEM)
_POWERSHELL = Command(programs.POWERSHELL, "powershell.exe -NoProfile -File inventory.ps1")
_HABITS = (
    Habit(22, _command(programs.CHROME), (60, 14_400), (2, 8), programs.OUTSIDE),
    Habit(8, _command(programs.EDGE, " --no-startup-window"), (60, 7_200), (1, 6), programs.OUTSIDE),
    Habit(18, _SVCHOST, (120, 28_800), (0, 4), _ALL),
    Habit(6, _command(programs.OUTLOOK), (600, 28_800), (2, 7), _ALL),
    Habit(6, _command(programs.WORD, " /n report.docx"), (300, 7_200), (0, 3), programs.INSIDE),
    Habit(8, _command(programs.UPDATER, " --check", SYSTEM), (2, 40), (1, 3), programs.OUTSIDE),
    Habit(6, Command(programs.PYTHON, "python.exe sync.py --once"), (5, 600), (1, 5), _ALL),
    Habit(10, _POWERSHELL, (2, 90), (0, 1), programs.INSIDE),
    Habit(16, Command(programs.CONHOST, f"{programs.CONHOST.path} 0x4"), (2, 90), (0, 0), programs.INSIDE),
)
_SHARES = [h.share for h in _HABITS]
_STARTS_PER_HOUR = 3.3


def write_background(log: FleetLog, machine: Machine, start: int, hours: int) -> None:
    """Logs the daily activity of one machine over `hours` from `start`. An id is free again 10 s after its process.

    As in real records, one start in six and one end in eight are missing; one connection in thirty has no guid, and a
    few have nothing that names a process.
    """
    rng, free, busy = log.rng, log.ids[machine], list[tuple[int, int]]()
    stop = start + hours * HOUR
    for at in _starts(rng, start, hours):
        while busy and busy[0][0] <= at:
            free.append(heappop(busy)[1])
        if not free:
            continue
        process_id = free.pop(int(rng.random() * len(free)))
        habit = rng.choices(_HABITS, _SHARES)[0]
        end = at + rng.randint(*habit.runtime) * SECOND
        heappush(busy, (end + 10 * SECOND, process_id))
        parent = log.services[machine] if habit.command.user else log.shells[machine]
        p = log.process(machine, process_id, habit.command, at, parent)
        if rng.random() > 0.16:
            log.write_start(p)
        if rng.random() > 0.12 and end < stop:
            log.write_end(p, end)
        for _ in range(rng.randint(*habit.connections)):
            connected = at + 20 + int(rng.random() * min(end - at, 45 * MINUTE))
            if connected < stop:
                _write_connection(log, p, connected, habit.remotes)


def _write_connection(log: FleetLog, p: Process, at: int, remotes: tuple[Remote, ...]) -> None:
    rng = log.rng
    remote = remotes[int(rng.random() * len(remotes))]
    port = 49_152 + int(rng.random() * 16_384)
    luck = rng.random()
    record = sysmon_connection(p, at, remote, port) | _lost_keys(luck)
    log.write(p.machine, at, record, Defect(copies=2 if luck > 0.998 else 1))
    log.connections[p.machine].append(Connection(p, at, remote, port))


def _lost_keys(luck: float) -> Raw:
    """The keys that the sensor lost: none above 0.03, then the guid, the image too, the process id too."""
    lost: Raw = {}
    if luck < 0.03:
        lost |= NO_GUID
    if luck < 0.01:
        lost |= NO_IMAGE
    if luck < 0.005:
        lost["ProcessId"] = "0"
    return lost


def _starts(rng: Random, start: int, hours: int) -> list[int]:
    """Times of starts in the period: an hour of the working day (UTC) has three times as many as one of the night."""
    weights = [3 if 8 <= (start // HOUR + h) % 24 < 18 else 1 for h in range(hours)]
    chosen = rng.choices(range(hours), weights, k=max(1, round(hours * _STARTS_PER_HOUR)))
    return sorted(start + h * HOUR + int(rng.random() * HOUR) for h in chosen)
