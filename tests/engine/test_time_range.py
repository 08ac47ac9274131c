"""Event times that Python's datetime has not, or that no sensor writes: rows of them stop no run and change no finding.

A typed timestamp of Spark lies between the years -290308 and 294247, a datetime between 1 and 9999.
"""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from cli.command import procnet
from installer_lake import (
    DAY,
    EVENT_TABLES,
    HOUR,
    NOON,
    NOW,
    SELECTION,
    all_findings,
    append_events,
    hours_window,
    new_lake,
)
from procnet.contract import FINDINGS
from procnet.engine.events import changed_events, read_events
from procnet.engine.late_data import CoveredRange, affected
from procnet.engine.source_health import source_health
from procnet.errors import UsageError
from procnet.exports.columns import json_lines
from procnet.exports.elastic import to_elastic
from procnet.exports.ocsf import to_ocsf
from procnet.exports.splunk_es import to_splunk_es
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.runs.maintain import maintain
from procnet.runs.preview import preview
from procnet.settings import EventSettings, MaintenanceSettings, Settings, SourceSettings
from procnet.sources import cleaning

HOURS = hours_window(0, 2)
# 0001-01-01, the year 30000, the first and the last microsecond of a timestamp, and 2200-01-01, the end of the range.
STRANGE = (-62_135_596_800_000_000, 884_541_340_800_000_000, -(2**63), 2**63 - 1, 7_258_118_400_000_000)


def strange_rows(spark: SparkSession, schema: T.StructType) -> DataFrame:
    """One row for each time of STRANGE that a detection would match, of `schema`."""
    values: dict[str, Any] = {
        "event_time": F.timestamp_micros("t"), "event_date": F.to_date(F.timestamp_micros("t")), "host": F.lit("a"),
        "process_id": F.lit(8), "process_name": F.lit("msiexec.exe"), "record_id": F.lit("strange"),
        "event_kind": F.lit("start"), "dest_port": F.lit(443), "dest_ip": F.lit("203.0.113.7"),
        "process_start_time": F.timestamp_micros("t"), "ingest_time": F.timestamp_micros("t"),
    }  # fmt: skip
    times = spark.createDataFrame([(t,) for t in STRANGE], "t bigint").coalesce(1)
    return times.select(*(values.get(f.name, F.lit(None)).cast(f.dataType).alias(f.name) for f in schema))


@pytest.mark.spark
@pytest.mark.long
def test_own_tables_with_such_rows(spark: SparkSession, tmp_path: Path) -> None:
    lake = new_lake(spark, tmp_path / "lake", maintenance=MaintenanceSettings(keep_events=30 * DAY))
    append_events(lake, "process_events", (0, {}))
    append_events(lake, "network_events", (5, {}), (65, {}))
    backfill(lake, SELECTION, HOURS, chunk=DAY)
    found = all_findings(lake)
    assert len(found) == 4

    for table, schema in EVENT_TABLES.items():
        lake.append(table, strange_rows(spark, schema))
    assert catch_up(lake, SELECTION).reports == ()
    assert backfill(lake, SELECTION, HOURS, chunk=DAY).skipped, "its dates are as they were"
    detect(lake, SELECTION, HOURS)
    assert all_findings(lake) == found
    assert preview(lake, SELECTION, SELECTION, HOURS).unchanged == 4

    status = procnet("status", "--lake", tmp_path / "lake", "--json")
    assert status.code == 0, status.err
    tables = {t["table"]: t for t in json.loads(status.out)["tables"]}
    assert [tables[t]["times_out_of_range"] for t in EVENT_TABLES] == [5, 5]
    assert tables["network_events"]["newest"] == "2026-03-01T13:05:00.000000Z"
    text = procnet("status", "--lake", tmp_path / "lake")
    assert "network_events: 5 rows have a time outside 1970-01-01" in text.err

    expired = {r.table: r.rows for r in maintain(lake, NOW, dry_run=True)}
    assert (expired["process_events"], expired["network_events"]) == (1, 2), "those of the range, older than 30 days"

    for table in EVENT_TABLES:
        spark.sql(f"DELETE FROM {lake.ref(table)} WHERE record_id = 'strange'")
    append_events(lake, "network_events", (6, {}))
    assert len(catch_up(lake, SELECTION).reports) == 1, "the change data feed has the deleted rows for ever"
    assert len(all_findings(lake)) == 6


COLUMNS = T.StructType([
    *EVENT_TABLES["process_events"].fields[:4],
    *(EVENT_TABLES["network_events"][n] for n in ("process_name", "dest_ip", "dest_port", "process_start_time")),
])  # fmt: skip


def raw_table(spark: SparkSession, folder: Path) -> str:
    """A Delta table with the columns of the CIM that has a start and a connection."""
    place = str(folder / "raw")
    columns = ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in COLUMNS)
    spark.sql(
        f"CREATE TABLE delta.`{place}` ({columns}) USING DELTA TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
    )
    append_raw(spark, place, start=0)
    append_raw(spark, place, connection=5)
    return place


