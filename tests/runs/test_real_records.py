"""The real records beside the checkout, through the whole path, held against what is true in them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from procnet.cli.out import plain
from procnet.detections.catalog import load_detections, select
from procnet.lake.tables import Lake
from procnet.runs.detect import detect
from procnet.runs.find import find
from procnet.runs.ingest import ingest
from procnet.settings import Settings, default_conf_dir
from procnet.types import Window

SHARED = Path(__file__).resolve().parents[3] / "shared"
DATA, TRUTH = SHARED / "data", SHARED / "truth"
NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
EVER = Window(datetime(2018, 1, 1, tzinfo=timezone.utc), datetime(2024, 1, 1, tzinfo=timezone.utc))
WEB_ID = "11111111-1111-4111-8111-111111111111"
WEB = {
    "id": WEB_ID, "name": "web", "version": 1, "status": "experimental", "description": "any process, web ports",
    "network": {"web": {"dest_port": [80, 443]}, "condition": "web"}, "lookback": "24h",
    "risk": {"score": 1, "message": "{process_name}", "objects": [{"field": "host", "type": "system"}]},
    "false_positives": "all", "misses": "nothing",
    "cases": [{"name": "c", "connections": [{"at": "10:00:00", "dest_port": 80}], "expect": "match"}],
}  # fmt: skip

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.records,
    pytest.mark.skipif(not (TRUTH / "truth.parquet").is_file(), reason="the real records are not beside the checkout"),
]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    settings = Settings(lake=tmp_path_factory.mktemp("real"))
    ingest(spark, settings, "eqllib", [str(DATA / "eqllib" / "sysmon-rta.json.gz")], now=NOW)
    for source, folder in (
        ("windows_flat", "mordor_flat"),
        ("winlogbeat6", "winlogbeat6"),
        ("winlogbeat7", "winlogbeat7"),
    ):
        ingest(spark, settings, source, [str(DATA / "mordor_subset" / folder)], now=NOW)
    return Lake(spark, settings)


def _score(rows: list[dict[str, Any]], tmp_path: Path) -> str:
    """What truth/score.py prints of `web` findings over eqllib and mordor_subset."""
    spec = importlib.util.spec_from_file_location("score", TRUTH / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    file = tmp_path / "findings.jsonl"
    file.write_text("\n".join(json.dumps(plain(r)) for r in rows))
    findings, truth = module.load(file, TRUTH / "truth.parquet")
    asked = truth.index[truth.source.isin(["eqllib", "mordor_subset"])]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        module.score(findings, truth, list(asked), {WEB_ID: "web"})
    return out.getvalue()


def _web(lake: Lake, tmp_path: Path, *, guids: bool) -> list[dict[str, Any]]:
    file = tmp_path / "web.yml"
    file.write_text(yaml.safe_dump(WEB))
    frames = [lake.read(t) for t in ("process_events", "network_events")]
    if not guids:
        frames = [f.withColumn("process_guid", F.lit(None).cast("string")) for f in frames]
    found = find(frames[0], frames[1], load_detections([file]), EVER, lake.settings).findings
    assert found is not None
    return [r.asDict(recursive=True) for r in found.collect()]


def test_every_process_named_is_right_and_none_is_missed(lake: Lake, tmp_path: Path) -> None:
    text = _score(_web(lake, tmp_path, guids=True), tmp_path)
    assert "precision 1.0000 (349/349)" in text, text
    assert "(148/148 connections" in text, text
    assert "likely ones 149/149" in text, text


def test_without_guids_every_process_named_is_right_still(lake: Lake, tmp_path: Path) -> None:
    text = _score(_web(lake, tmp_path, guids=False), tmp_path)
    assert "precision 1.0000" in text, text
    assert "(140/148 connections" in text, text  # the other eight have no process id


def test_the_installer_service_and_not_the_reused_id(lake: Lake) -> None:
    catalogue = load_detections(default_conf_dir() / "detections")
    chosen = select(catalogue, ["msiexec_any_port", "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"])
    day = Window(datetime(2018, 12, 4, tzinfo=timezone.utc), datetime(2018, 12, 5, tzinfo=timezone.utc))
    detect(lake.spark, lake.settings, day, chosen)
    found = [
        (r["process_id"], r["dest_ip"], r["dest_port"], r["attribution"])
        for r in lake.read("findings").where(F.col("event_time") < F.lit(day.end)).orderBy("event_time").collect()
    ]
    assert found == [(1952, "192.168.162.135", 8000, "guid")] * 2
