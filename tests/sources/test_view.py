"""Raw tables read in place: the same events as after an ingest, and predicates that still reach the files."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from datetime import datetime, timedelta, timezone
from io import StringIO
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cli.command import procnet
from procnet.api import detect
from procnet.detections.catalog import load_detections
from procnet.engine.events import read_events
from procnet.errors import DataError
from procnet.lake.ledger import sources_seen
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.readers.frames import read_table
from procnet.settings import Settings, SourceSettings
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.validate import load_source
from procnet.sources.view import InPlace, canonical_view
from procnet.spark.filters import in_period

pytestmark = pytest.mark.spark
TEN = datetime(2026, 3, 2, 10, tzinfo=timezone.utc)
WINDOW = Window(TEN, TEN + timedelta(hours=1))
CONNECTIONS = "event_time timestamp, host string, process_id bigint, process_name string, dest_ip string, dest_port int"
STARTS = "_time timestamp, dest string, process_id bigint, process_exec string, process string, more array<int>"


def plan_of(frame: DataFrame) -> str:
    frame.sparkSession.conf.set(
        "spark.sql.maxMetadataStringLength", "10000"
    )  # otherwise filters are shortened in the text
    with redirect_stdout(StringIO()) as output:
        frame.explain()
    return output.getvalue()


@pytest.fixture(scope="module")
def raw(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    rows = [(TEN + timedelta(seconds=s), "PC1.corp.example", 77, "MSIEXEC.exe", "192.0.2.7", 443) for s in (5, 5000)]
    connections = spark.createDataFrame([*rows, *rows], CONNECTIONS)
    connections.write.parquet(str(folder / "connections"))
    connections.write.format("delta").save(str(folder / "connections_delta"))
    starts = [(TEN, "pc1", 77, "msiexec.exe", "msiexec /i http://192.0.2.7/a.msi", [1])]
    spark.createDataFrame(starts, STARTS).write.parquet(str(folder / "starts"))
    return folder


@pytest.mark.parametrize("table", ["connections", "connections_delta"])
def test_predicates_reach_the_files(spark: SparkSession, raw: Path, tmp_path: Path, table: str) -> None:
    mine = tmp_path / "mine.yml"
    mine.write_text("like: cim\nas_is: [process_name, host, dest_port]\n")
    view = canonical_view(read_table(spark, str(raw / table)), load_source(mine), "network_events")
    assert view is not None
    condition = in_period(WINDOW.start, WINDOW.end) & F.col("dest_port").isin(80, 443)
    condition = condition & (F.col("process_name") == "msiexec.exe") & (F.col("host") == "pc1")
    plan = plan_of(view.where(condition).select("dest_ip"))
    pushed = plan[plan.index("PushedFilters") :].split("ReadSchema")[0]
    for column in ("GreaterThanOrEqual(event_time", "LessThan(event_time", "In(dest_port, ["):
        assert column in pushed, plan
    for column in ("EqualTo(process_name,msiexec.exe)", "EqualTo(host,pc1)"):
        assert column in pushed, plan
    assert "src_ip" not in plan[plan.index("ReadSchema") :]


def test_without_as_is_time_predicates_reach_the_files(spark: SparkSession, raw: Path) -> None:
    view = canonical_view(read_table(spark, str(raw / "connections")), load_source("cim"), "network_events")
    assert view is not None
    plan = plan_of(view.where(in_period(WINDOW.start, WINDOW.end)).select("dest_ip"))
    pushed = plan[plan.index("PushedFilters") :].split("ReadSchema")[0]
    assert "GreaterThanOrEqual(event_time" in pushed, plan
    assert "LessThan(event_time" in pushed, plan


def test_a_delta_table_is_read_as_one_by_a_path_and_by_a_url(spark: SparkSession, tmp_path: Path) -> None:
    """As Parquet files it would have its deleted rows too."""
    folder = tmp_path / "table"
    spark.range(3).coalesce(1).write.format("delta").save(str(folder))
    spark.sql(f"DELETE FROM delta.`{folder}` WHERE id = 1")
    for place in (str(folder), folder.as_uri(), f"{folder.as_uri()}/"):
        assert sorted(r["id"] for r in read_table(spark, place).collect()) == [0, 2], place
    spark.range(3).write.parquet(str(tmp_path / "files"))
    assert read_table(spark, (tmp_path / "files").as_uri()).count() == 3
    with pytest.raises(DataError, match="PATH_NOT_FOUND"):
        read_table(spark, f"{folder.as_uri()}-other")


def test_in_place_gives_the_rows_of_an_ingest(spark: SparkSession, raw: Path) -> None:
    source = load_source("cim")
    for table, place in (("network_events", "connections"), ("process_events", "starts")):
        frame = read_table(spark, str(raw / place))
        view = canonical_view(frame, source, table)
        assert view is not None
        normalized = normalize(frame, source, ingest_time=TEN)
        ingested = getattr(Normalized(normalized.records.persist(), normalized.source, TEN), table)
        columns = [c for c in view.columns if c != "ingest_time"]
        assert sorted(view.select(*columns).collect()) == sorted(ingested.select(*columns).collect())
        assert view.schema.simpleString() == ingested.schema.simpleString()


def test_records_that_are_texts_in_a_column(spark: SparkSession) -> None:
    record = {"EventID": 3, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "pc2.", "ProcessId": "88"}
    record |= {"@timestamp": "2026-03-02T10:00:11Z", "Image": "C:\\w\\MSIEXEC.exe", "DestinationPort": "80"}
    raw = spark.createDataFrame([(json.dumps(record), None)], "raw string, problem string")
    view = canonical_view(raw, load_source("windows_flat"), "network_events", InPlace(name="mine"))
    assert view is not None
    matching = view.where((F.col("process_name") == "msiexec.exe") & (F.col("dest_port") == 80))
    rows = matching.select("source", "host", "process_id", "process_name", F.col("event_time").cast("string")).collect()
    assert [tuple(r) for r in rows] == [("mine", "pc2", 88, "msiexec.exe", "2026-03-02 10:00:11")]


@pytest.mark.long
def test_sources_side_by_side_are_detected_in_place(spark: SparkSession, raw: Path, tmp_path: Path) -> None:
    """Starts from one table, connections from the other; only the finding is written to the lake."""
    tables = (str(raw / "starts"), str(raw / "connections"))
    sources = {"edr": SourceSettings(mapping="cim", tables=tables, clock_ahead=timedelta(seconds=1))}
    settings = Settings(lake=tmp_path / "lake", sources=sources)
    lake = Lake(spark, settings)
    lake.create()
    detections = load_detections(settings.detections_folder)
    msiexec = [d for d in detections if d.id.startswith("b0fd38c7")]
    report = detect(spark, settings, WINDOW, msiexec)
    assert [(h["source"], h["connections"]) for h in sources_seen(lake).collect()] == [("edr", 2)]
    rows = lake.read("findings").orderBy("event_time").collect()
    found = [
        (r["source"], r["host"], r["attribution"], r["dest_port"], r["process"], str(r["event_time"])) for r in rows
    ]
    assert found == [
        ("edr", "pc1.corp.example", "host_pid", 443, "msiexec /i http://192.0.2.7/a.msi", "2026-03-02 10:00:04"),
    ], "a connection that is twice in its table is one"
    assert report.counts["connections"] == 2


def test_normalize_replaces_its_window_and_no_more(spark: SparkSession, raw: Path, tmp_path: Path) -> None:
    argv = ["normalize", "--lake", tmp_path, "--source", "cim", raw / "starts", raw / "connections_delta", "--json"]
    start = ["--start", "2026-03-02T10:00Z", "--end"]
    one = json.loads(procnet(*argv, *start, "2026-03-02T11:00Z").out)["rows"]
    two = json.loads(procnet(*argv, *start, "2026-03-02T12:00Z").out)["rows"]
    assert (one, two) == ({"process_events": 1, "network_events": 1}, {"process_events": 1, "network_events": 2})
    lake = Lake(spark, Settings(lake=tmp_path))
    times = [str(r[0]) for r in lake.read("network_events").select("event_time").orderBy("event_time").collect()]
    assert times == ["2026-03-02 10:00:05", "2026-03-02 11:23:20"]


def test_every_missing_required_column_is_reported(spark: SparkSession, tmp_path: Path) -> None:
    raw = spark.createDataFrame([(1, "x")], "pid int, path string")
    raw.write.parquet(str(tmp_path / "raw"))
    in_place = Settings(lake=tmp_path, sources={"s": SourceSettings(mapping="cim", tables=(str(tmp_path / "raw"),))})
    with pytest.raises(DataError) as ingested:
        normalize(raw, load_source("cim"), ingest_time=TEN)
    with pytest.raises(DataError) as read:
        read_events(Lake(spark, in_place))
    for e in (ingested.value, read.value):
        assert "no column for event_time: looked for event_time, _time" in e.message
        assert "no column for host: looked for host, dest, dvc, src" in e.message
        assert "the table has pid, path" in e.message
        assert "--host NAME" in (e.hint or "")


def test_a_missing_text_column_is_reported(spark: SparkSession, raw: Path, tmp_path: Path) -> None:
    wrong = SourceSettings(mapping="windows_xml", tables=(str(raw / "starts"),), column="xml")
    with pytest.raises(DataError, match="has no column xml; it has _time, dest"):
        read_events(Lake(spark, Settings(lake=tmp_path, sources={"s": wrong})))
