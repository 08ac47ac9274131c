"""A made-up fleet with known answers: raw records of the endpoints and of one network sensor, and what the msiexec
detection must find in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from random import Random

from procnet.demo import programs
from procnet.demo.background import write_background
from procnet.demo.files import FleetFiles, encode
from procnet.demo.names import expected_name, queries_of
from procnet.demo.scenarios import SCENARIOS
from procnet.demo.scene import Answer, Decoy, FleetLog, Scene
from procnet.demo.sensor import flows_of
from procnet.demo.sysmon import HOUR, MINUTE, SYSTEM, Command, Machine, Remote, millis_of, moment, sysmon_connection
from procnet.errors import UsageError

SOURCE = "windows_flat"
SENSOR_SOURCE = "zeek_conn"
# Few ids, so that each is often reused, and is in use on many machines at the same time.
_IDS = range(2_000, 2_000 + 4 * 110, 4)


@dataclass(frozen=True)
class Fleet:
    """What `make_fleet` wrote.

    `files` of the endpoints (SOURCE) in the order in which to ingest them, late records last; `sensor_files` of the
    network sensor (SENSOR_SOURCE). Connections lie in `[start, end)`; processes may have started before. `counts`:
    lines of the endpoints, distinct events by table, duplicates, quarantined and late lines, lines by event id.
    """

    files: tuple[Path, ...]
    sensor_files: tuple[Path, ...]
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
    """Writes the raw records of a fleet into `folder` as JSON lines (.gz): its network sensor's into `zeek` there.

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
    files = FleetFiles(folder, begin, hours)
    rng = Random(f"names and flows, {seed}")  # of their own: they change nothing in the other records
    _write_unusable(files, log, begin)
    for machine in log.machines:
        write_background(log, machine, begin, hours)
        entries = log.entries.pop(machine)
        files.write(entries, log.rng)
        _write_names_and_flows(files, log, machine, rng, first_number=len(entries) + 1)
    endpoint_files, sensor_files = files.close()
    return Fleet(
        files=endpoint_files,
        sensor_files=sensor_files,
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
    log = FleetLog(
        rng,
        machines,
        ids={m: list(_IDS) for m in machines},
        entries={m: [] for m in machines},
        connections={m: [] for m in machines},
    )
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


def _write_names_and_flows(
    files: FleetFiles, log: FleetLog, machine: Machine, rng: Random, *, first_number: int
) -> None:
    """Writes the DNS queries of one machine, and its flows if the sensor sees the machine: it sees every second one.

    Completes the answers of the machine with them.
    """
    connections = log.connections.pop(machine)
    queries = queries_of(machine, connections, rng)
    is_seen = log.machines.index(machine) % 2 == 1
    flows = flows_of(connections, rng) if is_seen else [None] * len(connections)
    for c, flow in zip(connections, flows, strict=True):
        if c.answer is not None:
            answer = log.answers[c.answer]
            server_name, uid = (flow.server_name, flow.uid) if flow else (None, None)
            name, kind = expected_name(c, answer.process_guid, queries, server_name)
            log.answers[c.answer] = replace(answer, dest_name=name, dest_name_by=kind, flow_uid=uid)
    files.write_queries(queries, rng, first_number)
    files.write_flows([f for f in flows if f is not None], rng)


def _write_unusable(files: FleetFiles, log: FleetLog, begin: int) -> None:
    """Writes two lines that must be quarantined: a record without a time, and one cut in half, as by a full disk."""
    machine = log.machines[0]
    record = sysmon_connection(log.shells[machine], begin, Remote("192.0.2.1", 443), 50_000)
    line = encode(record)
    files.write_unusable(encode({k: v for k, v in record.items() if k not in ("@timestamp", "UtcTime")}))
    files.write_unusable(line[: len(line) // 2])