def append_raw(spark: SparkSession, place: str, **minutes: int) -> None:
    for kind, minute in minutes.items():
        values = {"event_kind": "'start'"} if kind == "start" else {"dest_ip": "'203.0.113.7'", "dest_port": "443"}
        values |= {"host": "'a'", "process_id": "70", "process_name": "'msiexec.exe'"}
        values["event_time"] = f"timestamp '2026-03-01 12:00:00 UTC' + interval {minute} minutes"
        row = spark.range(1).selectExpr(*(f"cast({values.get(c, 'null')} as {COLUMNS[c].dataType.simpleString()}) {c}"
                                          for c in COLUMNS.names))  # fmt: skip
        row.writeTo(f"delta.`{place}`").append()


def append_strange_raw(spark: SparkSession, place: str) -> None:
    rows = strange_rows(spark, COLUMNS)
    connections = rows.withColumn("event_kind", F.lit(None).cast("string"))
    starts = rows.withColumns({"dest_ip": F.lit(None).cast("string"), "dest_port": F.lit(None).cast("int")})
    connections.unionByName(starts).writeTo(f"delta.`{place}`").append()


@pytest.mark.spark
@pytest.mark.long
def test_a_table_in_place_with_such_rows(spark: SparkSession, tmp_path: Path) -> None:
    """Its clock is set back too: the first timestamp less an hour is none."""
    place = raw_table(spark, tmp_path)
    source = SourceSettings(mapping="cim", tables=(place,), clock_ahead=HOUR)
    lake = Lake(spark, Settings(lake=tmp_path / "lake", sources={"raw": source}))
    lake.create()
    window = hours_window(-1, 2)
    detect(lake, SELECTION, window)
    found = all_findings(lake)
    assert len(found) == 2

    append_strange_raw(spark, place)
    label, events = f"raw:{place}", read_events(lake)
    ranges = [CoveredRange(window, {label: 2})]
    changes = changed_events(lake, {label: 2}, {label: 3})
    look = affected(changes, events, lake.read("findings"), ranges, SELECTION.detections, lake.settings)
    # Not 10: the feed cannot return the first time that a timestamp has, and an hour before 2200 is in the range.
    assert (look.times, look.out_of_range) == (None, 6)
    health = source_health(events, window)
    assert [(s["source"], s["connections"]) for s in health.sources] == [("raw", 1)]
    assert health.times_out_of_range == 3
    assert catch_up(lake, SELECTION).reports == ()
    detect(lake, SELECTION, window)
    assert all_findings(lake) == found
    spark.sql(f"DELETE FROM delta.`{place}` WHERE year(event_time) <> 2026")
    append_raw(spark, place, connection=6)
    assert len(catch_up(lake, SELECTION).reports) == 1
    assert len(all_findings(lake)) == 4


