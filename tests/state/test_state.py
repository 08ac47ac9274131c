"""Findings of windows that carry a state from one to the next are those of the whole lookback."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from detection_files import detection
from installer_lake import append_events, hours_window, new_lake
from procnet.api import detect
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.detection import Detection
from procnet.engine.evaluate import Evaluation, evaluate
from procnet.engine.query import Query
from procnet.periods import Window
from procnet.settings import AttributionSettings, Settings
from procnet.spark.collect import materialized
from procnet.spark.filters import in_period
from procnet.state.history import CarriedRows
from procnet.state.lookback import Lookback, read_lookback
from procnet.state.snapshot import snapshot
from random_lakes import NOON, Row, drawn, seeded

KERBEROS = {"a": {"dest_port": 88}, "condition": "a"}
IMAGE = {"a": {"process_name": "msiexec.exe"}, "condition": "a"}
SECOND = timedelta(seconds=1)


def moved(row: Row, number: int) -> Row:
    """The row on a host of one lake."""
    host = None if row["host"] is None else f"{number}-{row['host']}"
    return {**row, "host": host, "record_id": f"{number}-{row['record_id']}"}


def frame(spark: SparkSession, rows: Sequence[Row], schema: T.StructType) -> DataFrame:
    return spark.createDataFrame([tuple(r.values()) for r in rows], schema, verifySchema=False)


def chained(first: Query, windows: Sequence[Window]) -> Iterator[tuple[Query, Evaluation]]:
    """Yields the query of each window, with the state that the window before has left, and its evaluation."""
    query = first
    for window in windows:
        query = replace(query, window=window)
        found = evaluate(query)
        yield query, found
        since = window.end - 2 * query.tolerances.start_tolerance
        rows = snapshot(query.history, query.start_conditions, found.lookback)
        rows = rows.where((F.col("row_kind") == "lookup") | (F.col("event_time") < since))
        query = replace(query, carried=CarriedRows(materialized(rows, 1_000_000), since))


def findings_of(found: Evaluation) -> list[str]:
    return [] if found.findings is None else sorted(str(r) for r in found.findings.collect())


@pytest.mark.spark
@pytest.mark.long
@pytest.mark.parametrize("tolerances", [{}, {"clock_skew": "0s", "end_grace": "0s", "start_tolerance": "0s"}])
def test_windows_with_state_find_what_each_finds_without(spark: SparkSession, tolerances: dict[str, Any]) -> None:
    many = list(enumerate([*drawn(150, 11), *seeded(350, 12)]))
    events = (
        frame(spark, [moved(r, i) for i, lake in many for r in lake.processes], PROCESS_EVENTS).cache(),
        frame(spark, [moved(r, i) for i, lake in many for r in lake.connections], NETWORK_EVENTS).cache(),
    )
    detections: list[Detection] = [
        detection(0, process=IMAGE, lookback="12s"),
        detection(1, process=IMAGE, lookback="3s"),
        detection(2, process={"a": {"user": "x"}, "condition": "a"}, lookback="7s"),
    ]
    settings = Settings.model_validate({"attribution": tolerances})
    windows = [Window(NOON + s * SECOND, NOON + (s + 4) * SECOND) for s in range(-1, 19, 4)]
    first = Query(*events, detections, windows[0], settings)
    findings, looked_up, connections = 0, 0, 0
    for query, found in chained(first, windows):
        stateless = findings_of(evaluate(replace(query, carried=None)))
        assert findings_of(found) == stateless, f"window {query.window}"
        findings += len(stateless)
        looked_up += found.rows_collected.get("looked_up_keys", 0)
        connections += found.rows_collected["network_events"]
    assert findings > 100
    assert 0 < looked_up < connections


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.long
def test_a_lake_without_the_table_is_run_as_ever(spark: SparkSession, tmp_path: Path) -> None:
    """Such as one of an earlier version: `plan_reason` in the ledger says what to do."""
    lake = new_lake(spark, tmp_path, attribution=AttributionSettings(state_over=timedelta(0)))
    there = {"open_processes": str(tmp_path / "not" / "there")}
    append_events(lake, "process_events", (0, {}))
    append_events(lake, "network_events", (5, {}))
    settings = lake.settings.model_copy(update={"tables": there})
    report = detect(spark, settings, hours_window(0, 1), [detection(1, process=IMAGE)])
    assert lake.read("findings").count() == 1
    assert report.plan_reason.endswith("no state: table open_processes does not exist, procnet init creates it")


@pytest.mark.spark
def test_of_a_guid_all_its_ids_are_looked_up(spark: SparkSession) -> None:
    """A lookup of a guid is used for connections with another id: a start that had only the guid was once missing."""
    start = dict.fromkeys(PROCESS_EVENTS.names) | {"event_kind": "start", "host": "a", "process_guid": "G1"}
    old = {"event_time": NOON - timedelta(hours=2), "event_date": (NOON - timedelta(hours=2)).date()}
    processes = frame(spark, [{**start, **old, "process_id": i, "record_id": str(i)} for i in (12, 16)], PROCESS_EVENTS)
    query = Query(
        processes, frame(spark, [], NETWORK_EVENTS), [detection(1, process=IMAGE)], hours_window(0, 1), Settings()
    )
    query = replace(query, carried=CarriedRows(processes.limit(0), query.window.start))
    keys = pa.table({"host_key": ["a"], "process_id": pa.array([12], pa.int64()), "process_guid": ["G1"]})
    found = read_lookback(query.history, keys, timedelta(hours=24))
    assert isinstance(found, Lookback)
    assert sorted(found.events["record_id"].to_pylist()) == ["12", "16"]


Arrival = tuple[int, str, float, dict[str, Any]]


def hourly(dice: random.Random, hours: int) -> list[Arrival]:
    """Returns events of few ids on two hosts: the hour in which each arrives, its table, minute and values."""
    rows = []
    for number in range(24 * hours):
        table = dice.choice(("process_events", "network_events"))
        minute = dice.random() * 60 * hours
        pid, guid = dice.choice((8, 8, 12, 16)), dice.choice((None, "G1", "G2", "G3"))
        values = {"host": dice.choice("ab"), "process_id": pid, "process_guid": guid, "record_id": str(number)}
        values["process_name"] = dice.choice(("msiexec.exe", "msiexec.exe", "a.exe"))
        if table == "process_events":
            values["event_kind"] = dice.choice(("start", "start", "end"))
        else:
            values |= {"dest_port": dice.choice((443, 443, 88)), "process_name": dice.choice((None, "msiexec.exe"))}
        late = dice.choice((0, 0, 0, 0, 0, 1, 2, 4))
        rows.append((int(minute // 60) + late, table, minute, values))
    return rows


@pytest.mark.spark
@pytest.mark.drill
def test_a_day_of_hours_late_rows_a_gap_an_edit_and_one_out_of_order(spark: SparkSession, tmp_path: Path) -> None:
    """After each hour its findings are those of the whole lookback over the lake of that time. Takes ten minutes."""
    lake = new_lake(spark, tmp_path, attribution=AttributionSettings(state_over=timedelta(0)))
    rows = hourly(random.Random(5), 25)
    first = [detection(1, process=IMAGE, lookback="6h"), detection(2, process=None, network=KERBEROS, lookback="3h")]
    edited = [detection(1, process={**IMAGE, "b": {"process_name": "a.exe"}, "condition": "a or b"}, lookback="8h")]
    order = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 6, 12, 13, 14, 16, 15, 17, 18, 19, 20, 21, 22, 23, 24]
    came, plans, found = 0, dict[int, str](), 0
    for turn, hour in enumerate(order):
        come = [r for r in rows if came <= r[0] <= max(turn, hour)]
        came = max(turn, hour) + 1
        for table in ("process_events", "network_events"):
            append_events(lake, table, *[(minute, values) for _, t, minute, values in come if t == table])
        if turn == 20:
            spark.sql(f"DELETE FROM {lake.ref('process_events')} WHERE record_id = '{_last_start(rows, hour)}'")
        detections = first if turn < 13 else [*edited, first[1]]
        window = hours_window(hour, hour + 1)
        report = detect(spark, lake.settings, window, detections)
        plans[hour] = report.plan_reason.rpartition("; ")[2]
        events = Query(lake.read("process_events"), lake.read("network_events"), detections, window, lake.settings)
        there = lake.read("findings").where(in_period(window.start, window.end, "finding_date")).drop("related")
        stateless = evaluate(events).findings
        expected = [] if stateless is None else sorted(map(str, stateless.drop("related").collect()))
        assert sorted(map(str, there.collect())) == expected, f"hour {hour}, {report.plan_reason}"
        found += len(expected)
    assert found > 50
    without_state = [h for h, plan in plans.items() if plan.startswith("no state")]
    assert without_state == [0, 7, 13, 16], "the first, after the gap, after the edit, and before its own"
    assert {"state", "state, late rows read again"} <= set(plans.values())


def _last_start(rows: list[Arrival], hour: int) -> str:
    """Returns the record id of the last start of msiexec.exe in the hour before, which a detection matches."""
    wanted = [
        values for _, table, minute, values in rows
        if table == "process_events" and values["event_kind"] == "start" and values["process_name"] == "msiexec.exe"
        and hour - 1 <= minute / 60 < hour
    ]  # fmt: skip
    return str(wanted[-1]["record_id"])
