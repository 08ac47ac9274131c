"""Raw records of the made-up fleet: the records that Sysmon and Windows' security log write, as flat JSON.

A record is a dict with the sensor's field names. Times are integer milliseconds since 1970 in UTC, the resolution in
which Windows logs are exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal

from procnet.periods import EPOCH

Raw = dict[str, object]

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
SYSTEM = "NT AUTHORITY\\SYSTEM"

# Who queries a name before a connection: its own process, the DNS client service, or nobody in the records.
Asker = Literal["process", "service", "nobody"]

# What a sensor writes in place of a key where it could not identify the process.
NO_GUID: Raw = {"ProcessGuid": "{00000000-0000-0000-0000-000000000000}"}
NO_IMAGE: Raw = {"Image": "<unknown process>"}


@dataclass(frozen=True)
class Machine:
    """An endpoint. `spelling` is its name as its sensors write it; `utc_error` the error of the field UtcTime in
    milliseconds, while the time of the record itself is right."""

    name: str
    spelling: str
    ip: str
    user: str
    guid_part: str
    two_sensors: bool
    utc_error: int

    @property
    def other_spelling(self) -> str:
        """The same host name in another case and length: upper case without the domain, or with a final dot."""
        return self.name.split(".")[0].upper() if "." in self.spelling else f"{self.name}."


@dataclass(frozen=True)
class Image:
    """A program file: full path, the name in its version resource, hashes."""

    path: str
    original: str
    hashes: str


@dataclass(frozen=True)
class Command:
    """A program with its command line; `user` is None for the user of the machine."""

    image: Image
    line: str
    user: str | None = None


@dataclass(frozen=True)
class Process:
    """One process instance; `parent` is None for a process that started before all records."""

    machine: Machine
    process_id: int
    guid: str
    image: Image
    command_line: str
    user: str
    start: int
    parent: Process | None = None


@dataclass(frozen=True)
class Remote:
    """The remote end of a connection.

    `name` is the reverse look-up of the address, which its owner chooses. `query_name` is the name that programs query,
    empty where it is the same; `asker` is None where chance decides.
    """

    ip: str
    port: int
    name: str = "-"
    query_name: str = ""
    asker: Asker | None = None


def moment(millis: int) -> datetime:
    """Milliseconds since 1970 as an aware datetime."""
    return EPOCH + timedelta(milliseconds=millis)


def millis_of(time: datetime) -> int:
    """An aware datetime as milliseconds since 1970."""
    return (time - EPOCH) // timedelta(milliseconds=1)


def sysmon_start(p: Process) -> Raw:
    """Sysmon event 1: a process started."""
    parent = p.parent or p
    return {
        **_sysmon(1, p.machine, p.start, 2),
        **_process(p),
        "OriginalFileName": p.image.original,
        "CommandLine": p.command_line,
        "User": p.user,
        "IntegrityLevel": "System" if p.user == SYSTEM else "Medium",
        "Hashes": p.image.hashes,
        "ParentProcessGuid": parent.guid,
        "ParentProcessId": str(parent.process_id),
        "ParentImage": parent.image.path,
        "ParentCommandLine": parent.command_line,
    }


def sysmon_end(p: Process, at: int) -> Raw:
    """Sysmon event 5: a process ended."""
    return {**_sysmon(5, p.machine, at, 2), **_process(p)}


def sysmon_connection(p: Process, at: int, remote: Remote, source_port: int, *, inbound: bool = False) -> Raw:
    """Sysmon event 3: a connection of a process. The destination of an inbound one is the machine itself."""
    here, there = (p.machine.ip, p.machine.name), (remote.ip, remote.name)
    source, destination = (there, here) if inbound else (here, there)
    return {
        # Sysmon writes event 3 up to seconds after its UtcTime, unlike the others.
        **_sysmon(3, p.machine, at, at % 2_500),
        **_process(p),
        "User": p.user,
        "Protocol": "tcp",
        "Initiated": "false" if inbound else "true",
        "SourceIsIpv6": _flag(":" in source[0]),
        "SourceIp": source[0],
        "SourceHostname": source[1],
        "SourcePort": str(source_port),
        "DestinationIsIpv6": _flag(":" in destination[0]),
        "DestinationIp": destination[0],
        "DestinationHostname": destination[1],
        "DestinationPort": str(remote.port),
    }


def sysmon_query(p: Process, at: int, remote: Remote, lag: int) -> Raw:
    """Sysmon event 22: an answered query of a process, recorded `lag` milliseconds after its UtcTime."""
    address = remote.ip if ":" in remote.ip else f"::ffff:{remote.ip}"
    alias = "" if remote.name in ("-", queried_name(remote)) else f"type:  5 {remote.name};"
    return {
        **_sysmon(22, p.machine, at, lag),
        **_process(p),
        "User": p.user,
        "QueryName": queried_name(remote),
        "QueryStatus": "0",
        "QueryResults": f"{alias}{address};",
    }


def queried_name(remote: Remote) -> str:
    """The name that programs query before they connect to a remote end."""
    return remote.query_name or remote.name


def security_start(p: Process, at: int) -> Raw:
    """Security event 4688: the same start from the second sensor. Ids are hexadecimal; `ProcessId` is the parent's."""
    domain, _, name = p.user.partition("\\")
    parent = p.parent or p
    return {
        "SourceName": "Microsoft-Windows-Security-Auditing",
        "Channel": "Security",
        "Hostname": p.machine.spelling,
        "@timestamp": _stamp(at) + "Z",
        "EventID": 4688,
        "SubjectUserName": name,
        "SubjectDomainName": domain,
        "NewProcessId": hex(p.process_id),
        "NewProcessName": p.image.path,
        "ProcessId": hex(parent.process_id),
        "CommandLine": p.command_line,
        "TargetUserName": "-",
        "TargetDomainName": "-",
        "ParentProcessName": parent.image.path,
        "MandatoryLabel": "S-1-16-16384" if p.user == SYSTEM else "S-1-16-8192",
    }


def canonical_host(record: Raw) -> str:
    """The host of a record as the canonical tables have it."""
    return str(record["Hostname"]).rstrip(".").lower()


def canonical_guid(guid: object) -> str | None:
    """A process guid as the canonical tables have it; None for the zero guid."""
    bare = str(guid).strip("{}").upper()
    return bare if bare.strip("0-") else None


def canonical_ip(ip: object) -> str:
    """An address as the canonical tables have it (RFC 5952)."""
    return str(ip_address(str(ip)))


def _sysmon(event_id: int, machine: Machine, at: int, lag: int) -> Raw:
    return {
        "SourceName": "Microsoft-Windows-Sysmon",
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Hostname": machine.spelling,
        "@timestamp": _stamp(at) + "Z",
        "EventID": event_id,
        "UtcTime": _stamp(at - lag + machine.utc_error, " "),
    }


def _process(p: Process) -> Raw:
    return {"ProcessGuid": p.guid, "ProcessId": str(p.process_id), "Image": p.image.path}


def _stamp(millis: int, separator: str = "T") -> str:
    return (EPOCH + timedelta(milliseconds=millis)).replace(tzinfo=None).isoformat(separator, "milliseconds")


def _flag(value: bool) -> str:
    return "true" if value else "false"
