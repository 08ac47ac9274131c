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

from procnet.demo import programs as cast
from procnet.demo.background import live
from procnet.demo.scenarios import STORIES
from procnet.demo.scene import Answer, Decoy, Entry, Scene, Stage
from procnet.demo.sysmon import HOUR, MINUTE, SYSTEM, Machine, Remote, millis_of, moment, sysmon_connection
from procnet.errors import UsageError

SOURCE = "windows_flat"
_HOURS_A_FILE = 12
_LATE_SHARE = 0.01
# Few ids, so that they are reused often and every one of them lives on many machines at once.
_IDS = range(2_000, 2_000 + 4 * 110, 4)
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Fleet:
    """What `make_fleet` wrote. `files` are in the order in which to ingest them, the late rows last; connections lie in
    `[start, end)`, processes may have begun before. `counts`: lines, distinct events by table, duplicates, quarantined,
    late, and how often each kind of record was written."""

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
    """Write the raw records of a fleet into `folder` as flat JSON lines (.gz) for the source `windows_flat`.

    The same arguments give the same bytes. Every story of `stories` is told at least twice. Raises UsageError
    where there are fewer than two hosts or no hours, or `start` has no time zone.
    """
    if hosts < 2 or hours < 1 or start.tzinfo is None:
        raise UsageError(
            f"a fleet of {hosts} hosts over {hours} hours from {start.isoformat()} cannot be made",
            hint="take at least 2 hosts and 1 hour, and a start with a time zone: --hosts 20 --hours 4",
        )
    begin = millis_of(start)
    stage = _stage(Random(seed), hosts)
    _tell(stage, begin, hours)
    out = _Files(folder, begin, hours)
    _spoil(out, stage, begin)
    for machine in stage.machines:
        live(stage, machine, begin, hours)
        out.add(stage.log.pop(machine), stage.rng)
    return Fleet(
        files=out.close(),
        start=moment(begin),
        end=moment(begin + hours * HOUR),
        answers=tuple(sorted(stage.answers, key=lambda a: (a.event_time, a.host, a.dest_ip, a.dest_port, a.story))),
        decoys=tuple(sorted(stage.decoys, key=lambda d: (d.event_time, d.host, d.dest_ip, d.dest_port, d.story))),
        counts=dict(sorted(out.counts.items())),
    )


def _stage(rng: Random, hosts: int) -> Stage:
    machines = tuple(_machine(rng, n) for n in range(1, hosts + 1))
    stage = Stage(rng, machines, ids={m: list(_IDS) for m in machines}, log={m: [] for m in machines})
    for m in machines:
        # There since the machine was booted: parents that records name, without a start of their own.
        stage.services[m] = stage.process(m, 712, cast.SERVICES, cast.SERVICES.path, 0, user=SYSTEM)
        stage.shells[m] = stage.process(m, 1_496, cast.EXPLORER, cast.EXPLORER.path, 0)
    return stage


def _machine(rng: Random, n: int) -> Machine:
    name = f"ws-{n:04d}.fleet.example"
    spelling = rng.choice((name, name, "WS-" + name[3:], name.split(".")[0]))
    return Machine(
        name=name,
        spelling=spelling,
        ip=f"10.{1 + n // 62_500}.{n // 250 % 250}.{n % 250 + 1}",
        user=f"FLEET\\{rng.choice(cast.NAMES)}{n}",
        guid_part=f"{rng.getrandbits(32):08x}",
        two_sensors=n % 4 == 1,
        # The sensor's own clock is hours off on some machines; the record time is what counts.
        utc_error=-7 * HOUR if n % 25 == 3 else 0,
    )


def _tell(stage: Stage, begin: int, hours: int) -> None:
    """Tell every story, at least twice, on any machine and at any time that leaves room for it in the period."""
    for story, tell in STORIES.items():
        for turn in range(max(2, len(stage.machines) // 30)):
            at = stage.rng.randint(begin + 10 * MINUTE, begin + hours * HOUR - 10 * MINUTE)
            tell(Scene(stage, story, stage.rng.choice(stage.machines), at, turn))


def _spoil(out: _Files, stage: Stage, begin: int) -> None:
    """Two lines that cannot be used: one without a time, one cut in half, as a disk that ran full leaves it."""
    machine = stage.machines[0]
    record = sysmon_connection(stage.shells[machine], begin, Remote("192.0.2.1", 443), 50_000)
    line = _encode(record)
    out.raw(_encode({k: v for k, v in record.items() if k not in ("@timestamp", "UtcTime")}))
    out.raw(line[: len(line) // 2])


class _Files:
    """The files being written: one for each twelve hours, and one for what comes late."""

    def __init__(self, folder: Path, begin: int, hours: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        cuts = [begin + h * HOUR for h in range(0, hours, _HOURS_A_FILE)]
        self._begin, self._last = begin, len(cuts) - 1
        self._paths = [folder / f"events-{moment(c):%Y%m%dT%H}.jsonl.gz" for c in cuts]
        self._paths.append(folder / f"late-{moment(begin):%Y%m%d}.jsonl.gz")
        # No file name and no clock in the header: the same lines are the same bytes.
        self._raw = [p.open("wb") for p in self._paths]
        self._streams = [gzip.GzipFile("", "wb", 3, raw, mtime=0) for raw in self._raw]
        self.counts: Counter[str] = Counter()

    def add(self, log: list[Entry], rng: Random) -> None:
        """Write one machine's log, numbered in time, in no order: a file's order is not that of time."""
        log.sort(key=lambda e: e.at)
        parts: list[list[str]] = [[] for _ in self._streams]
        for number, entry in enumerate(log, start=1):
            late = entry.late or rng.random() < _LATE_SHARE
            at = max(0, (entry.at - self._begin) // (_HOURS_A_FILE * HOUR))
            lines = parts[-1 if late else min(at, self._last)]
            lines.extend([_encode(entry.record | {"RecordNumber": number}) + "\n"] * entry.copies)
            self._count(entry, late)
        for stream, lines in zip(self._streams, parts, strict=True):
            rng.shuffle(lines)
            stream.write("".join(lines).encode())

    def raw(self, line: str) -> None:
        self._streams[0].write(f"{line}\n".encode())
        self.counts.update(lines=1, quarantined=1)

    def close(self) -> tuple[Path, ...]:
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
