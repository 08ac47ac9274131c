"""Where the fleet's stories play: machines, free process ids, the log of each machine, and what must be found of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from procnet.demo.sysmon import (
    Image,
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
    """A finding that the msiexec detection must give, in the words of `contract.FINDINGS`; `story`: what it tries."""

    host: str
    process_id: int | None
    process_guid: str | None
    process_time: datetime | None
    event_time: datetime
    dest_ip: str
    dest_port: int
    attribution: str
    story: str


@dataclass(frozen=True)
class Decoy:
    """A connection that looks like one of msiexec's and must not be found."""

    host: str
    event_time: datetime
    dest_ip: str
    dest_port: int
    story: str


@dataclass(frozen=True)
class Entry:
    """One record in a machine's log. `late`: it reaches the lake after all others; `copies` are exact."""

    at: int
    record: Raw
    late: bool = False
    copies: int = 1


@dataclass
class Stage:
    """All machines and their logs while the fleet is made: `rng` is the only source of chance."""

    rng: Random
    machines: tuple[Machine, ...]
    ids: dict[Machine, list[int]]
    log: dict[Machine, list[Entry]]
    shells: dict[Machine, Process] = field(default_factory=dict)
    services: dict[Machine, Process] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    decoys: list[Decoy] = field(default_factory=list)
    made: int = 0

    def take_id(self, *machines: Machine) -> int:
        """A process id that nobody else will use on these machines, so that a story knows all that happens to it."""
        free = set(self.ids[machines[0]]).intersection(*[self.ids[m] for m in machines[1:]])
        taken = self.rng.choice(sorted(free))
        for machine in machines:
            self.ids[machine].remove(taken)
        return taken

    def process(
        self,
        machine: Machine,
        process_id: int,
        image: Image,
        command_line: str,
        start: int,
        *,
        user: str | None = None,
        parent: Process | None = None,
    ) -> Process:
        """A process with a key of its own, made as Sysmon makes it: machine, start in seconds, counter."""
        self.made += 1
        seconds = start // 1_000
        parts = f"{seconds & 0xFFFF:04x}-{seconds >> 16:04x}-{self.made & 0xFFFF:04x}-{self.made:012x}"
        guid = f"{{{machine.guid_part}-{parts}}}"
        return Process(machine, process_id, guid, image, command_line, user or machine.user, start, parent)

    def write(self, machine: Machine, at: int, record: Raw, *, late: bool = False, copies: int = 1) -> None:
        self.log[machine].append(Entry(at, record, late, copies))

    def begin(self, p: Process, *, late: bool = False, copies: int = 1, spoil: Raw | None = None) -> Process:
        """Log a start, by both sensors where the machine has two: they are a few milliseconds apart, either first."""
        self.write(p.machine, p.start, sysmon_start(p) | (spoil or {}), late=late, copies=copies)
        if p.machine.two_sensors and not spoil:
            at = p.start + self.rng.randint(-8, 40)
            self.write(p.machine, at, security_start(p, at), late=late)
        return p

    def end(self, p: Process, at: int) -> None:
        self.write(p.machine, at, sysmon_end(p, at))


@dataclass(frozen=True)
class Scene:
    """One telling of one story: a label, a machine, a moment `at` in the period, and how often it was told before."""

    stage: Stage
    story: str
    machine: Machine
    at: int
    turn: int

    @property
    def rng(self) -> Random:
        return self.stage.rng

    def found(
        self,
        p: Process,
        at: int,
        remote: Remote,
        attribution: str,
        *,
        spoil: Raw | None = None,
        inbound: bool = False,
        late: bool = False,
        copies: int = 1,
    ) -> None:
        """Log a connection that must be found, with this attribution; `spoil` overrides fields of its record."""
        record = self._connect(p, at, remote, spoil, inbound=inbound, late=late, copies=copies)
        known = attribution in ("guid", "host_pid")
        self.stage.answers.append(
            Answer(
                host=canonical_host(record),
                process_id=p.process_id,
                process_guid=canonical_guid(p.guid if known else record["ProcessGuid"]),
                process_time=moment(p.start) if known else None,
                event_time=moment(at),
                dest_ip=canonical_ip(record["DestinationIp"]),
                dest_port=remote.port,
                attribution=attribution,
                story=self.story,
            )
        )

    def ignored(self, p: Process, at: int, remote: Remote, *, spoil: Raw | None = None) -> None:
        """Log a connection that must not be found."""
        record = self._connect(p, at, remote, spoil)
        ip = canonical_ip(record["DestinationIp"])
        self.stage.decoys.append(Decoy(canonical_host(record), moment(at), ip, remote.port, self.story))

    def _connect(
        self,
        p: Process,
        at: int,
        remote: Remote,
        spoil: Raw | None,
        *,
        inbound: bool = False,
        late: bool = False,
        copies: int = 1,
    ) -> Raw:
        port = self.rng.randrange(49_152, 65_536)
        record = sysmon_connection(p, at, remote, port, inbound=inbound) | (spoil or {})
        self.stage.write(p.machine, at, record, late=late, copies=copies)
        return record
