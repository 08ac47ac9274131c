"""For a connection that is complete, the events at hand give the oracle's answer from all events."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from oracle import attribute, host_key
from procnet.periods import EPOCH, micros
from procnet.settings import HostMatch, Tolerances
from procnet.state.completeness import Connection, EventsAtHand
from random_lakes import NOON, Lake, Row, seeded

AGES = (timedelta(seconds=4), timedelta(seconds=9))
TOLERANCES = (Tolerances(), Tolerances(timedelta(0), timedelta(0), timedelta(0)))
EVENTS = pa.schema(
    [("host_key", pa.string()), ("process_id", pa.int64()), ("process_guid", pa.string()),
     *((n, pa.timestamp("us", "UTC")) for n in ("event_time", "pid_complete_from", "guid_complete_from")),
     ("event_kind", pa.string()), ("process_name", pa.string())]
)  # fmt: skip


def key(row: Row) -> str | None:
    return host_key(row["host"], HostMatch.SHORT)


def at_hand(lake: Lake, known_from: datetime, tolerance: timedelta, dice: random.Random) -> tuple[list[Row], pa.Table]:
    """The events from a time on, and those of some keys from earlier times on: as rows and as a table."""
    since: dict[tuple[str | None, str, object], datetime] = {}
    for row in dice.sample(lake.processes, dice.randint(0, len(lake.processes))):
        first = min(known_from, row["event_time"]) - timedelta(seconds=dice.choice((0, 0, 0, 30)))
        for column in ("process_id", "process_guid"):
            if row[column] is not None and dice.random() < 0.8:
                since.setdefault((key(row), column, row[column]), first)

    def complete_from(row: Row, column: str) -> datetime | None:
        return since.get((key(row), column, row[column]))

    rows, events = [], []
    for row in lake.processes:
        since_of_ids = [complete_from(row, column) for column in ("process_id", "process_guid")]
        if any(row["event_time"] >= s - tolerance for s in (known_from, *since_of_ids) if s is not None):
            rows.append(row)
            events.append({**{n: row.get(n) for n in EVENTS.names}, "host_key": key(row),
                          "pid_complete_from": since_of_ids[0], "guid_complete_from": since_of_ids[1]})  # fmt: skip
    for (host, column, value), first in since.items():
        events.append({"host_key": host, column: value, "event_kind": None, "event_time": NOON,
                      "pid_complete_from": first, "guid_complete_from": first})  # fmt: skip
    return rows, pa.Table.from_pylist(events, EVENTS)


def connection(row: Row, age: timedelta) -> Connection:
    time = micros(row["event_time"] - EPOCH)
    return Connection(key(row), row["process_id"], row["process_guid"], time, micros(age), row["process_name"])


def compared(lakes: Sequence[Lake], tolerances: Tolerances, dice: random.Random) -> tuple[int, int]:
    """Returns the number of connections that are complete although events are not at hand, and that of the others."""
    complete = open_ = 0
    for lake in lakes:
        start = NOON + timedelta(seconds=dice.randint(1, 9))
        known_from = start - tolerances.start_tolerance
        rows, events = at_hand(lake, known_from, tolerances.start_tolerance, dice)
        at_hand_events = EventsAtHand(events, micros(known_from - EPOCH), tolerances)
        for row in (c for c in lake.connections if c["event_time"] >= start):
            if not at_hand_events.are_complete_for(connection(row, max(AGES))):
                open_ += 1
                continue
            complete += len(rows) < len(lake.processes)
            for age in AGES:
                few, all_ = (attribute(r, [row], max_age=age, tolerances=tolerances)[0] for r in (rows, lake.processes))
                assert few == all_, f"{row}\nof {start}, age {age}\n{lake}\nat hand\n{events.to_pylist()}"
    return complete, open_


def denser(lake: Lake) -> Lake:
    """Returns the lake on one host, with fewer process ids and guids."""

    def same(row: Row) -> Row:
        pid = row["process_id"] and min(row["process_id"], 12)
        return {**row, "host": "a", "process_id": pid, "process_guid": row["process_guid"] and row["process_guid"][:1]}

    return Lake([same(r) for r in lake.processes], [same(r) for r in lake.connections])


@pytest.mark.parametrize("tolerances", [TOLERANCES[0], pytest.param(TOLERANCES[1], marks=pytest.mark.long)])
def test_complete_connections_are_answered_as_by_all_events(tolerances: Tolerances) -> None:
    lakes = seeded(5000, 21)
    complete, open_ = compared([*lakes[:1500], *map(denser, lakes[1500:])], tolerances, random.Random(21))
    assert min(complete, open_) > 300
