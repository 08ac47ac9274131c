"""The scenarios of the made-up fleet: what msiexec does, and what is easily mistaken for it.

Each function writes the records of one scenario on one machine, and says of each connection whether it must be found
and with which attribution. A scenario owns the process ids it takes, so that its answers hold whatever else runs. They
hold for a lookback of at most 24 h, a clock skew of 1 s, an end grace of 5 s, hosts compared by their short names, and
names up to an hour old.
"""

from __future__ import annotations

from collections.abc import Callable

from procnet.demo import programs
from procnet.demo.scene import INTACT, Defect, Scene
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
    security_start,
)

_WITHOUT_GUID = Defect(NO_GUID)
_WITHOUT_GUID_AND_IMAGE = Defect(NO_GUID | NO_IMAGE)
_PACKAGE_URL = "https://packages.example.net/agent.msi"


def service_before_the_hour(s: Scene) -> None:
    """The installer service started hours ago. Its command line has no URL; the one of its client has."""
    service = _service(s, s.at - s.rng.randint(90 * MINUTE, 23 * HOUR))
    _short_client(s)
    s.found(service, s.at, programs.PACKAGES, "guid")
    s.found(service, s.at + 700, programs.PACKAGES, "guid")
    s.found(service, s.at + 5 * SECOND, programs.PACKAGES_PLAIN, "guid")


def service_older_than_lookback(s: Scene) -> None:
    """The service started before the lookback: its start is not read, but the connection's own record names it."""
    service = _service(s, s.at - s.rng.randint(25 * HOUR, 40 * HOUR))
    _short_client(s)
    s.found(service, s.at, programs.PACKAGES, "event")


def client_fetches(s: Scene) -> None:
    """The client fetches the package itself, with several connections: each is a finding."""
    client = _client(s, s.at)
    for i, remote in enumerate((programs.PACKAGES, programs.PACKAGES_PLAIN, programs.PACKAGES_V6)):
        s.found(client, s.at + (i + 1) * SECOND, remote, "guid")
    s.log.write_end(client, s.at + MINUTE)


def embedded_server(s: Scene) -> None:
    """The server of custom actions, a child of the service, spelled MsiExec.exe. The reverse name of the address
    disguises what it queried."""
    service = _service(s, s.at - 2 * MINUTE)
    line = "C:\\Windows\\SysWOW64\\MsiExec.exe -Embedding 5A7E20C1B94D3F6688E01A2C4D6F8B90 E Global\\MSI0000"
    child = s.log.process(
        s.machine, s.log.take_id(s.machine), Command(programs.MSIEXEC_WOW, line, SYSTEM), s.at, service
    )
    s.log.write_start(child)
    s.found(child, s.at + 3 * SECOND, programs.DISGUISED, "guid")
    s.log.write_end(child, s.at + 20 * SECOND)


def renamed(s: Scene) -> None:
    """A copy of msiexec under another name: only its version resource identifies it."""
    client = _client(s, s.at, image=programs.MSIEXEC_RENAMED)
    s.found(client, s.at + 4 * SECOND, programs.PACKAGES, "guid")
    s.found(client, s.at + 6 * SECOND, programs.PACKAGES, "host_pid", _WITHOUT_GUID)


def id_reused_after_end(s: Scene) -> None:
    """python.exe gets the id after msiexec has ended."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid")
    s.log.write_end(client, s.at + 30 * SECOND)
    python = _python(s, s.machine, client.process_id, s.at + 2 * MINUTE)
    s.ignored(python, s.at + 3 * MINUTE, programs.SITE)
    s.ignored(python, s.at + 4 * MINUTE, programs.SITE, _WITHOUT_GUID_AND_IMAGE)


def id_reused_end_unseen(s: Scene) -> None:
    """python.exe gets the id, and msiexec's end was not recorded: the next start on an id ends the one before."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid")
    python = _python(s, s.machine, client.process_id, s.at + 2 * MINUTE)
    s.ignored(python, s.at + 3 * MINUTE, programs.SITE)
    s.ignored(python, s.at + 4 * MINUTE, programs.SITE, _WITHOUT_GUID_AND_IMAGE)


