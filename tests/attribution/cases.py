"""Hand-written lakes of a few rows, each with the answer that one sentence of docs/semantics.md (R1, R2) requires.

Times are seconds after noon. A start is named by its record_id, and a case expects (attribution, record_id of the start
or None, other fields of the instance). `EPS` is the smallest step of a clock, for the two sides of each boundary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from random_lakes import NOON, Lake, Row, at

EPS = 0.000001
MAX_AGE = timedelta(seconds=60)

SYSMON = {"vendor_product": "Microsoft Sysmon", "source": "flat"}
SECURITY = {"vendor_product": "Microsoft Windows", "source": "flat"}
BEATS = {"vendor_product": "Microsoft Windows", "source": "beats"}
MSI = {"process_name": "msiexec.exe"}
PYTHON = {"process_name": "python.exe"}


def second(after_noon: float) -> datetime:
    return NOON + timedelta(microseconds=round(after_noon * 1_000_000))


def row(names: list[str], time: float, values: Row) -> Row:
    known = {"host": "a", "process_id": 4, **SYSMON, **at(second(time)), **values}
    return {name: known.get(name) for name in names}


def start(record_id: str, time: float, **values: Any) -> Row:
    return row(PROCESS_EVENTS.names, time, {"event_kind": "start", "record_id": record_id, **values})


def end(time: float, **values: Any) -> Row:
    return row(PROCESS_EVENTS.names, time, {"event_kind": "end", "record_id": "end", **values})


def connection(time: float, **values: Any) -> Row:
    return row(NETWORK_EVENTS.names, time, {"record_id": "c", **values})


@dataclass(frozen=True)
class Case:
    name: str
    processes: list[Row]
    connection: Row
    attribution: str
    record_id: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.processes, [self.connection])


def guid(name: str, processes: list[Row], conn: Row, record_id: str, **fields: Any) -> Case:
    return Case(name, processes, conn, "guid", record_id, fields)


def host_pid(name: str, processes: list[Row], conn: Row, record_id: str, **fields: Any) -> Case:
    return Case(name, processes, conn, "host_pid", record_id, fields)


def nobody(name: str, processes: list[Row], conn: Row) -> Case:
    return Case(name, processes, conn, "event" if conn["process_name"] else "none")


HOSTS_AND_NULLS = [
    host_pid("a host with and without its domain is one", [start("s", 0, host="a.corp.example")], connection(1), "s"),
    nobody("another host", [start("s", 0, host="b")], connection(1)),
    nobody("an address is not cut at its dots", [start("s", 0, host="10.0.0.1")], connection(1, host="10.0.0.2")),
    nobody("no host joins no host", [start("s", 0, host=None, process_guid="G")],
           connection(1, host=None, process_guid="G")),
    nobody("no ids join no ids", [start("s", 0, process_id=None)], connection(1, process_id=None)),
]  # fmt: skip

TWO_SENSORS = [
    guid("the record with a guid leads and is filled",
         [start("4688", 0, **SECURITY, **MSI, command_line="/V"), start("1", 0.5, **MSI, process_guid="G")],
         connection(3, process_guid="G"), "1", command_line="/V", process_time=second(0.5)),
    host_pid("a filled field that is known stays",
             [start("1", 0, **MSI, process_guid="G", user="u"), start("4688", 0.5, **SECURITY, **MSI, user="v")],
             connection(3), "1", user="u", process_end_time=None),
    host_pid("two seconds apart are one start",
             [start("1", 0, **MSI, process_guid="G"), start("4688", 2, **SECURITY, **MSI)], connection(3), "1"),
    host_pid("beyond that are two",
             [start("1", 0, **MSI, process_guid="G"), start("4688", 2 + EPS, **SECURITY, **MSI)], connection(3), "4688"),
    host_pid("another image is another start",
             [start("1", 0, **MSI, process_guid="G"), start("4688", 1, **SECURITY, **PYTHON)], connection(3), "4688"),
    host_pid("an unknown image is another start",
             [start("1", 0, process_guid="G"), start("4688", 1, **SECURITY)], connection(3), "4688"),
    host_pid("two records of one sensor are two starts",
             [start("1", 0, **MSI, process_guid="G"), start("2", 1, **MSI)], connection(3), "2"),
    host_pid("two guids are two starts",
             [start("1", 0, **MSI, process_guid="G"), start("2", 1, **SECURITY, **MSI, process_guid="H")],
             connection(3), "2"),
    host_pid("another id is another start",
             [start("1", 0, **MSI, process_guid="G"), start("2", 0, **SECURITY, **MSI, process_id=12)],
             connection(3, process_id=12), "2"),
    host_pid("an absorbed record absorbs, though its own leader is too far away",
             [start("1", 0, **MSI, process_guid="G"), start("2", 2, **BEATS, **MSI), start("3", 4, **SECURITY, **MSI)],
             connection(5), "1", process_end_time=None),
    host_pid("without guids the sensor that sorts first leads",
             [start("1", 0, **MSI), start("4688", 1, **SECURITY, **MSI)], connection(3), "1"),
    host_pid("a guid leads, whatever its sensor",
             [start("1", 1, **MSI), start("2", 0, **SECURITY, **MSI, process_guid="G")], connection(3), "2"),
    host_pid("the first record begins the instance, the leader has its time",
             [start("4688", 0, **SECURITY, **MSI), start("1", 1.5, **MSI, process_guid="G")], connection(0.1), "1",
             process_time=second(1.5)),
    guid("records without an id are not compared",
         [start("1", 0, process_id=None, process_guid="G", **MSI),
          start("2", 1, process_id=None, process_guid="G", **MSI, **SECURITY)], connection(2, process_guid="G"), "2"),
    host_pid("then the source that sorts first",
             [start("2", 1, **SECURITY, **MSI), start("1", 0, **BEATS, **MSI)], connection(3), "1"),
    host_pid("fields come from the better record, though it is later",
             [start("1", 1, **MSI, process_guid="G"), start("2", 0, **SECURITY, **MSI, user="far"),
              start("3", 2, **BEATS, **MSI, user="near")], connection(3), "1", user="near"),
    host_pid("then from the earlier",
             [start("1", 1, **MSI, process_guid="G"), start("2", 2, **SECURITY, **MSI, user="late"),
              start("3", 0, **SECURITY, **MSI, user="early", process_path="Z")], connection(3), "1", user="early"),
    host_pid("then from the lesser text",
             [start("1", 1, **MSI, process_guid="G"), start("2", 2, **SECURITY, **MSI, user="b"),
              start("3", 2, **SECURITY, **MSI, user="a")], connection(3), "1", user="a"),
]  # fmt: skip

TIES = [
    host_pid("the greater guid owns the id", [start("h", 0, process_guid="H"), start("g", 0, process_guid="G")],
             connection(1), "h"),
    host_pid("a guid before none", [start("g", 0, process_guid="G"), start("n", 0, process_path="Z")],
             connection(1), "g"),
    host_pid("the greater path", [start("a", 0, process_path="A", command_line="Z"), start("b", 0, process_path="B")],
             connection(1), "b"),
    host_pid("then the greater command line", [start("b", 0, command_line="B"),
             start("a", 0, command_line="A", original_file_name="Z")], connection(1), "b"),
    host_pid("then the rest as text", [start("40", 0, parent_process_id=40), start("5", 0, parent_process_id=5)],
             connection(1), "5"),
    nobody("the loser has an empty interval", [start("h", 0, **PYTHON, process_guid="H"), start("g", 0, **MSI, process_guid="G")],
           connection(1, **MSI)),
    nobody("nor is it matched early", [start("h", 0.5, **PYTHON, process_guid="H"), start("g", 0.5, **MSI, process_guid="G")],
           connection(0, **MSI)),
    guid("the loser answers by its guid, ended as it began",
         [start("h", 0, process_guid="H"), start("g", 0, process_guid="G")], connection(3, process_guid="G"), "g",
         process_end_time=second(0)),
    host_pid("an instant with two starts is one boundary",
             [start("1", 0, process_guid="G"), start("g", 2, process_guid="G"), start("h", 2, process_guid="H")],
             connection(1), "1", process_end_time=second(2)),
    guid("a start without an id answers by its guid, open", [start("n", 0, process_id=None, process_guid="G")],
         connection(1, process_guid="G"), "n", process_end_time=None, process_id=None),
    nobody("and by nothing else", [start("n", 0, process_id=None, process_guid="G")], connection(1, process_id=None)),
]  # fmt: skip

ENDS = [
    host_pid("an end event ends", [start("s", 0), end(3)], connection(2), "s", process_end_time=second(3)),
    host_pid("of two the earlier", [start("s", 0), end(4), end(3)], connection(2), "s", process_end_time=second(3)),
    nobody("an end event at its start's instant ends it", [start("s", 1), end(1)], connection(6 + EPS)),
    host_pid("an end event before its start does not", [start("s", 1), end(1 - EPS)], connection(9), "s"),
    nobody("an end event at the next start's instant is the next one's",
           [start("1", 0, **MSI), start("2", 3, **PYTHON), end(3)], connection(4, **MSI)),
    host_pid("an end event of another guid is ignored", [start("s", 0, process_guid="G"), end(1, process_guid="H")],
             connection(9), "s", process_end_time=None),
    host_pid("an end event without a guid is not", [start("s", 0, process_guid="G"), end(3)], connection(2), "s",
             process_end_time=second(3)),
    nobody("an end goes to no earlier start",
           [start("1", 0, **MSI, process_guid="G"), start("2", 3, **PYTHON, process_guid="H"), end(4, process_guid="G")],
           connection(5, **MSI)),
    host_pid("the next start ends, whatever its image", [start("1", 0, **MSI), start("2", 3, **PYTHON)],
             connection(2), "1", process_end_time=second(3)),
    host_pid("the next of many", [start("1", 0), start("3", 4), start("2", 2)], connection(1), "1",
             process_end_time=second(2)),
    nobody("a process whose id python.exe took over is gone", [start("1", 0, **MSI), start("2", 3, **PYTHON)],
           connection(4, **MSI)),
    host_pid("an absorbed start is no boundary",
             [start("1", 0, **MSI, process_guid="G"), start("4688", 1, **SECURITY, **MSI)], connection(2), "1",
             process_end_time=None),
    host_pid("an end event on another id ends nothing", [start("s", 0), end(1, process_id=12)], connection(9), "s"),
    host_pid("an end event on another host ends nothing", [start("s", 0), end(1, host="b")], connection(9), "s"),
]  # fmt: skip

BY_GUID = [
    guid("a guid, though the process ended long ago", [start("s", 0, process_guid="G"), end(1)],
         connection(50, process_guid="G"), "s", process_end_time=second(1)),
    guid("before the instance that has the id", [start("1", 0, process_guid="G"), start("2", 3)],
         connection(4, process_guid="G"), "1"),
    guid("as old as max_age", [start("s", 0, process_guid="G")], connection(60, process_guid="G"), "s"),
    nobody("not older", [start("s", 0, process_guid="G")], connection(60 + EPS, process_guid="G")),
    guid("as late as clock_skew", [start("s", 1, process_guid="G")], connection(0, process_guid="G"), "s"),
    nobody("not later", [start("s", 1 + EPS, process_guid="G")], connection(0, process_guid="G")),
    nobody("not on another host", [start("s", 0, process_guid="G", host="b")], connection(1, process_guid="G")),
    nobody("not across process ids", [start("s", 0, process_guid="G", process_id=12)], connection(1, process_guid="G")),
    guid("a connection without an id", [start("s", 0, process_guid="G")],
         connection(1, process_guid="G", process_id=None), "s", process_id=4),
    nobody("but not where the guid is shared across ids",
           [start("1", 0, process_guid="G"), start("2", 0, process_guid="G", process_id=12)],
           connection(1, process_guid="G", process_id=None)),
    guid("shared within reach, that is",
         [start("1", 0, process_guid="G"), start("2", 2, process_guid="G", process_id=12)],
         connection(61, process_guid="G", process_id=None), "2"),
    guid("the latest before", [start("1", 0, process_guid="G"), start("2", 3, process_guid="G")],
         connection(3, process_guid="G"), "2"),
    guid("rather than one after, however near", [start("1", 0, process_guid="G"), start("2", 4, process_guid="G")],
         connection(4 - EPS, process_guid="G"), "1"),
    guid("else the earliest after", [start("1", 4.2, process_guid="G"), start("2", 4.1, process_guid="G")],
         connection(4, process_guid="G"), "2"),
    guid("at one instant the greater", [start("a", 0, process_guid="G", command_line="A"),
         start("b", 0, process_guid="G", command_line="B")], connection(1, process_guid="G"), "b"),
    guid("the image does not matter", [start("s", 0, process_guid="G", **MSI)], connection(1, process_guid="G", **PYTHON),
         "s"),
]  # fmt: skip

BY_HOST_AND_ID = [
    host_pid("at the instant of the start", [start("1", 0), start("2", 3)], connection(3), "2"),
    host_pid("not yet the next", [start("1", 0), start("2", 3)], connection(3 - EPS), "1"),
    host_pid("as old as max_age", [start("s", 0)], connection(60), "s"),
    nobody("not older", [start("s", 0)], connection(60 + EPS)),
    host_pid("names agree", [start("s", 0, **MSI)], connection(1, **MSI), "s"),
    nobody("names differ", [start("s", 0, **MSI)], connection(1, **PYTHON)),
    nobody("guids differ", [start("s", 0, process_guid="G")], connection(1, process_guid="H")),
    host_pid("one guid unknown", [start("s", 0)], connection(1, process_guid="H"), "s"),
    host_pid("as late as end_grace", [start("s", 0), end(1)], connection(6), "s", process_end_time=second(1)),
    nobody("not later", [start("s", 0), end(1)], connection(6 + EPS)),
    host_pid("at the instant of the end", [start("s", 0), end(1)], connection(1), "s"),
    nobody("late, and older than max_age", [start("s", 0), end(59)], connection(60 + EPS)),
    nobody("late, and another image", [start("s", 0, **MSI), end(1)], connection(2, **PYTHON)),
    host_pid("late, when the instance at the time is refused",
             [start("1", 0, **MSI), end(3), start("2", 4, **PYTHON)], connection(5, **MSI), "1"),
    host_pid("the instance at the time comes first",
             [start("1", 0, **MSI), end(3), start("2", 4, **MSI)], connection(5, **MSI), "2"),
    host_pid("late after the latest end", [start("1", 0), end(1), start("2", 2), end(3)], connection(4), "2"),
    host_pid("late after the latest end that is not refused",
             [start("1", 0, **MSI), end(1), start("2", 2, **PYTHON), end(3)], connection(4, **MSI), "1"),
    host_pid("late before early", [start("1", 0), end(3), start("2", 4.5)], connection(4), "1"),
    host_pid("as early as clock_skew", [start("s", 1)], connection(0), "s"),
    nobody("not earlier", [start("s", 1 + EPS)], connection(0)),
    host_pid("early, when the instance at the time is refused",
             [start("1", 0, **PYTHON), start("2", 4.5, **MSI)], connection(4, **MSI), "2"),
    host_pid("the earliest of the early", [start("1", 0.6), start("2", 0.5)], connection(0), "2"),
    host_pid("the earliest that is not refused", [start("1", 0.6, **MSI), start("2", 0.5, **PYTHON)],
             connection(0, **MSI), "1"),
    nobody("early, and another image", [start("s", 0.5, **MSI)], connection(0, **PYTHON)),
]  # fmt: skip

ALL = [
    *HOSTS_AND_NULLS, *TWO_SENSORS, *TIES, *ENDS, *BY_GUID, *BY_HOST_AND_ID,
    nobody("the record's own name", [], connection(0, **MSI)),
    nobody("nothing at all", [], connection(0)),
]  # fmt: skip