@pytest.mark.spark
@pytest.mark.long
def test_ingest_and_check_of_such_a_table(spark: SparkSession, tmp_path: Path) -> None:
    place = raw_table(spark, tmp_path)
    append_strange_raw(spark, place)
    checked = procnet("sources", "check", "cim", place)
    assert checked.code == 0, checked.err
    assert "10 of 12 records cannot be used: time out of range" in checked.out
    ingested = procnet("ingest", "--lake", tmp_path / "lake", "--source", "cim", place, "--json")
    assert ingested.code == 5, "most records are unusable, and the rest is ingested"
    report = json.loads(ingested.out)
    assert report["quarantined"] == {"time out of range": 10}
    assert (report["process_events"], report["network_events"]) == (1, 1)
    rows = Lake(spark, Settings(lake=tmp_path / "lake")).read("quarantine").collect()
    assert {r["reason"] for r in rows} == {"time out of range"}
    assert {json.loads(r["raw"])["event_time"] for r in rows} == {
        "0001-01-01T00:00:00.000Z", "+30000-01-01T00:00:00.000Z", "-290308-12-21T19:59:05.224Z",
        "+294247-01-10T04:00:54.775Z", "2200-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert procnet("status", "--lake", tmp_path / "lake").code == 0


RAW = {"SourceName": "Microsoft-Windows-Sysmon", "Hostname": "pc1", "EventID": 3, "ProcessId": "7",
       "DestinationIp": "192.0.2.7", "DestinationPort": "443"}  # fmt: skip
# The time of a record as JSON, and the reason of its quarantine; None: it is an event.
RECORDED_TIMES = [
    ('"2026-03-01T12:00:00Z"', None),
    ("1772366400", None),
    ('"2200-01-01T00:00:00Z"', "time out of range"),
    ('"9999-12-31T23:59:59Z"', "time out of range"),
    *((time, "no time") for time in (
        '"0001-01-01T00:00:00Z"', '"+30000-01-01T00:00:00Z"', '"30000-01-01T00:00:00Z"', '"2016-12-31T23:59:60Z"',
        '"2026-03-01T24:00:00Z"', '"2026-03-01T12:00:00+99:00"', "1e300", "-1e300", "NaN", "-1", "0", "1e17", "9" * 400,
        f'"{"9" * 400}"', "-9223372036854775808", "18446744073709551616", "true", "[1]", "{}", '""',
    )),
]  # fmt: skip


@pytest.mark.spark
@pytest.mark.long
def test_raw_files_with_any_time(spark: SparkSession, tmp_path: Path) -> None:
    lines = [
        json.dumps({**RAW, "record": i})[:-1] + f', "@timestamp": {t}}}' for i, (t, _) in enumerate(RECORDED_TIMES)
    ]
    (tmp_path / "a.json").write_text("\n".join(lines))
    result = procnet("ingest", "--lake", tmp_path / "lake", "--source", "windows_flat", tmp_path / "a.json", "--json")
    assert json.loads(result.out)["new"]["network_events"] == 1, "two are equal"
    rows = Lake(spark, Settings(lake=tmp_path / "lake")).read("quarantine").collect()
    expected = {i: reason for i, (_, reason) in enumerate(RECORDED_TIMES) if reason}
    assert {json.loads(r["raw"].replace("NaN", "0"))["record"]: r["reason"] for r in rows} == expected


@pytest.mark.spark
def test_numbers_of_a_table_with_any_size(spark: SparkSession) -> None:
    """A product that is no decimal would fail the whole job."""
    values = ("1772366400", "-1e31", "-1e300", "1e300", "nan", "infinity", "0", "-1", "1e17")
    numbers = spark.createDataFrame([(v,) for v in values], "v string").selectExpr("cast(v AS double) n")
    greatest = "9" * 38
    decimals = spark.sql(
        f"SELECT explode(array(cast(-{greatest} AS decimal(38,0)), cast({greatest} AS decimal(38,0)))) n"
    )
    times = [
        f.select(cleaning.time(F.col("n"), f.schema[0].dataType).cast("string").alias("t")) for f in (numbers, decimals)
    ]
    assert [r[0] for r in times[0].unionAll(times[1]).collect()] == ["2026-03-01 12:00:00", *[None] * 10]


@pytest.mark.spark
def test_exports_of_findings_whose_process_has_any_time(spark: SparkSession) -> None:
    values = {"process_time": F.timestamp_micros("t"), "process_end_time": F.timestamp_micros("t"), "host": F.lit("a"),
              "event_time": F.lit(NOON), "risk_objects": F.array(F.struct(F.lit("a"), F.lit("system")))}  # fmt: skip
    times = spark.createDataFrame([(t,) for t in STRANGE], "t bigint").coalesce(1)
    findings = times.select(*(values.get(f.name, F.lit(None)).cast(f.dataType).alias(f.name) for f in FINDINGS))
    lines = reduce(
        DataFrame.unionAll, (json_lines(to(findings)) for to in (to_ocsf, to_elastic, to_splunk_es))
    ).collect()
    events = [json.loads(line) for (line,) in lines]
    assert len(events) == 3 * len(STRANGE)
    elastic = [e.get("process", {}).get("start") for e in events[len(STRANGE) : 2 * len(STRANGE)]]
    assert elastic == ["0001-01-01T00:00:00.000000Z", "+30000-01-01T00:00:00.000000Z", None,
                       "+294247-01-10T04:00:54.775807Z", "2200-01-01T00:00:00.000000Z"]  # fmt: skip
    assert [e["process_time"] for e in events[-len(STRANGE) :]] == [t / 10**6 for t in STRANGE]


def test_a_period_outside_the_range_is_refused() -> None:
    events = EventSettings(first=NOON, last=NOON + DAY)
    events.refuse_outside(Window(NOON, NOON + DAY))
    for window in (Window(NOON - HOUR, NOON), Window(NOON, NOON + DAY + HOUR)):
        with pytest.raises(UsageError, match="is not inside 2026-03-01T12:00:00Z") as e:
            events.refuse_outside(window)
        assert "events.first" in str(e.value)
    period = ["--start", "2026-03-01T11:00Z", "--end", "2026-03-01T13:00Z", "--set", "events.first=2026-03-01T12:00Z"]
    for command in (["detect"], ["backfill"], ["gaps"], ["normalize", "--source", "cim", "t"], ["findings"]):
        refused = procnet(*command, *period)
        assert (refused.code, "events.first" in refused.err) == (2, True), refused.err


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("first", "5", "expected a date"),
        ("first", "2026-03-01T12:00:00", "no zone"),
        ("last", "2300-01-01", "not between 1970 and 2200"),
        ("last", "1970-01-01", "first is not before last"),
    ],
)
def test_a_wrong_range_is_refused(key: str, value: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        EventSettings.model_validate({key: value})