def id_reused_start_unseen(s: Scene) -> None:
    """python.exe gets the id; neither msiexec's end nor python's start was recorded: only the names differ."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid")
    command = Command(programs.PYTHON, "python.exe sync.py")
    python = s.log.process(s.machine, client.process_id, command, s.at + 2 * MINUTE)
    s.ignored(python, s.at + 3 * MINUTE, programs.SITE)
    s.ignored(python, s.at + 4 * MINUTE, programs.SITE, _WITHOUT_GUID)


def same_id_on_another_host(s: Scene) -> None:
    """A browser has the same process id on another machine, in the same minute."""
    other = s.rng.choice([m for m in s.log.machines if m != s.machine])
    process_id = s.log.take_id(s.machine, other)
    client = s.log.write_start(_client_process(s, s.at, process_id))
    command = Command(programs.CHROME, f'"{programs.CHROME.path}"')
    browser = s.log.process(other, process_id, command, s.at - MINUTE, s.log.shells[other])
    s.log.write_start(browser)
    s.ignored(browser, s.at + SECOND, programs.SITE)
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid")
    s.ignored(browser, s.at + 3 * SECOND, programs.SITE)


def recorded_before_start(s: Scene) -> None:
    """Clock skew: the connection is recorded up to a second before the start of its own process."""
    client = _client(s, s.at)
    s.found(client, s.at - s.rng.randint(50, 500), programs.PACKAGES, "guid")
    s.found(client, s.at - s.rng.randint(501, 1_000), programs.PACKAGES_PLAIN, "host_pid", _WITHOUT_GUID)


def long_before_start(s: Scene) -> None:
    """A connection on the id long before msiexec started is another process's. If its record names msiexec, it is one
    whose start is not recorded."""
    client = _client(s, s.at)
    s.ignored(client, s.at - s.rng.randint(MINUTE, 4 * MINUTE), programs.SITE, _WITHOUT_GUID_AND_IMAGE)
    s.found(client, s.at - s.rng.randint(5 * SECOND, 50 * SECOND), programs.PACKAGES, "event", _WITHOUT_GUID)


def recorded_after_end(s: Scene) -> None:
    """Sensors report connections late: up to four seconds after the end of the process."""
    client = _client(s, s.at)
    s.log.write_end(client, s.at + 20 * SECOND)
    s.found(client, s.at + 20 * SECOND + s.rng.randint(0, 4_000), programs.PACKAGES, "guid")
    at = s.at + 20 * SECOND + s.rng.randint(0, 4_000)
    s.found(client, at, programs.PACKAGES, "host_pid", _WITHOUT_GUID_AND_IMAGE)


def long_after_end(s: Scene) -> None:
    """A connection half a minute after the end, without an image, belongs to no known process."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid")
    s.log.write_end(client, s.at + 20 * SECOND)
    s.ignored(client, s.at + s.rng.randint(50 * SECOND, 80 * SECOND), programs.SITE, _WITHOUT_GUID_AND_IMAGE)


def internal_destination(s: Scene) -> None:
    """A destination inside the company: the shipped detection has no condition on the address, so it matches."""
    client = _client(s, s.at, url="https://depot.fleet.example/agent.msi")
    s.found(client, s.at + SECOND, programs.DEPOT, "guid")
    s.found(client, s.at + 2 * SECOND, programs.DEPOT_PLAIN, "guid")


def inbound(s: Scene) -> None:
    """An inbound connection: the shipped detection has no condition on the direction, so it matches."""
    client = _client(s, s.at)
    s.found(client, s.at + 8 * SECOND, programs.SCANNER, "guid", inbound=True)


def other_ports(s: Scene) -> None:
    """Ports 8080 and 445, which the shipped detection does not include."""
    client = _client(s, s.at, url="http://packages.example.net:8080/agent.msi")
    s.ignored(client, s.at + 2 * SECOND, programs.PACKAGES_8080)
    s.ignored(client, s.at + 3 * SECOND, programs.DEPOT_SMB)


def exact_duplicates(s: Scene) -> None:
    """Two copies of the start and three of the connection are one finding."""
    client = _client(s, s.at, Defect(copies=2))
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid", Defect(copies=3))


def null_keys(s: Scene) -> None:
    """A start without an id and connections without any key join nothing; a guid without an id is a key."""
    command = Command(programs.MSIEXEC, "msiexec.exe /i agent.msi")
    without_id = s.log.process(s.machine, 0, command, s.at)
    s.log.write_start(without_id, Defect({"ProcessId": "-"}))
    for i, no_id in enumerate(("-", "0", "")):
        defect = Defect({"ProcessId": no_id} | NO_GUID | NO_IMAGE)
        s.ignored(without_id, s.at + (i + 1) * SECOND, programs.SITE, defect)
    client = _client(s, s.at)
    s.found(client, s.at + 9 * SECOND, programs.PACKAGES, "guid", Defect({"ProcessId": "-"}))


