"""Which processes are related to a finding, and which are not."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import SparkSession

from procnet.attribution.hosts import host_key
from procnet.contract import FINDINGS, NETWORK_EVENTS, PROCESS_EVENTS
from procnet.findings.related import connecting_children, near_starts, with_related
from procnet.settings import HostMatch

pytestmark = pytest.mark.spark

Row = dict[str, Any]

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
DAY = 24 * 3600
URL = "msiexec.exe /q /i http://192.0.2.7/a.msi"
SERVICE = {"process_id": 1952, "process_name": "msiexec.exe", "process": r"C:\w\msiexec.exe /V"}
CHILD = {"process_id": 700, "process_name": "a.exe", "process_time": NOON - timedelta(seconds=90),
         "parent_process_id": 40, "parent_process_name": "cmd.exe", "parent_process_guid": "P"}  # fmt: skip
# The record of its parent, with the parent's own parent.
SHELL = {"process_id": 40, "process_guid": "P", "process_name": "cmd.exe", "command_line": "cmd /c a",
         "parent_process_id": 5, "parent_process_name": "explorer.exe"}  # fmt: skip
NO_GUID = {"process_guid": None}


def start(before: float, process_id: int | None, line: str | None = URL, **values: Any) -> Row:
    event = {"event_time": NOON - timedelta(seconds=before), "event_kind": "start", "host": "ws.other"}
    return {**event, "process_id": process_id, "process_name": "msiexec.exe", "command_line": line, **values}


def shell(before: float, **values: Any) -> Row:
    return {**start(before, 40), **SHELL, **values}


def child(before: float, **values: Any) -> Row:
    ids = {"process_id": 9, "process_name": "b.exe", "parent_process_id": 700, "parent_process_name": "a.exe"}
    return {**start(before, 9, "b"), **ids, **values}


def connects(before: float, process_id: int = 9, **values: Any) -> Row:
    return {"event_time": NOON - timedelta(seconds=before), "host": "ws", "process_id": process_id, **values}


PARENTS = [("parent", 40), ("grandparent", 5)]

# A finding at noon, starts and connections on its host -> role and process id of the related processes, in order.
Case = tuple[Row, list[Row], list[Row], list[tuple[str, int | None]] | None]
CASES: dict[str, Case] = {
    "a client with the URL": (SERVICE, [start(4, 3880)], [], [("client", 3880)]),
    "a minute before, and more": (SERVICE, [start(60, 1), start(60.000001, 2)], [], [("client", 1)]),
    "a client after the connection": (SERVICE, [start(-0.000001, 1)], [], None),
    "the service itself, and its servers": (
        SERVICE, [start(4, 1952), start(4, 5, '"C:\\w\\msiexec.exe" /V'), start(3, 6, "MsiExec.exe -Embedding AB C")],
        [], None),
    "another program": (SERVICE, [start(4, 1, process_name="cmd.exe")], [], None),
    "a client on another host": (SERVICE, [start(4, 1, host="ws-2")], [], None),
    "an end": (SERVICE, [start(4, 1, event_kind="end")], [], None),
    "a client of no id": (SERVICE, [start(4, None)], [], None),
    "a client with an unknown command line": (SERVICE, [start(4, 1, None)], [], [("client", 1)]),
    "/VERYSILENT is no service": (SERVICE, [start(4, 1, "msiexec /VERYSILENT")], [], [("client", 1)]),
    "two sensors' records of one client": (
        SERVICE, [start(4, 1, None), start(3, 1, process_guid="G")], [], [("client", 1)]),
    "the earliest client first, five at most, the latest": (
        SERVICE, [start(n, n) for n in (7, 3, 5, 4, 6, 2)], [], [("client", n) for n in (6, 5, 4, 3, 2)]),
    "a finding of no service": ({**SERVICE, "process": URL}, [start(4, 1)], [], None),
    "a finding whose command line is unknown": ({**SERVICE, "process": None}, [start(4, 1)], [], None),

    "parent and grandparent": (CHILD, [shell(100)], [], PARENTS),
    "a parent of another host": (CHILD, [shell(100, host="ws-2")], [], None),
    "a parent known only by its id": (CHILD, [shell(100, **NO_GUID)], [], PARENTS),
    "a parent of another key": (CHILD, [shell(100, process_guid="Q")], [], None),
    "one key, two ids": (CHILD, [shell(100, process_id=41)], [], None),
    "the key before a later start of the id": (CHILD, [shell(100), shell(95, **NO_GUID)], [], PARENTS),
    "the latest start of the id": (
        CHILD, [shell(100, **NO_GUID, parent_process_id=1), shell(95, **NO_GUID)], [], PARENTS),
    "the id was taken by another program since": (
        CHILD, [shell(100, **NO_GUID), shell(95, **NO_GUID, process_name="b.exe")], [], None),
    "a parent that starts with its child, and one after it": (CHILD, [shell(90), shell(89.999999)], [], PARENTS),
    "a parent a day older, and more": (CHILD, [shell(90 + DAY)], [], PARENTS),
    "a parent more than a day older": (CHILD, [shell(90.000001 + DAY)], [], None),
    "no start of the process: before the connection": ({**CHILD, "process_time": None}, [shell(0)], [], PARENTS),
    "a parent whose own parent is not known": (
        CHILD, [shell(100, parent_process_id=None, parent_process_name=None)], [], [("parent", 40)]),
    "client and parent of a service": (
        {**SERVICE, "parent_process_id": 40, "process_time": NOON}, [start(4, 1), shell(100)], [],
        [("client", 1), *PARENTS]),

    "a child that connects": (CHILD, [child(1)], [connects(0)], [("child", 9)]),
    "a child that does not": (CHILD, [child(1)], [connects(0, 8)], None),
    "a child that connects after the finding": (CHILD, [child(-60)], [connects(-120)], [("child", 9)]),
    "a child later than a minute": (CHILD, [child(-60.000001)], [connects(-61)], None),
    "a child that connects later than a minute": (CHILD, [child(0)], [connects(-60.000001)], None),
    "a child of the id's earlier owner": (CHILD, [child(91)], [connects(0)], None),
    "a child of another program of the id": (CHILD, [child(1, parent_process_name="c.exe")], [connects(0)], None),
    "a child by the key of its parent": (
        {**CHILD, "process_guid": "A"}, [child(1, parent_process_id=None, parent_process_guid="A")], [connects(0)],
        [("child", 9)]),
    "a child of another key": (
        {**CHILD, "process_guid": "A"}, [child(1, parent_process_guid="B")], [connects(0)], None),
    "the child's id, another image": (CHILD, [child(1)], [connects(0, process_name="z.exe")], None),
    "the first five of the children": (
        CHILD, [child(1 - n, process_id=n, process_name=None) for n in (7, 3, 5, 4, 6, 2)],
        [connects(-10, n) for n in range(2, 8)], [("child", n) for n in (2, 3, 4, 5, 6)]),
}  # fmt: skip


@pytest.fixture(scope="module")
def related(spark: SparkSession) -> dict[str, Any]:
    """Case -> `related` of its finding. Every case has a host of its own; all in one job."""
    tables: tuple[list[Row], list[Row], list[Row]] = ([], [], [])
    for n, (name, (finding, starts, connections, _)) in enumerate(CASES.items()):
        row = {"finding_id": name, "event_time": NOON, **finding, "host": "ws.corp.example"}
        for table, case_rows in zip(tables, ([row], starts, connections), strict=True):
            table.extend({**row, "host": f"{n}{row['host']}"} for row in case_rows)
    schemas = (FINDINGS, PROCESS_EVENTS, NETWORK_EVENTS)
    findings, processes, network = [
        spark.createDataFrame([tuple(r.get(c) for c in schema.names) for r in rows], schema)
        for rows, schema in zip(tables, schemas, strict=True)
    ]
    near = near_starts(findings, processes, host_key("host", HostMatch.SHORT))
    near = spark.createDataFrame(near.toArrow(), near.schema)
    collected = with_related(
        findings, near, connecting_children(near, network, host_key("host", HostMatch.SHORT))
    ).collect()
    assert len(collected) == len(CASES)
    return {r["finding_id"]: r["related"] for r in collected}


@pytest.mark.parametrize("case", CASES)
def test_related_processes(related: dict[str, Any], case: str) -> None:
    processes = related[case]
    assert (None if processes is None else [(p["role"], p["process_id"]) for p in processes]) == CASES[case][3]


def test_fields_of_related_processes(related: dict[str, Any]) -> None:
    (client,) = related["a client with the URL"]
    assert (client["process"], client["process_name"]) == (URL, "msiexec.exe")
    (more_complete,) = related["two sensors' records of one client"]
    assert (more_complete["process_guid"], more_complete["process"]) == ("G", URL)
    parent, grandparent = related["parent and grandparent"]
    assert (parent["process"], parent["process_guid"]) == ("cmd /c a", "P")
    assert parent["process_time"].timestamp() == NOON.timestamp() - 100
    assert (grandparent["process_name"], grandparent["process"], grandparent["process_time"]) == (
        "explorer.exe",
        None,
        None,
    )
