"""The stories of the made-up fleet: what msiexec does, and what is easily mistaken for it.

Each function tells one story on one machine, and says of each connection whether it must be found, and how. It owns
the process ids it takes, so the answers hold by construction, whatever else goes on. They are those of a process age
of at most 24 h, a clock skew of 1 s, an end grace of 5 s and hosts compared by their short names.
"""

from __future__ import annotations

from collections.abc import Callable

from procnet.demo import programs as cast
from procnet.demo.scene import Scene
from procnet.demo.sysmon import (
    HOUR,
    MINUTE,
    NO_GUID,
    NO_IMAGE,
    SECOND,
    SYSTEM,
    Image,
    Machine,
    Process,
    Raw,
    security_start,
)


def service_before_the_hour(s: Scene) -> None:
    """The installer service started hours ago; its own command line says nothing, the client's has the URL."""
    service = _service(s, s.at - s.rng.randint(90 * MINUTE, 23 * HOUR))
    _client_asks(s)
    s.found(service, s.at, cast.PACKAGES, "guid")
    s.found(service, s.at + 700, cast.PACKAGES, "guid")
    s.found(service, s.at + 5 * SECOND, cast.PACKAGES_PLAIN, "guid")


def service_older_than_lookback(s: Scene) -> None:
    """The service started more than a day ago: its start is out of reach, but the connection's record names it."""
    service = _service(s, s.at - s.rng.randint(25 * HOUR, 40 * HOUR))
    _client_asks(s)
    s.found(service, s.at, cast.PACKAGES, "event")


def client_fetches(s: Scene) -> None:
    """The client fetches the package itself, by several connections: each is a finding."""
    client = _client(s, s.at)
    for i, remote in enumerate((cast.PACKAGES, cast.PACKAGES_PLAIN, cast.PACKAGES_V6)):
        s.found(client, s.at + (i + 1) * SECOND, remote, "guid")
    s.stage.end(client, s.at + MINUTE)


def embedded_server(s: Scene) -> None:
    """The server of custom actions, a child of the service, spelled MsiExec.exe."""
    service = _service(s, s.at - 2 * MINUTE)
    command = "C:\\Windows\\SysWOW64\\MsiExec.exe -Embedding 5A7E20C1B94D3F6688E01A2C4D6F8B90 E Global\\MSI0000"
    child = _start(s, cast.MSIEXEC_WOW, command, s.at, user=SYSTEM, parent=service)
    s.found(child, s.at + 3 * SECOND, cast.SITE, "guid")
    s.stage.end(child, s.at + 20 * SECOND)


def renamed(s: Scene) -> None:
    """A copy under another name: only its version resource tells."""
    client = _client(s, s.at, cast.MSIEXEC_RENAMED)
    s.found(client, s.at + 4 * SECOND, cast.PACKAGES, "guid")
    s.found(client, s.at + 6 * SECOND, cast.PACKAGES, "host_pid", spoil=NO_GUID)


def id_reused_after_end(s: Scene) -> None:
    """python.exe gets the id after msiexec has ended."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid")
    s.stage.end(client, s.at + 30 * SECOND)
    python = _python(s, s.machine, client.process_id, s.at + 2 * MINUTE)
    s.ignored(python, s.at + 3 * MINUTE, cast.SITE)
    s.ignored(python, s.at + 4 * MINUTE, cast.SITE, spoil=NO_GUID | NO_IMAGE)


def id_reused_end_unseen(s: Scene) -> None:
    """python.exe gets the id, and nobody saw msiexec end: the next start on an id ends the life before."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid")
    python = _python(s, s.machine, client.process_id, s.at + 2 * MINUTE)
    s.ignored(python, s.at + 3 * MINUTE, cast.SITE)
    s.ignored(python, s.at + 4 * MINUTE, cast.SITE, spoil=NO_GUID | NO_IMAGE)


