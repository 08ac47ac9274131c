"""A made-up fleet with known answers: raw records of two sensors, and what the msiexec detection must find in them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from random import Random

from procnet.demo import programs
from procnet.demo.background import write_background
from procnet.demo.scenarios import SCENARIOS
from procnet.demo.scene import Answer, Decoy, Entry, FleetLog, Scene
from procnet.demo.sysmon import HOUR, MINUTE, SYSTEM, Command, Machine, Remote, millis_of, moment, sysmon_connection
from procnet.errors import UsageError

SOURCE = "windows_flat"
_HOURS_PER_FILE = 12
_LATE_SHARE = 0.01
# Few ids, so that each is often reused, and is in use on many machines at the same time.
_IDS = range(2_000, 2_000 + 4 * 110, 4)
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Fleet:
    """What `make_fleet` wrote.

    `files` in the order in which to ingest them, late records last. Connections lie in `[start, end)`; processes may
    have started before. `counts`: lines, distinct events by table, duplicates, quarantined and late lines, lines by
    event id.
    """

    files: tuple[Path, ...]
    start: datetime
    end: datetime
    answers: tuple[Answer, ...]
    decoys: tuple[Decoy, ...]
    counts: Mapping[str, int]


def make_fleet(
    folder: Path,
    *,
    hosts: int = 200,
    hours: int = 48,
    seed: int = 7,
    start: datetime = datetime(2026, 3, 2, tzinfo=timezone.utc),
) -> Fleet:
    """Writes the raw records of a fleet into `folder` as JSON lines (.gz) for the source `windows_flat`.

    The same arguments give the same bytes. Each scenario runs at least twice. Raises UsageError for fewer than two
    hosts, fewer than one hour, and a `start` without a time zone.
    """
    if hosts < 2 or hours < 1 or start.tzinfo is None:
        raise UsageError(
            f"a fleet of {hosts} hosts over {hours} hours from {start.isoformat()} cannot be made",
            hint="take at least 2 hosts and 1 hour, and a start with a time zone: --hosts 20 --hours 4",
        )
    begin = millis_of(start)
    log = _new_log(Random(seed), hosts)
    _run_scenarios(log, begin, hours)
    files = _Files(folder, begin, hours)
    _write_unusable(files, log, begin)
    for machine in log.machines:
        write_background(log, machine, begin, hours)
        files.write(log.entries.pop(machine), log.rng)
    return Fleet(
        files=files.close(),
        start=moment(begin),
        end=moment(begin + hours * HOUR),
        answers=tuple(sorted(log.answers, key=_order)),
        decoys=tuple(sorted(log.decoys, key=_order)),
        counts=dict(sorted(files.counts.items())),
    )


def _order(of: Answer | Decoy) -> tuple[datetime, str, str, int, str]:
    return of.event_time, of.host, of.dest_ip, of.dest_port, of.scenario


def _new_log(rng: Random, hosts: int) -> FleetLog:
    machines = tuple(_machine(rng, n) for n in range(1, hosts + 1))
    log = FleetLog(rng, machines, ids={m: list(_IDS) for m in machines}, entries={m: [] for m in machines})
    for m in machines:
        # Running since the machine was booted: records name them as parents, without a start of their own.
        log.services[m] = log.process(m, 712, Command(programs.SERVICES, programs.SERVICES.path, SYSTEM), 0)
        log.shells[m] = log.process(m, 1_496, Command(programs.EXPLORER, programs.EXPLORER.path), 0)
    return log


def _machine(rng: Random, n: int) -> Machine:
    name = f"ws-{n:04d}.fleet.example"
    spelling = rng.choice((name, name, "WS-" + name[3:], name.split(".")[0]))
    return Machine(
        name=name,
        spelling=spelling,
        ip=f"10.{1 + n // 62_500}.{n // 250 % 250}.{n % 250 + 1}",
        user=f"FLEET\\{rng.choice(programs.NAMES)}{n}",
        guid_part=f"{rng.getrandbits(32):08x}",
        two_sensors=n % 4 == 1,
        # The sensor's own clock is hours off on some machines, while the time of the record is right.
        utc_error=-7 * HOUR if n % 25 == 3 else 0,
    )


def _run_scenarios(log: FleetLog, begin: int, hours: int) -> None:
    """Runs each scenario at least twice, on random machines and at random times with ten minutes left on both sides."""
    for name, run in SCENARIOS.items():
        for turn in range(max(2, len(log.machines) // 30)):
            at = log.rng.randint(begin + 10 * MINUTE, begin + hours * HOUR - 10 * MINUTE)
            run(Scene(log, name, log.rng.choice(log.machines), at, turn))


def _write_unusable(files: _Files, log: FleetLog, begin: int) -> None:
    """Writes two lines that must be quarantined: a record without a time, and one cut in half, as by a full disk."""
    machine = log.machines[0]
    record = sysmon_connection(log.shells[machine], begin, Remote("192.0.2.1", 443), 50_000)
    line = _encode(record)
    files.write_unusable(_encode({k: v for k, v in record.items() if k not in ("@timestamp", "UtcTime")}))
    files.write_unusable(line[: len(line) // 2])


class _Files:
    """The files of a fleet: one for each twelve hours, and one for late records."""

    def __init__(self, folder: Path, begin: int, hours: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        cuts = [begin + h * HOUR for h in range(0, hours, _HOURS_PER_FILE)]
        self._begin, self._last = begin, len(cuts) - 1
        self._paths = [folder / f"events-{moment(c):%Y%m%dT%H}.jsonl.gz" for c in cuts]
        self._paths.append(folder / f"late-{moment(begin):%Y%m%d}.jsonl.gz")
        # No file name and no time in the header: the same lines are the same bytes.
        self._raw = [p.open("wb") for p in self._paths]
        self._streams = [gzip.GzipFile("", "wb", 3, raw, mtime=0) for raw in self._raw]
        self.counts: Counter[str] = Counter()

    def write(self, entries: list[Entry], rng: Random) -> None:
        """Writes one machine's records, numbered in order of time, in random order within each file."""
        entries.sort(key=lambda e: e.at)
        parts: list[list[str]] = [[] for _ in self._streams]
        for number, entry in enumerate(entries, start=1):
            late = entry.late or rng.random() < _LATE_SHARE
            at = max(0, (entry.at - self._begin) // (_HOURS_PER_FILE * HOUR))
            lines = parts[-1 if late else min(at, self._last)]
            lines.extend([_encode(entry.record | {"RecordNumber": number}) + "\n"] * entry.copies)
            self._count(entry, late)
        for stream, lines in zip(self._streams, parts, strict=True):
            rng.shuffle(lines)
            stream.write("".join(lines).encode())

    def write_unusable(self, line: str) -> None:
        """Writes a line that is no usable record."""
        self._streams[0].write(f"{line}\n".encode())
        self.counts.update(lines=1, quarantined=1)

    def close(self) -> tuple[Path, ...]:
        """Closes the files and returns their paths."""
        for stream in self._streams:
            stream.close()
        for raw in self._raw:
            raw.close()
        return tuple(self._paths)

    def _count(self, entry: Entry, late: bool) -> None:
        table = "network_events" if entry.record["EventID"] == 3 else "process_events"
        self.counts[table] += 1
        self.counts["lines"] += entry.copies
        self.counts["duplicates"] += entry.copies - 1
        self.counts["late"] += entry.copies if late else 0
        self.counts[f"event id {entry.record['EventID']}"] += entry.copies
