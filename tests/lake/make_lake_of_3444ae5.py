"""Makes lake_of_3444ae5.tar.xz: a lake of schema version 2, written by the code of commit 3444ae5.

    git worktree add /tmp/old 3444ae5
    PYTHONPATH=/tmp/old/lib python tests/lake/make_lake_of_3444ae5.py tests/lake/lake_of_3444ae5.tar.xz

All rows are made up. The lake has findings, a quarantined record, state of processes, and runs that succeeded, failed,
read nothing and caught up; the last ingest brought a late connection that no run has read.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from procnet.cli.main import main

DETECTION = """\
id: 5d2f6a10-7c1e-4c5b-9d5e-2a1b3c4d5e6f
name: Installer connects
version: 1
status: experimental
type: anomaly
description: An installer connects to any port.
data_sources: [Sysmon EventID 1, Sysmon EventID 3]
process:
  image: {process_name: msiexec.exe}
  condition: image
network:
  any_port: {dest_port|gte: 1}
  condition: any_port
lookback: 24h
risk:
  score: 25
  message: "{process_name} on {host} connected to {dest_ip}"
  objects: [{field: host, type: system}]
annotations: {mitre_attack: [T1218.007]}
false_positives: Name resolution.
misses: A service that started more than 24 h before.
cases:
  - name: a staging port
    processes: [{at: "10:00:00", process_id: 8, process_name: msiexec.exe}]
    connections: [{at: "10:00:05", process_id: 8, dest_ip: 203.0.113.7, dest_port: 8000}]
    expect: match
"""
SETTINGS = """\
lake: ./lake
detections: {folder: ./detections, enabled: [5d2f6a10]}
attribution: {state_over: 1h}
"""


def sysmon(event_id: int, host: str, time: str, process_id: str, **fields: str) -> dict[str, Any]:
    """A record of Sysmon as flat JSON."""
    at = f"2026-03-01T{time}Z"
    return {"EventID": event_id, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": host, "@timestamp": at,
            "ProcessId": process_id, **fields}  # fmt: skip


def start(host: str, time: str, process_id: str, image: str = "msiexec.exe") -> dict[str, Any]:
    """A process start."""
    return sysmon(1, host, time, process_id, Image=f"C:\\Windows\\System32\\{image}", CommandLine=f"{image} /i a.msi")


def connection(host: str, time: str, process_id: str, port: int = 443) -> dict[str, Any]:
    """A connection whose record does not name its process."""
    return sysmon(3, host, time, process_id, DestinationIp="203.0.113.7", DestinationPort=str(port), Initiated="true")


FIRST = [
    start("a", "11:50:00", "70"),
    connection("a", "11:55:00", "70"),
    connection("a", "12:05:00", "70"),
    connection("a", "12:10:00", "70", 8080),
    start("b", "12:00:00", "80", "chrome.exe"),
    connection("b", "12:20:00", "80"),
    connection("a", "13:05:00", "70"),
    connection("c", "13:30:00", "90"),
    connection("a", "15:10:00", "70"),
    sysmon(5, "a", "15:00:00", "many"),  # quarantined: the process id is no number
]
LATE_AND_CAUGHT_UP = [start("c", "13:29:00", "90")]
LATE_AND_NOT_READ = [connection("a", "12:30:00", "70")]


def hours(first: int, last: int) -> list[str]:
    """Options of a period of the day."""
    return ["--start", f"2026-03-01T{first}:00Z", "--end", f"2026-03-01T{last}:00Z"]


def make(folder: Path) -> None:
    """Makes the lake, its settings and its detection in the folder, by the commands that a user gives."""
    (folder / "detections").mkdir()
    (folder / "detections/installer.yml").write_text(DETECTION)
    (folder / "settings.yml").write_text(SETTINGS)
    os.chdir(folder)

    def run(command: str, *options: str, code: int = 0) -> None:
        found = main([command, "--conf", "settings.yml", *options])
        assert found == code, (command, options, found)

    def ingest(name: str, records: list[dict[str, Any]]) -> None:
        Path(name).write_text("".join(json.dumps(r) + "\n" for r in records))
        run("ingest", "--source", "windows_flat", name)

    run("init")
    ingest("first.jsonl", FIRST)
    for hour in (12, 13, 14):
        run("detect", *hours(hour, hour + 1))
    with patch("procnet.runs.detect.replace_findings", side_effect=RuntimeError("No space left on device")):
        run("detect", *hours(15, 16), code=4)
    run("backfill", "--chunk", "1h", *hours(10, 12))
    ingest("late.jsonl", LATE_AND_CAUGHT_UP)
    run("catch-up")
    ingest("later.jsonl", LATE_AND_NOT_READ)


def pack(folder: Path, archive: Path) -> None:
    """Packs all but checksum files, which readers do not need."""
    with tarfile.open(archive, "w:xz") as packed:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".crc", ".jsonl")):
            packed.add(path, path.relative_to(folder), filter=_without_owner)


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    archive = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch))
        pack(Path(scratch), archive)