def id_reused_start_unseen(s: Scene) -> None:
    """python.exe got the id, but neither msiexec's end nor python's start was recorded: the names differ."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid")
    python = s.stage.process(s.machine, client.process_id, cast.PYTHON, "python.exe sync.py", s.at + 2 * MINUTE)
    s.ignored(python, s.at + 3 * MINUTE, cast.SITE)
    s.ignored(python, s.at + 4 * MINUTE, cast.SITE, spoil=NO_GUID)


def same_id_on_another_host(s: Scene) -> None:
    """A browser has the same process id on another machine, in the same minute."""
    other = s.rng.choice([m for m in s.stage.machines if m != s.machine])
    process_id = s.stage.take_id(s.machine, other)
    client = _client(s, s.at, process_id=process_id)
    shell = s.stage.shells[other]
    browser = s.stage.process(other, process_id, cast.CHROME, f'"{cast.CHROME.path}"', s.at - MINUTE, parent=shell)
    s.stage.begin(browser)
    s.ignored(browser, s.at + SECOND, cast.SITE)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid")
    s.ignored(browser, s.at + 3 * SECOND, cast.SITE)


def recorded_before_start(s: Scene) -> None:
    """Clock skew: the connection is recorded up to a second before the start of its own process."""
    client = _client(s, s.at)
    s.found(client, s.at - s.rng.randint(50, 500), cast.PACKAGES, "guid")
    s.found(client, s.at - s.rng.randint(501, 1_000), cast.PACKAGES_PLAIN, "host_pid", spoil=NO_GUID)


def long_before_start(s: Scene) -> None:
    """A connection on the id from before msiexec started is another's; if its record names msiexec, one unseen."""
    client = _client(s, s.at)
    s.ignored(client, s.at - s.rng.randint(MINUTE, 4 * MINUTE), cast.SITE, spoil=NO_GUID | NO_IMAGE)
    s.found(client, s.at - s.rng.randint(5 * SECOND, 50 * SECOND), cast.PACKAGES, "event", spoil=NO_GUID)


def recorded_after_end(s: Scene) -> None:
    """Sensors report connections late: up to four seconds after the end of the process."""
    client = _client(s, s.at)
    s.stage.end(client, s.at + 20 * SECOND)
    s.found(client, s.at + 20 * SECOND + s.rng.randint(0, 4_000), cast.PACKAGES, "guid")
    s.found(client, s.at + 20 * SECOND + s.rng.randint(0, 4_000), cast.PACKAGES, "host_pid", spoil=NO_GUID | NO_IMAGE)


def long_after_end(s: Scene) -> None:
    """Half a minute after the end, a connection that names nobody is nobody's."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid")
    s.stage.end(client, s.at + 20 * SECOND)
    s.ignored(client, s.at + s.rng.randint(50 * SECOND, 80 * SECOND), cast.SITE, spoil=NO_GUID | NO_IMAGE)


def internal_destination(s: Scene) -> None:
    """Inside the company: the shipped detection does not ask for a public address, so it matches."""
    client = _client(s, s.at, url="https://depot.fleet.example/agent.msi")
    s.found(client, s.at + SECOND, cast.DEPOT, "guid")
    s.found(client, s.at + 2 * SECOND, cast.DEPOT_PLAIN, "guid")


def inbound(s: Scene) -> None:
    """Somebody connects to msiexec: the shipped detection does not ask for the direction, so it matches."""
    client = _client(s, s.at)
    s.found(client, s.at + 8 * SECOND, cast.SCANNER, "guid", inbound=True)


def other_ports(s: Scene) -> None:
    """Ports 8080 and 445 are not asked for."""
    client = _client(s, s.at, url="http://packages.example.net:8080/agent.msi")
    s.ignored(client, s.at + 2 * SECOND, cast.PACKAGES_8080)
    s.ignored(client, s.at + 3 * SECOND, cast.DEPOT_SMB)


def exact_duplicates(s: Scene) -> None:
    """Records come twice: two copies of the start, three of the connection, one finding."""
    client = _client(s, s.at, copies=2)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid", copies=3)


def null_keys(s: Scene) -> None:
    """A start without an id, and connections without any: no keys, so they join nothing; a guid alone is one."""
    nobody = s.stage.process(s.machine, 0, cast.MSIEXEC, "msiexec.exe /i agent.msi", s.at)
    s.stage.begin(nobody, spoil={"ProcessId": "-"})
    for i, no_id in enumerate(("-", "0", "")):
        spoil = {"ProcessId": no_id} | NO_GUID | NO_IMAGE
        s.ignored(nobody, s.at + (i + 1) * SECOND, cast.SITE, spoil=spoil)
    client = _client(s, s.at)
    s.found(client, s.at + 9 * SECOND, cast.PACKAGES, "guid", spoil={"ProcessId": "-"})


def host_in_two_spellings(s: Scene) -> None:
    """Start and connection write the machine's name differently: short or full, upper or lower case, a last dot."""
    client = _client(s, s.at)
    spelled: Raw = {"Hostname": s.machine.other_spelling}
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid", spoil=spelled)
    s.found(client, s.at + 3 * SECOND, cast.PACKAGES_PLAIN, "host_pid", spoil=spelled | NO_GUID)


