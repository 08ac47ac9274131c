"""Files of Windows records: JSON and XML generated from a seed, EVTX repeated from real files."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FILES = 8
BEGIN = datetime(2026, 3, 1, tzinfo=timezone.utc)
HOURS, HOSTS = 36, 500

_SYSMON, _SECURITY = "Microsoft-Windows-Sysmon", "Microsoft-Windows-Security-Auditing"
_CHANNELS = {_SYSMON: f"{_SYSMON}/Operational", _SECURITY: "Security"}
_PROGRAMS = tuple(
    rf"C:\{path}"
    for path in (
        r"Windows\System32\svchost.exe",
        r"Windows\System32\conhost.exe",
        r"Windows\System32\msiexec.exe",
        r"Windows\System32\taskhostw.exe",
        r"Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
        r"Program Files\Google\Chrome\Application\chrome.exe",
        r"Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        r"Program Files\Microsoft Office\root\Office16\OUTLOOK.EXE",
        r"Program Files\Python312\python.exe",
    )
)
_ACCOUNTS = (r"NT AUTHORITY\SYSTEM", r"NT AUTHORITY\NETWORK SERVICE", *(rf"EXAMPLE\user{n}" for n in range(300)))
# Records of each event in a thousand; a third of them are of events that no source maps.
_MIX = {
    (_SYSMON, 1): 120, (_SYSMON, 3): 200, (_SYSMON, 5): 110, (_SECURITY, 4688): 90, (_SECURITY, 5156): 147,
    (_SYSMON, 7): 60, (_SYSMON, 10): 70, (_SYSMON, 11): 40, (_SYSMON, 13): 50, (_SYSMON, 22): 30,
    (_SECURITY, 4624): 33, (_SECURITY, 4658): 50,
}  # fmt: skip
_TITLES = {1: "Process Create", 3: "Network connection detected", 5: "Process terminated"}


@dataclass(frozen=True)
class Event:
    """One record, independent of the format."""

    provider: str
    event_id: int
    number: int
    time: datetime
    host: str
    data: dict[str, str]


def events(count: int, seed: int, first: int) -> Iterator[Event]:
    """Records of a fleet in order of time; the same arguments give the same records."""
    rnd = random.Random(seed)
    kinds = rnd.choices(list(_MIX), list(_MIX.values()), k=count)
    step = timedelta(hours=HOURS) / count
    for i, (provider, event_id) in enumerate(kinds):
        at = BEGIN + i * step + timedelta(microseconds=rnd.randrange(1000))
        host = rnd.randrange(HOSTS)
        data = _sysmon(rnd, event_id, at, host) if provider == _SYSMON else _security(rnd, event_id, host)
        yield Event(provider, event_id, first + i, at, f"ws-{host:03}.corp.example", data)


def _address(rnd: random.Random, net: str | None = None) -> str:
    return f"{net or rnd.choice(('192.0.2', '203.0.113'))}.{rnd.randrange(1, 255)}"


def _guid(rnd: random.Random, host: int) -> str:
    return f"{{{host:08X}-{rnd.randrange(65536):04X}-69A3-{rnd.randrange(65536):04X}-{rnd.getrandbits(48):012X}}}"


def _sysmon(rnd: random.Random, event_id: int, at: datetime, host: int) -> dict[str, str]:
    image = rnd.choice(_PROGRAMS)
    who = {
        "RuleName": "-",
        "UtcTime": f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}",
        "ProcessGuid": _guid(rnd, host),
        "ProcessId": str(4 * rnd.randrange(1, 5000)),
        "Image": image,
    }
    user = {"User": rnd.choice(_ACCOUNTS)}
    if event_id == 1:
        parent = rnd.choice(_PROGRAMS)
        return who | {
            "FileVersion": "10.0.19041.3636 (WinBuild.160101.0800)",
            "Description": "A program of this fleet",
            "Product": "Example Operating System",
            "Company": "Example Corporation",
            "OriginalFileName": image.rsplit("\\", 1)[-1],
            "CommandLine": f'"{image}" -k {rnd.getrandbits(64):x} --handle={rnd.randrange(9999)} /prefetch:8',
            "CurrentDirectory": "C:\\Windows\\system32\\",
            **user,
            "LogonGuid": _guid(rnd, host),
            "LogonId": f"0x{rnd.getrandbits(24):x}",
            "TerminalSessionId": str(rnd.randrange(4)),
            "IntegrityLevel": rnd.choice(("Medium", "High", "System")),
            "Hashes": f"MD5={rnd.getrandbits(128):032X},SHA256={rnd.getrandbits(256):064X}",
            "ParentProcessGuid": _guid(rnd, host),
            "ParentProcessId": str(4 * rnd.randrange(1, 5000)),
            "ParentImage": parent,
            "ParentCommandLine": f"{parent} -s {rnd.getrandbits(32):x}",
        }
    if event_id == 3:
        return who | user | {
            "Protocol": rnd.choice(("tcp", "tcp", "udp")),
            "Initiated": rnd.choice(("true", "true", "false")),
            "SourceIsIpv6": "false",
            "SourceIp": f"198.51.100.{host % 254 + 1}",
            "SourceHostname": f"ws-{host:03}.corp.example",
            "SourcePort": str(rnd.randrange(49152, 65536)),
            "SourcePortName": "-",
            "DestinationIsIpv6": "false",
            "DestinationIp": _address(rnd),
            "DestinationHostname": rnd.choice(("-", "www.example.com", "cdn.example.net")),
            "DestinationPort": rnd.choice(("443", "443", "80", "53", "8080")),
            "DestinationPortName": rnd.choice(("https", "-")),
        }  # fmt: skip
    if event_id == 5:
        return who | user
    target = rf"C:\Users\user{rnd.randrange(300)}\AppData\Local\Temp\{rnd.getrandbits(48):x}.tmp"
    return who | {"TargetFilename": target, "Details": f"{rnd.getrandbits(64):016x}", **user}


def _security(rnd: random.Random, event_id: int, host: int) -> dict[str, str]:
    image = rnd.choice(_PROGRAMS)
    subject = {
        "SubjectUserSid": f"S-1-5-21-1004336348-1177238915-682003330-{rnd.randrange(1000, 1300)}",
        "SubjectUserName": f"user{rnd.randrange(300)}",
        "SubjectDomainName": "EXAMPLE",
        "SubjectLogonId": f"0x{rnd.getrandbits(24):x}",
    }
    if event_id == 4688:
        return subject | {
            "NewProcessId": f"0x{4 * rnd.randrange(1, 5000):x}",
            "NewProcessName": image,
            "TokenElevationType": "%%1938",
            "ProcessId": f"0x{4 * rnd.randrange(1, 5000):x}",
            "CommandLine": f'"{image}" -k {rnd.getrandbits(64):x} --task {rnd.randrange(9999)}',
            "TargetUserSid": "S-1-0-0",
            "TargetUserName": "-",
            "TargetDomainName": "-",
            "TargetLogonId": "0x0",
            "ParentProcessName": rnd.choice(_PROGRAMS),
            "MandatoryLabel": rnd.choice(("S-1-16-8192", "S-1-16-12288", "S-1-16-16384")),
        }
    if event_id == 5156:
        return {
            "ProcessID": str(4 * rnd.randrange(1, 5000)),
            "Application": "\\device\\harddiskvolume2" + image[2:].lower(),
            "Direction": rnd.choice(("%%14593", "%%14592")),
            "SourceAddress": f"198.51.100.{host % 254 + 1}",
            "SourcePort": str(rnd.randrange(49152, 65536)),
            "DestAddress": _address(rnd),
            "DestPort": rnd.choice(("443", "80", "53", "445")),
            "Protocol": rnd.choice(("6", "17")),
            "FilterRTID": str(rnd.randrange(60000, 90000)),
            "LayerName": "%%14611",
            "LayerRTID": "48",
            "RemoteUserID": "S-1-0-0",
            "RemoteMachineID": "S-1-0-0",
        }
    return subject | {"ObjectServer": "Security", "HandleId": f"0x{rnd.getrandbits(12):x}", "ProcessName": image}


def as_flat(event: Event) -> str:
    """A flat JSON line as NXLog writes it: header and data as siblings, and the rendered message."""
    title = _TITLES.get(event.event_id, "An event")
    message = f"{title}:\r\n" + "\r\n".join(f"{k}: {v}" for k, v in event.data.items())
    head = {
        "@timestamp": f"{event.time:%Y-%m-%dT%H:%M:%S}.{event.time.microsecond // 1000:03}Z",
        "EventID": event.event_id,
        "SourceName": event.provider,
        "Channel": _CHANNELS[event.provider],
        "Hostname": event.host,
        "RecordNumber": event.number,
        "Severity": "INFO",
        "Keywords": -9223372036854775808,
    }
    return json.dumps({**head, **event.data, "Message": message})


def as_xml(event: Event) -> str:
    """An XML event as wevtutil and Splunk's XmlWinEventLog write it."""
    data = "".join(f"<Data Name='{k}'>{escape(v)}</Data>" for k, v in event.data.items())
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        f"<Provider Name='{event.provider}' Guid='{{5770385f-c22a-43e0-bf4c-06f5698ffbd9}}'/>"
        f"<EventID>{event.event_id}</EventID><Version>5</Version><Level>4</Level><Task>1</Task><Opcode>0</Opcode>"
        f"<Keywords>0x8000000000000000</Keywords><TimeCreated SystemTime='{event.time:%Y-%m-%dT%H:%M:%S.%f}000Z'/>"
        f"<EventRecordID>{event.number}</EventRecordID><Correlation/><Execution ProcessID='3284' ThreadID='5012'/>"
        f"<Channel>{_CHANNELS[event.provider]}</Channel><Computer>{event.host}</Computer>"
        f"<Security UserID='S-1-5-18'/></System><EventData>{data}</EventData></Event>"
    )


