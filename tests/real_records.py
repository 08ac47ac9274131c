"""The real records that may lie beside a checkout, read by loops of a few lines into canonical rows.

Test code only: other tests compare the package's readers and mappings with the same records, so this module shares no
code with them. Tests skip if the records are absent.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = SHARED / "data"
TRUTH = SHARED / "truth" / "truth.parquet"
SCORE = SHARED / "truth" / "score.py"

KINDS = {1: "start", 4688: "start", 5: "end", 4689: "end", 3: "connection", 5156: "connection"}
NO_VALUE = {"", "-", "null", "unknown", "<unknown process>"}

Rows = list[dict[str, Any]]


def raw(folder: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(source, record, its event data) of a folder of `data`: `eqllib` or `mordor_subset/...`."""
    if folder == "eqllib":
        text = gzip.decompress((DATA / folder / "sysmon-rta.json.gz").read_bytes()).decode("utf-8-sig")
        for record in json.loads(text):
            yield "eqllib", record, record
        return
    source = {"mordor_flat": "windows_flat"}.get(Path(folder).name, Path(folder).name)
    for file in sorted((DATA / folder).glob("*.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                yield source, record, record.get("event_data") or record.get("winlog", {}).get("event_data") or record


def canonical(*folders: str) -> tuple[Rows, Rows]:
    """(process events, connections) of the folders, as canonical rows; other records are left out."""
    processes: Rows = []
    connections: Rows = []
    for folder in folders:
        for source, record, data in raw(folder):
            log = record.get("winlog", {})
            event_id = next(x for x in (*(record.get(k) for k in ("EventID", "EventId", "event_id")),
                                        log.get("event_id"), 0) if x is not None)  # fmt: skip
            if event_id not in KINDS:
                continue
            host = record.get("Hostname") or record.get("computer_name") or log.get("computer_name")
            row = {**common(source, event_id, record, data), "host": host.lower() if host else "rta-desktop"}
            if KINDS[event_id] == "connection":
                connections.append(complete({**row, **endpoints(event_id, data)}, NETWORK_EVENTS.names))
            else:
                row["event_kind"] = KINDS[event_id]
                processes.append(complete({**row, **image(data)}, PROCESS_EVENTS.names))
    return processes, connections


def common(source: str, event_id: int, record: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    security = event_id > 1000
    time = next(record[k] for k in ("@timestamp", "TimeCreated", "EventTime", "UtcTime") if k in record)
    at = datetime.fromisoformat(time.replace("Z", "")).replace(tzinfo=timezone.utc)
    process_id = {4688: data.get("NewProcessId"), 5156: data.get("ProcessID", data.get("ProcessId"))}.get(
        event_id, data.get("ProcessId")
    )
    if process_id is None and not security:
        # NXLog of 2020 overwrote the event's id with the sensor's own; the true one is only in the text.
        in_text = re.search(r"ProcessId: (\d+)", record.get("Message") or "")
        process_id = in_text and in_text[1]
    path = known(data.get("NewProcessName" if event_id == 4688 else "ProcessName" if event_id == 4689 else
                          "Application" if event_id == 5156 else "Image"))  # fmt: skip
    return {
        "event_time": at,
        "event_date": at.date(),
        "process_id": number(process_id),
        "process_guid": None if security else guid(data.get("ProcessGuid")),
        "process_path": path,
        "process_name": base(path),
        "vendor_product": "Microsoft Windows" if security else "Microsoft Sysmon",
        "source": source,
    }


def image(data: dict[str, Any]) -> dict[str, Any]:
    parent = known(data.get("ParentImage") or data.get("ParentProcessName"))
    return {
        "original_file_name": known(data.get("OriginalFileName")),
        "command_line": known(data.get("CommandLine")),
        "user": known(data.get("User")),
        "parent_process_path": parent,
        "parent_process_name": base(parent),
        "parent_process_guid": guid(data.get("ParentProcessGuid")),
    }


def endpoints(event_id: int, data: dict[str, Any]) -> dict[str, Any]:
    if event_id == 3:
        ip, port, initiated = data["DestinationIp"], data["DestinationPort"], data["Initiated"] == "true"
    else:
        ip, port, initiated = data["DestAddress"], data["DestPort"], data["Direction"] == "%%14593"
    return {"dest_ip": ip, "dest_port": number(port), "direction": "outbound" if initiated else "inbound"}


def complete(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: row.get(name) for name in names}


def known(value: str | None) -> str | None:
    return None if value is None or value.strip().lower() in NO_VALUE else value


def base(path: str | None) -> str | None:
    return re.split(r"[\\/]", path)[-1].lower() if path else None


def guid(value: str | None) -> str | None:
    bare = (known(value) or "").strip("{}").upper()
    return bare if bare.strip("0-") else None


def number(value: str | int | None) -> int | None:
    if value is None or value == "-":
        return None
    return (int(value, 0) if isinstance(value, str) else value) or None