def late_start(s: Scene) -> None:
    """The start reaches the lake last, long after its connection."""
    client = _client(s, s.at, late=True)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid")


def late_connection(s: Scene) -> None:
    """The connection reaches the lake last."""
    client = _client(s, s.at)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid", late=True)


def two_sensors(s: Scene) -> None:
    """Two sensors record the start a few milliseconds apart, before or after: one life, Sysmon's record leads."""
    client = _client(s, s.at)
    if not s.machine.two_sensors:
        at = s.at + (-5 if s.turn % 2 else 15)
        s.stage.write(s.machine, at, security_start(client, at))
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "guid")
    s.found(client, s.at + 3 * SECOND, cast.PACKAGES, "host_pid", spoil=NO_GUID)


def security_alone(s: Scene) -> None:
    """Sysmon's start was filtered away; Security 4688 has it, without a guid."""
    client = _client(s, s.at, seen=False)
    s.stage.write(s.machine, s.at, security_start(client, s.at))
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "host_pid")


def start_never_recorded(s: Scene) -> None:
    """No start at all: the connection's own record names msiexec."""
    client = _client(s, s.at, seen=False)
    s.found(client, s.at + 2 * SECOND, cast.PACKAGES, "event")


STORIES: dict[str, Callable[[Scene], None]] = {
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
    "internal destination (matches: not asked)": internal_destination,
    "inbound (matches: not asked)": inbound,
    "other ports (not asked for)": other_ports,
    "exact duplicates": exact_duplicates,
    "null keys": null_keys,
    "host in two spellings": host_in_two_spellings,
    "late start": late_start,
    "late connection": late_connection,
    "two sensors": two_sensors,
    "only the second sensor": security_alone,
    "start never recorded": start_never_recorded,
}


def _start(
    s: Scene,
    image: Image,
    command_line: str,
    at: int,
    *,
    user: str | None = None,
    parent: Process | None = None,
    process_id: int | None = None,
    copies: int = 1,
    late: bool = False,
    seen: bool = True,
) -> Process:
    process_id = process_id or s.stage.take_id(s.machine)
    p = s.stage.process(s.machine, process_id, image, command_line, at, user=user, parent=parent)
    return s.stage.begin(p, copies=copies, late=late) if seen else p


def _service(s: Scene, at: int) -> Process:
    """`msiexec.exe /V`, the service that does the work for its clients."""
    services = s.stage.services[s.machine]
    return _start(s, cast.MSIEXEC, "C:\\Windows\\System32\\msiexec.exe /V", at, user=SYSTEM, parent=services)


def _client(
    s: Scene,
    at: int,
    image: Image = cast.MSIEXEC,
    *,
    url: str = "https://packages.example.net/agent.msi",
    process_id: int | None = None,
    copies: int = 1,
    late: bool = False,
    seen: bool = True,
) -> Process:
    """The msiexec that a user, or somebody in a user's name, runs with a URL."""
    name = image.path.rpartition("\\")[2]
    shell = s.stage.shells[s.machine]
    return _start(
        s, image, f"{name} /q /i {url}", at, parent=shell, process_id=process_id, copies=copies, late=late, seen=seen
    )


def _client_asks(s: Scene) -> None:
    """A client with a process id of its own hands the service its work a few seconds before."""
    asked = s.at - s.rng.randint(2 * SECOND, 9 * SECOND)
    s.stage.end(_client(s, asked), s.at + 40 * SECOND)


def _python(s: Scene, machine: Machine, process_id: int, at: int) -> Process:
    shell = s.stage.shells[machine]
    return s.stage.begin(s.stage.process(machine, process_id, cast.PYTHON, "python.exe sync.py", at, parent=shell))