def _write(task: tuple[str, Path, int, int]) -> int:
    """Write one file of a format; returns its bytes before gzip."""
    kind, path, number, count = task
    size = 0
    write = as_flat if kind == "json" else as_xml
    with ExitStack() as stack:
        out: Any = stack.enter_context(path.open("wb"))
        if path.suffix == ".gz":
            out = stack.enter_context(gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6))
        out = stack.enter_context(io.BufferedWriter(out, 1 << 20))
        for event in events(count, seed=number, first=number * count):
            size += out.write(f"{write(event)}\n".encode())
    return size


def write_files(kind: str, folder: Path, records: int, evtx: list[Path]) -> dict[str, int]:
    """Write the files of a format; returns their number, records and bytes (JSON: before gzip)."""
    folder.mkdir()
    if kind == "evtx":
        return _write_repeated_evtx(evtx, folder, records)
    count = -(-records // FILES)
    # JSON: half of the files are gzip, since both are common.
    names = [f"{n}.json{'.gz' if n % 2 else ''}" if kind == "json" else f"{n}.xml" for n in range(FILES)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sizes = list(pool.map(_write, [(kind, folder / name, n, count) for n, name in enumerate(names)]))
    return {"files": FILES, "records": count * FILES, "bytes": sum(sizes)}


_HEADER, _CHUNK, _RECORDS_AT = 4096, 65536, 512
_CHUNKS_A_FILE = 320  # 20 MiB, which Windows gives the Security log by default


def _write_repeated_evtx(real_files: list[Path], folder: Path, records: int) -> dict[str, int]:
    """Write the chunks of real files again and again under new record numbers.

    Under their own numbers ingest would drop all but a few hundred records as duplicates.
    """
    header, chunks = b"", []
    for file in real_files:
        data = file.read_bytes()
        header = data[:_HEADER]
        pieces = [data[at : at + _CHUNK] for at in range(_HEADER, len(data), _CHUNK)]
        chunks += [(piece, _numbers(piece)) for piece in pieces if piece.startswith(b"ElfChnk\0")]
    made = files = size = 0
    while made < records:
        out = bytearray(header)
        # Fewer chunks a file for few records, so that there are as many files as of the other formats.
        wanted = min(records - made, -(-records // FILES))
        begun = made
        for _ in range(_CHUNKS_A_FILE):
            piece, places = chunks[(len(out) // _CHUNK + files) % len(chunks)]
            copy = bytearray(piece)
            for at in places:
                made += 1
                for place in at:
                    struct.pack_into("<Q", copy, place, 1_000_000 + made)
            out += copy
            if made - begun >= wanted:
                break
        struct.pack_into("<H", out, 42, (len(out) - _HEADER) // _CHUNK)
        (folder / f"{files}.evtx").write_bytes(out)
        files, size = files + 1, size + len(out)
    return {"files": files, "records": made, "bytes": size}


def _numbers(chunk: bytes) -> list[list[int]]:
    """Offsets of each record's number in a chunk: in the record's head, and in its System element."""
    (free,) = struct.unpack_from("<I", chunk, 48)
    at, found = _RECORDS_AT, []
    while at < free and chunk[at : at + 4] == b"**\0\0":
        (size,) = struct.unpack_from("<I", chunk, at + 4)
        number, places, place = chunk[at + 8 : at + 16], [], at + 8
        while 0 <= place < at + size:
            places.append(place)
            place = chunk.find(number, place + 8, at + size)
        found.append(places)
        at += size
    return found
