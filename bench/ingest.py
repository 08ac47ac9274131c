"""Ingest of JSON, XML and EVTX records against a bare Spark read of the same files: rows a second, and peak memory.

The records are made up, by a seed. EVTX cannot be written here: `--evtx FILE...` names real ones, whose chunks are
repeated under new record numbers; without it that format is left out. All lies in a temporary folder (4 to 5 GB for a
million records a format). Formats and steps are interleaved; the medians and the ratios are what counts.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import platform
import random
import shutil
import statistics
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.lake.tables import Lake
from procnet.runs.ingest import IngestReport, ingest
from procnet.session import open_session
from procnet.settings import Settings, load_settings
from procnet.sources.load import load_source
from procnet.sources.normalize import normalize
from procnet.sources.readers import read_files, read_raw, sort_out

SOURCES = {"json": "windows_flat", "xml": "windows_xml", "evtx": "evtx"}
STEPS = ("bare read", "records", "ingest")
FILES = 8
BEGIN = datetime(2026, 3, 1, tzinfo=timezone.utc)
HOURS, HOSTS = 36, 500

# --- made-up records ---

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
# A third is of events that nobody asks for; how often of a thousand each one comes.
_MIX = {
    (_SYSMON, 1): 120, (_SYSMON, 3): 200, (_SYSMON, 5): 110, (_SECURITY, 4688): 90, (_SECURITY, 5156): 147,
    (_SYSMON, 7): 60, (_SYSMON, 10): 70, (_SYSMON, 11): 40, (_SYSMON, 13): 50, (_SYSMON, 22): 30,
    (_SECURITY, 4624): 33, (_SECURITY, 4658): 50,
}  # fmt: skip
_TITLES = {1: "Process Create", 3: "Network connection detected", 5: "Process terminated"}


@dataclass(frozen=True)
class Event:
    """One record before it is written in a format."""

    provider: str
    event_id: int
    number: int
    time: datetime
    host: str
    data: dict[str, str]


def events(count: int, seed: int, first: int) -> Iterator[Event]:
    """Records of a fleet, in the order of their times; the same ones for the same arguments."""
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
    """As NXLog and its like write it: header and data side by side, and the rendered text once more."""
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
    """As wevtutil and Splunk's XmlWinEventLog write it."""
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
    """One file of a format; returns its bytes before gzip."""
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


