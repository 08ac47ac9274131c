"""Small random lakes of few hosts, ids and guids, which many events share, with times on every boundary.

A lake is a list of process rows and a list of connection rows, all with every canonical column. Its values come from
`choose`, so that Hypothesis and a seeded generator draw the same lakes. Times lie on whole seconds, as the tolerances
do, with a microsecond more or less now and then: ties and both sides of each boundary are common.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS

A = TypeVar("A")
Choose = Callable[[Sequence[Any]], Any]
Row = dict[str, Any]

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
HOSTS = ("a", "a", "a", "a", "a.corp.example", "a.corp.example", "b.corp.example", "10.0.0.1", "10.0.0.2", None)
PROCESS_IDS = (4, 4, 4, 4, 12, 12, 700, None)
GUIDS = (None, None, None, "G1", "G1", "G2", "G3")
NAMES = ("msiexec.exe", "msiexec.exe", "msiexec.exe", "python.exe", None)
SENSORS = (
    ("Microsoft Sysmon", "flat"), ("Microsoft Sysmon", "flat"), ("Microsoft Windows", "flat"),
    ("Microsoft Windows", "beats"), (None, "flat"), ("Microsoft Sysmon", None),
)  # fmt: skip
SECONDS = (0, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 10, 12, 13)
MICROSECONDS = (0, 0, 0, 0, 0, 0, -1, 1)
DESCRIBING = ("original_file_name", "command_line", "user", "user_id", "integrity_level", "process_hash",
        "parent_process_guid", "parent_process_name", "parent_process_path", "parent_command_line")  # fmt: skip


@dataclass(frozen=True)
class Lake:
    processes: list[Row]
    connections: list[Row]

    def smaller(self) -> list[Lake]:
        """Returns this lake with one row less, or with one value less: the candidates when a failing lake is shrunk."""
        found = []
        for part in ("processes", "connections"):
            rows = getattr(self, part)
            found += [replace(self, **{part: rows[:i] + rows[i + 1 :]}) for i in range(len(rows))]
            for i, row in enumerate(rows):
                spare = [k for k, v in row.items() if v is not None and k not in NEVER_REMOVED]
                found += [replace(self, **{part: [*rows[:i], {**row, k: None}, *rows[i + 1 :]]}) for k in spare]
        return found

    def __str__(self) -> str:
        def line(row: Row) -> str:
            known = {k: v for k, v in row.items() if v is not None and k not in ("event_time", "event_date")}
            return f"{row['event_time']:%H:%M:%S.%f} {known}"

        return "\n".join(["processes", *map(line, self.processes), "connections", *map(line, self.connections)])


NEVER_REMOVED = ("event_time", "event_date", "event_kind", "record_id")


def build(choose: Choose) -> Lake:
    processes = [process(choose, i) for i in range(choose((1, 2, 3, 4, 5, 6, 8)))]
    if choose((0, 0, 1)):
        processes.append({**choose(processes), "ingest_time": NOON})
    if choose((0, 1)):
        processes.append(second_record(choose, choose(processes)))
    connections = [connection(choose, i, choose(processes)) for i in range(choose((1, 2, 3, 4)))]
    if choose((0, 0, 1)):
        connections.append(dict(choose(connections)))
    return Lake(processes, connections)


def process(choose: Choose, number: int) -> Row:
    name = choose(NAMES)
    described = {column: choose((None, "x", "y")) for column in DESCRIBING}
    known = {**described, "process_name": name, "process_path": choose((None, rf"C:\{name}", rf"D:\{name}")),
             "parent_process_id": choose((None, 5, 40, 300))}  # fmt: skip
    return event(
        choose, PROCESS_EVENTS.names, number, {"event_kind": choose(("start", "start", "start", "end")), **known}
    )


def second_record(choose: Choose, row: Row) -> Row:
    """A second sensor's record of the same event, poorer or richer, a little earlier or later."""
    vendor_product, source = choose(SENSORS)
    lost = {column: choose((None, row[column], "z")) for column in ("process_guid", "command_line", "user")}
    return {**row, **lost, **at(row["event_time"] + near(choose)),
            "vendor_product": vendor_product, "source": source, "record_id": "again"}  # fmt: skip


def connection(choose: Choose, number: int, process: Row) -> Row:
    row = event(choose, NETWORK_EVENTS.names, number, {"process_name": choose(NAMES), "dest_port": choose((80, 443))})
    if choose((0, 1, 1, 1)):
        for column in ("host", "process_id", "process_guid", "process_name"):
            row[column] = choose((*[process[column]] * 6, None, row[column]))
        row |= at(process["event_time"] + later(choose))
    return row


def event(choose: Choose, names: Sequence[str], number: int, known: Row) -> Row:
    vendor_product, source = choose(SENSORS)
    row = {"host": choose(HOSTS), "process_id": choose(PROCESS_IDS), "process_guid": choose(GUIDS), **known,
           **at(NOON + after_noon(choose)), "vendor_product": vendor_product, "source": source,
           "record_id": str(number)}  # fmt: skip
    return {name: row.get(name) for name in names}


def after_noon(choose: Choose) -> timedelta:
    return timedelta(seconds=choose(SECONDS), microseconds=choose(MICROSECONDS))


def near(choose: Choose) -> timedelta:
    return timedelta(seconds=choose((-2, -1, 0, 1, 2)), microseconds=choose(MICROSECONDS))


def later(choose: Choose) -> timedelta:
    return timedelta(seconds=choose((-3, -2, -1, 0, 0, 1, 2, 3, 4, 5, 6)), microseconds=choose(MICROSECONDS))


def at(time: datetime) -> Row:
    return {"event_time": time, "event_date": time.date()}


@st.composite
def lakes(draw: st.DrawFn) -> Lake:
    return build(lambda options: draw(st.sampled_from(options)))


def drawn(count: int, number: int) -> list[Lake]:
    """Returns `count` lakes of Hypothesis, to be judged in one job: a Spark job each would take hours."""
    found: list[Lake] = []

    @seed(number)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(lakes())
    def collect(lake: Lake) -> None:
        found.append(lake)

    collect()
    return found


def seeded(count: int, seed: int) -> list[Lake]:
    """Returns `count` lakes of one seed: the same on every machine."""
    dice = random.Random(seed)
    return [build(dice.choice) for _ in range(count)]
