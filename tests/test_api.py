"""The public names of `import procnet`, each used as a notebook uses it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import procnet
from installer_lake import EVENT_TABLES, HOUR, NOON, all_findings, append_events, new_lake
from procnet.api import _selection
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.lake.tables import Lake
from procnet.settings import default_conf_dir

RAW = (
    '{"EventID": 3, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "a", "ProcessId": "8",'
    ' "@timestamp": "2026-03-01T12:15:00Z", "Image": "C:\\\\msiexec.exe", "DestinationIp": "203.0.113.7",'
    ' "DestinationPort": "443", "Initiated": "true", "Protocol": "tcp"}'
)
COLUMNS = "event_time timestamp, host string, process_id bigint, dest_ip string, dest_port int"


class UsedNames:
    """Passes attributes of the package on, and collects their names."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.names.add(name)
        return getattr(procnet, name)


@pytest.mark.spark
@pytest.mark.slow
def test_every_public_name_works_in_a_notebook(spark: SparkSession, tmp_path: Path) -> None:
    api = UsedNames()
    session = api.open_session()
    assert session is spark, "the active session"
    settings = api.load_settings(default_conf_dir() / "local.yml", lake=tmp_path / "lake")
    assert isinstance(settings, api.Settings)
    (detection,) = (d for d in api.load_detections(settings.detections_folder) if d.path.stem == "msiexec_any_port")
    hour = api.Window(NOON, NOON + HOUR)

    lake = new_lake(session, tmp_path / "lake")
    append_events(lake, "process_events", (0, {}))
    (tmp_path / "raw.jsonl").write_text(RAW)
    report = api.ingest(session, settings, "windows_flat", [tmp_path / "raw.jsonl"])
    assert (report.network_events, report.new["network_events"]) == (1, 1)
    raw = session.createDataFrame([(NOON, "a", 8, "203.0.113.7", 443)], COLUMNS)
    assert [row["host"] for row in api.normalize(raw, "cim", ingest_time=NOON).network_events.collect()] == ["a"]

    assert api.detect(session, settings, hour, [detection]).counts["findings"] == 1
    backfilled = api.backfill(session, settings, hour, [detection], chunk=timedelta(minutes=30), parallel=2)
    assert (backfilled.findings, len(backfilled.skipped)) == (0, 2), "the hour is done"
    found = api.findings_cim(lake.read("findings")).collect()
    assert [row["dest_port"] for row in found] == [f["dest_port"] for f in all_findings(lake)] == [443]
    attributed = api.attribute_connections(*(lake.read(table) for table in EVENT_TABLES))
    assert [row["attribution"] for row in attributed.collect()] == ["host_pid"]
    flows = api.attribute_flows(lake.read("flow_events"), lake.read("network_events"), flow_skew="5s")
    assert flows.groupBy("attribution", "reason").count().collect() == []

    for error in (api.UsageError, api.ConfigError, api.DataError, api.WindowFailed, api.PartlyDone):
        assert issubclass(error, api.ProcnetError)
    with pytest.raises(api.UsageError, match="no detection to run"):
        api.detect(session, settings, hour, [])
    with pytest.raises(api.DataError, match="does not exist"):
        api.detect(session, settings.model_copy(update={"lake": tmp_path / "empty"}), hour, [detection])
    assert api.names == set(procnet.__all__)


@pytest.mark.spark
def test_detect_uses_the_enabled_exclusions_unless_others_are_given(spark: SparkSession, tmp_path: Path) -> None:
    lake = new_lake(spark, tmp_path / "lake", exclusions={"enabled": ["unknown-exclusion"]})
    (detection,) = procnet.load_detections([default_conf_dir() / "detections" / "msiexec_any_port.yml"])
    hour = procnet.Window(NOON, NOON + HOUR)
    with pytest.raises(procnet.ProcnetError, match="no exclusion 'unknown-exclusion'"):
        procnet.detect(spark, lake.settings, hour, [detection])
    report = procnet.detect(spark, lake.settings, hour, [detection], exclusions=())
    assert report.status == "nothing_to_read"
    assert Lake(spark, lake.settings).read("runs").count() == 1


def test_without_a_place_the_enabled_detections_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCNET_CONF", str(default_conf_dir() / "local.yml"))
    settings = procnet.load_settings()
    assert [d.id for d in procnet.load_detections()] == list(settings.detections.enabled)
    run: Any = {"spark": None, "settings": settings, "detections": None, "exclusions": (), "broken": ()}
    assert _selection(**run).detections == procnet.load_detections(), "detect and backfill take the same ones"


@pytest.mark.spark
def test_attribution_says_what_is_wrong_with_its_arguments_and_compares_hosts_as_events_have_them(
    spark: SparkSession,
) -> None:
    process = {"host": "WS-1.Corp.example.", "process_id": 4, "event_time": NOON, "process_name": "a.exe"}
    connection = {"host": "ws-1", "process_id": 4, "event_time": NOON + timedelta(seconds=1), "dest_ip": "192.0.2.7"}
    frames: list[Any] = [
        spark.createDataFrame([tuple(row.get(n) for n in schema.names)], schema)
        for row, schema in ((process, PROCESS_EVENTS), (connection, NETWORK_EVENTS))
    ]
    (found,) = procnet.attribute_connections(*frames, max_age="1d").collect()  # event_kind is null: a start
    assert (found["attribution"], found["instance"]["process_name"]) == ("host_pid", "a.exe")
    (as_is,) = procnet.attribute_connections(*frames, host_match="as_is").collect()
    assert as_is["attribution"] == "none"

    processes, connections = frames
    wrong: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
        (procnet.UsageError, "processes is a .*list and no Spark DataFrame", ([], connections), {}),
        (
            procnet.DataError,
            "processes lacks the columns event_kind, host",
            (processes.drop("host", "event_kind"), connections),
            {},
        ),
        (procnet.DataError, "connections lacks the columns dest_ip", (processes, connections.drop("dest_ip")), {}),
        (procnet.UsageError, "max_age: 'a day' is no duration", (processes, connections), {"max_age": "a day"}),
        (procnet.UsageError, "end_grace: .* is negative", (processes, connections), {"end_grace": -timedelta(1)}),
        (procnet.UsageError, "plan is 'fast'", (processes, connections), {"plan": "fast"}),
        (procnet.UsageError, "host_match is 'long'", (processes, connections), {"host_match": "long"}),
    ]
    for error, message, given, options in wrong:
        with pytest.raises(error, match=message):
            procnet.attribute_connections(*given, **options)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert set(procnet.__all__) <= set(dir(procnet))
    with pytest.raises(AttributeError, match="'procnet' has no attribute 'detekt'"):
        _ = procnet.detekt