def make(kind: str, folder: Path, records: int, evtx: list[Path]) -> dict[str, int]:
    """The files of a format; returns how many, their records and bytes (JSON: before gzip)."""
    folder.mkdir()
    if kind == "evtx":
        return _repeat_evtx(evtx, folder, records)
    count = -(-records // FILES)
    # JSON: gzip and plain, half each, as both come.
    names = [f"{n}.json{'.gz' if n % 2 else ''}" if kind == "json" else f"{n}.xml" for n in range(FILES)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sizes = list(pool.map(_write, [(kind, folder / name, n, count) for n, name in enumerate(names)]))
    return {"files": FILES, "records": count * FILES, "bytes": sum(sizes)}


_HEADER, _CHUNK, _RECORDS_AT = 4096, 65536, 512
_CHUNKS_A_FILE = 320  # 20 MiB, which Windows gives the Security log by default


def _repeat_evtx(real: list[Path], folder: Path, records: int) -> dict[str, int]:
    """The chunks of real files over and over, under new record numbers: else `distinct` would leave a few hundred."""
    header, chunks = b"", []
    for file in real:
        data = file.read_bytes()
        header = data[:_HEADER]
        pieces = [data[at : at + _CHUNK] for at in range(_HEADER, len(data), _CHUNK)]
        chunks += [(piece, _numbers(piece)) for piece in pieces if piece.startswith(b"ElfChnk\0")]
    made = files = size = 0
    while made < records:
        out = bytearray(header)
        # Fewer chunks a file where few records are asked for, so that there are as many files as of the other formats.
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
    """Where in a chunk each record has its number: in the record's head, and in its System element."""
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


# --- memory ---


@dataclass
class Memory(threading.Thread):
    """Resident memory of this process's JVM and of the Python workers below it, every half second, peaks by label."""

    label: str = ""
    peaks: dict[str, dict[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:  # threads are kept in sets
        return id(self)

    def run(self) -> None:
        """Until the process ends."""
        while True:
            if label := self.label:
                now = _resident()
                peaks = self.peaks.setdefault(label, {})
                for what, size in now.items():
                    peaks[what] = max(peaks.get(what, 0), size)
            time.sleep(0.5)


def _below() -> Iterator[tuple[int, str, list[str]]]:
    """Id, name and the further fields of /proc/ID/stat of every process below this one."""
    found: dict[int, tuple[str, list[str]]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path(f"/proc/{entry}/stat").read_text()
            except OSError:  # it has ended
                continue
            name, _, rest = text.partition("(")[2].rpartition(")")
            found[int(entry)] = name, rest.split()
    for pid, (name, fields) in found.items():
        above = int(fields[1])
        while above != os.getpid() and above in found:
            above = int(found[above][1][1])
        if above == os.getpid():
            yield pid, name, fields


def _resident() -> dict[str, int]:
    sizes = {"jvm": 0, "python workers": 0, "largest worker": 0}
    for _, name, fields in _below():
        size = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        if name == "java":
            sizes["jvm"] += size
        elif name.startswith("python"):
            sizes["python workers"] += size
            sizes["largest worker"] = max(sizes["largest worker"], size)
    return sizes


def _cpu() -> float:
    """Seconds of processor time of all processes below this one, ended ones included: other work hardly moves it."""
    return sum(sum(map(int, fields[11:15])) for _, _, fields in _below()) / os.sysconf("SC_CLK_TCK")


# --- what is timed ---


def bare(spark: SparkSession, kind: str, folder: Path) -> None:
    """Spark's own read of the files: lines, parsed to the source's record type. EVTX: the data source alone."""
    if kind == "evtx":
        _noop(read_files(spark, [str(f) for f in sorted(folder.iterdir())], "evtx"))
        return
    parse = F.from_xml if kind == "xml" else F.from_json
    record = load_source(SOURCES[kind]).record
    _noop(spark.read.text(str(folder)).select(parse("value", record)))


def records(spark: SparkSession, kind: str, folder: Path) -> None:
    """procnet's records, cleaned and judged, kept nowhere."""
    source = load_source(SOURCES[kind])
    files, _ = sort_out(source, [folder])
    _noop(normalize(read_raw(spark, source, files), source, ingest_time=datetime.now(timezone.utc)).records)


def whole(spark: SparkSession, kind: str, folder: Path, lake: Path) -> tuple[IngestReport, dict[str, float]]:
    """Ingest into a lake of its own; its report and the seconds of its stages. The lake is left to the caller."""
    settings = Settings(lake=lake)
    report = ingest(spark, settings, SOURCES[kind], [folder], now=datetime.now(timezone.utc))
    (run,) = Lake(spark, settings).read("runs").select("seconds").collect()
    return report, dict(run["seconds"])


def _noop(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


# --- the run ---


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000, help="of each format (default: 1000000)")
    parser.add_argument("--formats", default="json,xml,evtx")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evtx", type=Path, nargs="+", default=[], metavar="FILE", help="real .evtx files to repeat")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    kinds = [k for k in args.formats.split(",") if k != "evtx" or args.evtx]
    if unknown := set(kinds) - set(SOURCES):
        parser.error(f"--formats: {', '.join(sorted(unknown))}: known are {', '.join(SOURCES)}")
    if "evtx" in args.formats.split(",") and not args.evtx:
        print("EVTX is left out: name real files by --evtx, since nothing here can write one")
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Path(folder), kinds, args.records, args.rounds, args.evtx)
    show(told)
    if args.json:
        args.json.write_text(json.dumps(told, indent=2) + "\n")


def measure(folder: Path, kinds: list[str], count: int, rounds: int, evtx: list[Path]) -> dict[str, Any]:
    """Make the files, time every step `rounds` times, and say what came of it."""
    data = {kind: make(kind, folder / kind, count, evtx) for kind in kinds}
    for kind in kinds:
        make(kind, folder / f"warm-{kind}", min(count, 20_000), evtx)
    spark = open_session(load_settings(lake=folder / "lake").spark, lake=folder / "lake")
    memory = Memory()
    memory.start()
    seconds: dict[str, dict[str, list[float]]] = {kind: {step: [] for step in STEPS} for kind in kinds}
    cpu: dict[str, dict[str, list[float]]] = {kind: {step: [] for step in STEPS} for kind in kinds}
    stages: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    reports: dict[str, dict[str, Any]] = {}

    def timed(kind: str, step: str, files: Path) -> tuple[float, float]:
        lake = folder / "lake-of-one-run"
        used, mark = _cpu(), time.monotonic()
        if step == "bare read":
            bare(spark, kind, files)
        elif step == "records":
            records(spark, kind, files)
        else:
            report, laps = whole(spark, kind, files, lake)
            if files.name == kind:
                stages[kind].append(laps)
                reports[kind] = report.as_dict()
        took = time.monotonic() - mark, _cpu() - used
        shutil.rmtree(lake, ignore_errors=True)
        return took

    for turn in range(rounds + 1):
        for kind in kinds:
            for step in STEPS:
                if not turn:  # code is compiled on a few records
                    timed(kind, step, folder / f"warm-{kind}")
                    continue
                memory.label = f"{kind}, {step}"
                took, used = timed(kind, step, folder / kind)
                memory.label = ""
                seconds[kind][step].append(took)
                cpu[kind][step].append(used)
                print(f"round {turn}: {kind}, {step}: {took:.1f} s, {used:.1f} s of processor time", flush=True)
    java = spark.sparkContext._jvm.System.getProperty("java.version")
    heap = spark.conf.get("spark.driver.memory")
    spark.stop()
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, driver memory {heap}",
        "versions": {"python": platform.python_version(), "java": java, **_versions()},
        "rounds": rounds,
        "data": data,
        "seconds": seconds,
        "processor_seconds": cpu,
        "stages": stages,
        "memory": memory.peaks,
        "reports": reports,
    }


def _versions() -> dict[str, str]:
    told = {}
    for package in ("procnet", "pyspark", "delta-spark", "pyarrow", "evtx"):
        try:
            told[package] = version(package)
        except PackageNotFoundError:
            continue
    return told


def show(told: dict[str, Any]) -> None:
    """The figures for a person."""
    versions = ", ".join(f"{k} {v}" for k, v in told["versions"].items())
    print(f"\n{told['date']}, {told['machine']}, {told['rounds']} warm rounds\n{versions}")
    for kind, steps in told["seconds"].items():
        made, report = told["data"][kind], told["reports"][kind]
        added = " + ".join(f"{n:,} {table}" for table, n in report["new"].items() if n)
        copies = "; chunks of real files under new record numbers" if kind == "evtx" else ""
        print(f"\n{kind}: {made['records']:,} records, {made['bytes'] / 1e6:,.0f} MB in {made['files']} files{copies}")
        print(f"  read {report['read']:,}, added {added}, {report['duplicates']:,} duplicates")
        floor = statistics.median(steps["bare read"])
        for step, took in steps.items():
            used = statistics.median(told["processor_seconds"][kind][step])
            middle, peak = statistics.median(took), told["memory"].get(f"{kind}, {step}", {})
            print(
                f"  {step:10} median {middle:6.1f} s, {min(took):.1f} to {max(took):.1f}"
                f" | {made['records'] / middle:8,.0f} rows/s | {middle / floor:4.1f} x the bare read | CPU {used:.1f} s"
                f" | JVM {peak.get('jvm', 0) / 2**20:,.0f} MiB"
                f", Python workers {peak.get('python workers', 0) / 2**20:,.0f} MiB"
            )
        laps = told["stages"][kind]
        shares = (f"{stage} {statistics.median(lap[stage] for lap in laps):.1f} s" for stage in laps[0])
        print(f"  of the ingest: {', '.join(shares)}")


if __name__ == "__main__":
    main()
