"""A job of a few records: ingest, detect, late records, catch-up. The late records add findings and remove one.

Its lake may be a folder or a URL; the findings are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from installer_lake import SELECTION

PERIOD = ("--start", "2026-03-01T12:00Z", "--end", "2026-03-01T14:00Z")
_SYSMON = {"Channel": "Microsoft-Windows-Sysmon/Operational", "EventID": 1}


def start(host: str, time: str, process: int, image: str = "msiexec.exe", **fields: Any) -> dict[str, Any]:
    """A record of Sysmon's event 1."""
    at = f"2026-03-01T{time}:00Z"
    return _SYSMON | {"Hostname": host, "@timestamp": at, "ProcessId": str(process), "Image": f"C:\\{image}"} | fields


def connection(host: str, time: str, process: int, port: int = 443) -> dict[str, Any]:
    """A record of Sysmon's event 3 without the process's name: its finding needs the start."""
    return start(host, time, process) | {
        "EventID": 3, "Image": None, "DestinationIp": "203.0.113.7", "DestinationPort": str(port), "Initiated": "true",
    }  # fmt: skip


RAW = {
    "early.jsonl": [
        start("a", "12:00", 70),
        connection("a", "12:15", 70),
        connection("a", "13:15", 70),
        connection("a", "13:45", 70),
        connection("b", "12:30", 71),  # its start is late
        connection("b", "13:30", 71),
        {"EventID": 3, "Channel": "no time", "Hostname": "b"},
    ],
    "late.jsonl": [
        start("b", "12:05", 71),
        start("a", "13:30", 70, "svchost.exe"),  # it ends the instance that the connection of 13:45 was given to
        connection("a", "12:45", 70),
    ],
}
EXPECTED = [("a", "12:15"), ("a", "12:45"), ("a", "13:15"), ("b", "12:30"), ("b", "13:30")]


def first_detection(findings: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Host and time of the findings of the first detection of SELECTION, sorted."""
    own = (f for f in findings if f["detection_id"] == SELECTION.detections[0].id)
    return sorted((f["host"], f"{f['event_time']:%H:%M}") for f in own)


def write_job(folder: Path, lake: Path | str, **settings: Any) -> Path:
    """Writes the job's records and its settings into `folder`; returns the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in RAW.items():
        (folder / name).write_text("".join(f"{json.dumps(r)}\n" for r in records))
    values = {
        "lake": str(lake),
        "detections": {"enabled": [d.id for d in SELECTION.detections]},
        "s3_commits": "one writer only",
        **settings,
    }
    conf = folder / "conf.yml"
    conf.write_text(yaml.safe_dump(values))
    return conf


def commands(conf: Path) -> list[tuple[str, ...]]:
    """The commands of the job, in order."""

    def ingest(name: str) -> tuple[str, ...]:
        return ("ingest", "--conf", str(conf), "--source", "windows_flat", str(conf.parent / name))

    detect = ("detect", "--conf", str(conf), *PERIOD)
    return [ingest("early.jsonl"), detect, ingest("late.jsonl"), ("catch-up", "--conf", str(conf))]
