"""The made-up fleet while its records are written: machines, free process ids, each machine's log, known answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from procnet.demo.sysmon import (
    Command,
    Machine,
    Process,
    Raw,
    Remote,
    canonical_guid,
    canonical_host,
    canonical_ip,
    moment,
    security_start,
    sysmon_connection,
    sysmon_end,
    sysmon_start,
)


@dataclass(frozen=True)
class Answer:
    """A finding that the msiexec detection must give; columns of `contract.FINDINGS`, and the scenario it is from."""

    host: str
    process_id: int | None
    process_guid: str | None
    process_time: datetime | None
    event_time: datetime
    dest_ip: str
    dest_port: int
    attribution: str
    scenario: str
    dest_name: str | None = None
    dest_name_by: str | None = None
    flow_uid: str | None = None


@dataclass(frozen=True)
class Decoy:
    """A connection that resembles one of msiexec's and must not be found."""

    host: str
    event_time: datetime
    dest_ip: str
    dest_port: int
    scenario: str


@dataclass(frozen=True)
class Defect:
    """What is wrong with a record: `fields` to overwrite, `late` (ingested after all others), number of `copies`."""

    fields: Raw = field(default_factory=dict)
    late: bool = False
    copies: int = 1


INTACT = Defect()


@dataclass(frozen=True)
class Connection:
    """A logged connection, as it was: queries and flows follow from it. `answer` is the index of its answer."""

    process: Process
    at: int
    remote: Remote
    source_port: int
    inbound: bool = False
    answer: int | None = None


@dataclass(frozen=True)
class Entry:
    """One record in a machine's log; `at` is its time in milliseconds since 1970."""

    at: int
    record: Raw
    late: bool = False
    copies: int = 1


@dataclass
class FleetLog:
    """All machines and their logs while the fleet is made. `rng` is the source of random numbers for all but names and
    flows.

    `ids` are the free process ids of each machine; `shells` and `services` are each machine's explorer.exe and
    services.exe, the parents of the others.
    """

    rng: Random
    machines: tuple[Machine, ...]
    ids: dict[Machine, list[int]]
    entries: dict[Machine, list[Entry]]
    connections: dict[Machine, list[Connection]]
    shells: dict[Machine, Process] = field(default_factory=dict)
    services: dict[Machine, Process] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    decoys: list[Decoy] = field(default_factory=list)
    processes: int = 0

    def take_id(self, *machines: Machine) -> int:
        """Removes and returns a process id that is free on all of these machines, so that one scenario owns it."""
        free = set(self.ids[machines[0]]).intersection(*[self.ids[m] for m in machines[1:]])
        taken = self.rng.choice(sorted(free))
        for machine in machines:
            self.ids[machine].remove(taken)
        return taken

    def process(
        self, machine: Machine, process_id: int, command: Command, start: int, parent: Process | None = None
    ) -> Process:
        """A process with a new guid, built as Sysmon builds it: machine, start in seconds, counter. Logs nothing."""
        self.processes += 1
        seconds = start // 1_000
        parts = f"{seconds & 0xFFFF:04x}-{seconds >> 16:04x}-{self.processes & 0xFFFF:04x}-{self.processes:012x}"
        guid = f"{{{machine.guid_part}-{parts}}}"
        user = command.user or machine.user
        return Process(machine, process_id, guid, command.image, command.line, user, start, parent)

    def write(self, machine: Machine, at: int, record: Raw, defect: Defect = INTACT) -> None:
        """Logs a record with its defect."""
        entry = Entry(at, record | defect.fields, defect.late, defect.copies)
        self.entries[machine].append(entry)

    def write_start(self, p: Process, defect: Defect = INTACT) -> Process:
        """Logs the start of a process; on a machine with two sensors by both, a few milliseconds apart, either first.

        Returns the process.
        """
        self.write(p.machine, p.start, sysmon_start(p), defect)
        if p.machine.two_sensors and not defect.fields:
            at = p.start + self.rng.randint(-8, 40)
            self.write(p.machine, at, security_start(p, at), Defect(late=defect.late))
        return p

    def write_end(self, p: Process, at: int) -> None:
        """Logs the end of a process."""
        self.write(p.machine, at, sysmon_end(p, at))


@dataclass(frozen=True)
class Scene:
    """One run of a scenario: on a machine, around the moment `at` (milliseconds since 1970), for the `turn`-th time."""

    log: FleetLog
    scenario: str
    machine: Machine
    at: int
    turn: int

    @property
    def rng(self) -> Random:
        """The fleet's random numbers."""
        return self.log.rng

    def found(
        self,
        p: Process,
        at: int,
        remote: Remote,
        attribution: str,
        defect: Defect = INTACT,
        *,
        inbound: bool = False,
    ) -> None:
        """Logs a connection that must be found, with this attribution."""
        record = self._connect(p, at, remote, defect, inbound=inbound, answer=len(self.log.answers))
        is_attributed = attribution in ("guid", "host_pid")
        self.log.answers.append(
            Answer(
                host=canonical_host(record),
                process_id=p.process_id,
                process_guid=canonical_guid(p.guid if is_attributed else record["ProcessGuid"]),
                process_time=moment(p.start) if is_attributed else None,
                event_time=moment(at),
                dest_ip=canonical_ip(record["DestinationIp"]),
                dest_port=remote.port,
                attribution=attribution,
                scenario=self.scenario,
            )
        )

    def ignored(self, p: Process, at: int, remote: Remote, defect: Defect = INTACT) -> None:
        """Logs a connection that must not be found."""
        record = self._connect(p, at, remote, defect)
        ip = canonical_ip(record["DestinationIp"])
        self.log.decoys.append(Decoy(canonical_host(record), moment(at), ip, remote.port, self.scenario))

    def _connect(
        self,
        p: Process,
        at: int,
        remote: Remote,
        defect: Defect,
        *,
        inbound: bool = False,
        answer: int | None = None,
    ) -> Raw:
        """Logs a connection and returns its record."""
        port = self.rng.randrange(49_152, 65_536)
        record = sysmon_connection(p, at, remote, port, inbound=inbound) | defect.fields
        self.log.write(p.machine, at, record, Defect(late=defect.late, copies=defect.copies))
        self.log.connections[p.machine].append(Connection(p, at, remote, port, inbound, answer))
        return record