def host_in_two_spellings(s: Scene) -> None:
    """Start and connection spell the host differently: with or without domain, another case, a final dot."""
    client = _client(s, s.at)
    spelled: Raw = {"Hostname": s.machine.other_spelling}
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid", Defect(spelled))
    s.found(client, s.at + 3 * SECOND, programs.PACKAGES_PLAIN, "host_pid", Defect(spelled | NO_GUID))


def late_start(s: Scene) -> None:
    """The start is ingested last, long after its connection. No query is recorded: the name was in a cache."""
    client = _client(s, s.at, Defect(late=True))
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES_UNQUERIED, "guid")


def late_connection(s: Scene) -> None:
    """The connection is ingested last. The DNS client service queried its name."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES_BY_SERVICE, "guid", Defect(late=True))


def two_sensors(s: Scene) -> None:
    """Two sensors record one start a few milliseconds apart: one process instance, described by Sysmon's record."""
    client = _client(s, s.at)
    if not s.machine.two_sensors:
        at = s.at + (-5 if s.turn % 2 else 15)
        s.log.write(s.machine, at, security_start(client, at))
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "guid")
    s.found(client, s.at + 3 * SECOND, programs.PACKAGES, "host_pid", _WITHOUT_GUID)


def only_security_log(s: Scene) -> None:
    """Sysmon's start is missing; Security event 4688 has it, without a guid."""
    client = _client_process(s, s.at)
    s.log.write(s.machine, s.at, security_start(client, s.at))
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "host_pid")


def start_never_recorded(s: Scene) -> None:
    """No start at all: the connection's own record names msiexec."""
    client = _client_process(s, s.at)
    s.found(client, s.at + 2 * SECOND, programs.PACKAGES, "event")


SCENARIOS: dict[str, Callable[[Scene], None]] = {
    "service older than the hour": service_before_the_hour,
    "service older than the lookback": service_older_than_lookback,
    "several connections of one process": client_fetches,
    "embedded server": embedded_server,
    "renamed": renamed,
    "id reused after the end": id_reused_after_end,
    "id reused, end unseen": id_reused_end_unseen,
    "id reused, start unseen": id_reused_start_unseen,
    "same id on another host": same_id_on_another_host,
    "recorded before its start": recorded_before_start,
    "long before a start": long_before_start,
    "recorded after its end": recorded_after_end,
    "long after an end": long_after_end,
    "internal destination (matches: no condition on the address)": internal_destination,
    "inbound (matches: no condition on the direction)": inbound,
    "other ports (no match)": other_ports,
    "exact duplicates": exact_duplicates,
    "null keys": null_keys,
    "host in two spellings": host_in_two_spellings,
    "late start": late_start,
    "late connection": late_connection,
    "two sensors": two_sensors,
    "only the second sensor": only_security_log,
    "start never recorded": start_never_recorded,
}


def _service(s: Scene, at: int) -> Process:
    """`msiexec.exe /V`: the Windows Installer service, which installs for its clients. Its start is logged."""
    command = Command(programs.MSIEXEC, "C:\\Windows\\System32\\msiexec.exe /V", SYSTEM)
    process_id = s.log.take_id(s.machine)
    return s.log.write_start(s.log.process(s.machine, process_id, command, at, s.log.services[s.machine]))


def _client(
    s: Scene, at: int, defect: Defect = INTACT, *, image: Image = programs.MSIEXEC, url: str = _PACKAGE_URL
) -> Process:
    """An msiexec that a user starts with a URL. Its start is logged."""
    return s.log.write_start(_client_process(s, at, image=image, url=url), defect)


def _client_process(
    s: Scene, at: int, process_id: int | None = None, *, image: Image = programs.MSIEXEC, url: str = _PACKAGE_URL
) -> Process:
    """The process of `_client`, without its start; `process_id` is a free one by default."""
    name = image.path.rpartition("\\")[2]
    command = Command(image, f"{name} /q /i {url}")
    return s.log.process(s.machine, process_id or s.log.take_id(s.machine), command, at, s.log.shells[s.machine])


def _short_client(s: Scene) -> None:
    """A client that asks the service to install, a few seconds before `at`; its own id and no connection."""
    start = s.at - s.rng.randint(2 * SECOND, 9 * SECOND)
    s.log.write_end(_client(s, start), s.at + 40 * SECOND)


def _python(s: Scene, machine: Machine, process_id: int, at: int) -> Process:
    """A python.exe with this process id. Its start is logged."""
    command = Command(programs.PYTHON, "python.exe sync.py")
    return s.log.write_start(s.log.process(machine, process_id, command, at, s.log.shells[machine]))
