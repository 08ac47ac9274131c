"""The original search on a few rows: right rows, wrong rows, missed answers, and their reasons."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.demo.scene import Answer
from procnet.demo.splunk_search import OUTPUT, score_splunk_search, splunk_pairs, splunk_search
from procnet.periods import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
PERIOD = Window(NOON, NOON + timedelta(hours=2))


def at(minute: float) -> dict[str, Any]:
    time = NOON + timedelta(minutes=minute)
    return {"event_time": time, "event_date": time.date()}


def start(minute: float, host: str, process_id: int | None, name: str = "msiexec.exe", **more: Any) -> dict[str, Any]:
    return {**at(minute), "event_kind": "start", "host": host, "process_id": process_id, "process_name": name, **more}


def connection(minute: float, host: str, process_id: int | None, ip: str, port: int = 443) -> dict[str, Any]:
    return {
        **at(minute),
        "host": host,
        "process_id": process_id,
        "dest_ip": ip,
        "dest_port": port,
        "user": f"on-{host}",
    }


def answer(minute: float, host: str, process_id: int, ip: str, started: float | None) -> Answer:
    time = None if started is None else NOON + timedelta(minutes=started)
    known = "event" if started is None else "host_pid"
    return Answer(host, process_id, None, time, NOON + timedelta(minutes=minute), ip, 443, known, "by hand")


PROCESSES = [
    start(1, "ws-1.example", 10, command_line="msiexec /i right", original_file_name="msiexec.exe"),
    start(1, "ws-1.example", 20),
    start(40, "ws-1.example", 30),
    start(1, "ws-1.example", 40),
    start(2, "ws-1.example", None),
    start(5, "ws-1.example", 50, name="update.exe", original_file_name="MSIEXEC.EXE"),
    start(1, "ws-1.example", 60, name="chrome.exe"),
    {**start(1, "ws-1.example", 70), "event_kind": "end"},
    start(50, "ws-1.example", 80),
]
CONNECTIONS = [
    connection(2, "ws-1", 10, "203.0.113.1"),  # right, though the host is written in another way
    connection(3, "ws-1.example", 10, "203.0.113.2"),  # a second one of the same process: one row a process id (D2)
    connection(2, "ws-2.example", 20, "203.0.113.3"),  # the id of another host (D1)
    connection(30, "ws-1.example", 30, "203.0.113.4"),  # before the process began (D6)
    connection(20, "ws-1.example", 40, "203.0.113.5"),  # python has the id by then (D5)
    connection(6, "ws-1.example", None, "203.0.113.6"),  # null joins null (D4)
    {  # right, by its original file name
        **connection(7, "ws-1.example", 50, "203.0.113.7"),
        "dest_host": "recorded.example",
        "dest_name": "asked.example",
    },
    connection(2, "ws-1.example", 60, "203.0.113.8"),  # no msiexec
    connection(2, "ws-1.example", 70, "203.0.113.9"),  # an end is no start
    connection(65, "ws-1.example", 80, "203.0.113.10"),  # the process began in the hour before (D7)
    connection(66, "ws-1.example", 90, "203.0.113.11"),  # no start at all: the record names it (D7)
    connection(8, "ws-1.example", 10, "203.0.113.12", 8080),  # a port that the search does not include
]
ANSWERS = (
    answer(2, "ws-1", 10, "203.0.113.1", 1),
    answer(3, "ws-1.example", 10, "203.0.113.2", 1),
    answer(7, "ws-1.example", 50, "203.0.113.7", 5),
    answer(65, "ws-1.example", 80, "203.0.113.10", 50),
    answer(66, "ws-1.example", 90, "203.0.113.11", None),
)


@pytest.fixture(scope="module")
def sides(spark: SparkSession) -> list[Any]:
    return [
        spark.createDataFrame([tuple(r.get(n) for n in schema.names) for r in rows], schema)
        for rows, schema in ((PROCESSES, PROCESS_EVENTS), (CONNECTIONS, NETWORK_EVENTS))
    ]


def collected(rows: list[Row]) -> list[dict[str, Any]]:
    return [{**r.asDict(), "connection_time": r.connection_time.astimezone(timezone.utc)} for r in rows]


@pytest.mark.spark
def test_right_wrong_and_missed_are_counted(sides: list[Any]) -> None:
    rows = collected(splunk_pairs(*sides, PERIOD).collect())
    assert sorted(r["dest_ip"] for r in rows) == [f"203.0.113.{i}" for i in (1, 3, 4, 5, 6, 7)]
    score = score_splunk_search(rows, ANSWERS, start=PERIOD.start)
    assert (score.rows, score.wrong, score.missed) == (6, 4, 3)
    assert {why[-4:]: n for why, n in score.why_wrong.items()} == {"(D1)": 1, "(D6)": 1, "(D5)": 1, "(D4)": 1}
    assert score.why_missed == {
        "only one arbitrary connection per process (D2)": 1,
        "the process started before the hour (D7)": 1,
        "the process start is not recorded within a day: only the connection names it (D7)": 1,
    }


@pytest.mark.spark
def test_the_output_is_the_searchs_own_and_the_right_side_is_cut(sides: list[Any]) -> None:
    rows = splunk_search(*sides, PERIOD)
    assert tuple(rows.columns) == OUTPUT
    by_address = {r.dest_ip: r for r in rows.collect()}
    assert by_address["203.0.113.7"].dest == "recorded.example", "the search knows what the record says, and no more"
    first = by_address["203.0.113.1"]
    assert (first.user, first.dest, first.process, first.process_id) == (
        "on-ws-1", "203.0.113.1", "msiexec /i right", "10",
    ), "user and dest are the connection's: overwrite=true"  # fmt: skip
    assert first.parent_process_name == "null"
    assert splunk_search(*sides, PERIOD, limit=2).count() < 6
