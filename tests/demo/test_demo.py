"""The demo from raw records to findings: the records are read as they were made, and the findings are the answers."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from procnet.demo.demo import ingest_fleet, run_detections, score_findings
from procnet.demo.fleet import Fleet, make_fleet
from procnet.lake.tables import Lake
from procnet.runs.selection import select_detections
from procnet.runs.windows import no_progress
from procnet.settings import Settings

NOW = datetime(2026, 3, 5, tzinfo=timezone.utc)


def findings_of(fleet: Fleet) -> list[dict[str, Any]]:
    """Rows that are right."""
    return [vars(a).copy() for a in fleet.answers]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return make_fleet(tmp_path_factory.mktemp("fleet"), hosts=5, hours=2, seed=2)


@pytest.mark.parametrize("column", ["dest_name", "dest_name_by", "flow_uid"])
def test_another_name_or_flow_is_no_right_answer(fleet: Fleet, column: str) -> None:
    rows = findings_of(fleet)
    assert score_findings(rows, fleet.answers).misnamed == ()
    for value in ("other.example", None):
        wrong = next(r for r in rows if r[column] is not None)
        score = score_findings([{**r, column: value} if r is wrong else r for r in rows], fleet.answers)
        assert (score.right, len(score.wrong), len(score.missed)) == (len(rows), 0, 0)
        assert [r[column] for r in score.misnamed] == [value]


@pytest.mark.spark
@pytest.mark.long
def test_records_are_read_as_made_and_findings_have_the_names_and_flows(
    spark: SparkSession, fleet: Fleet, tmp_path: Path
) -> None:
    lake = Lake(spark, Settings(lake=tmp_path / "lake"))
    demo = ingest_fleet(lake, fleet, now=NOW)
    counts = fleet.counts
    assert demo.ingested.new == {t: counts[t] for t in ("process_events", "network_events", "dns_events")} | {
        "quarantine": counts["quarantined"], "flow_events": 0,
    }  # fmt: skip
    assert demo.flows.new["flow_events"] == counts["flow_events"]
    assert not demo.flows.quarantined

    written = [json.loads(x) for f in fleet.files if f.name.startswith("dns") for x in lines_of(f)]
    read = lake.read("dns_events").select("process_guid", "process_id", "query_name", "host", "response_code").collect()
    assert sorted(map(tuple, read)) == sorted(
        (
            r["ProcessGuid"].strip("{}").upper(),
            int(r["ProcessId"]) or None,
            r["QueryName"],
            r["Hostname"].lower(),
            "NOERROR",
        )
        for r in written
    )
    uids = {r.flow_uid for r in lake.read("flow_events").select("flow_uid").distinct().collect()}
    assert uids == {json.loads(x)["uid"] for x in lines_of(fleet.sensor_files[0])}

    demo = run_detections(lake, demo, select_detections(lake.settings, ["b0fd38c7"]), no_progress)
    assert demo.detected is not None
    assert demo.detected.is_right, demo.detected.score
    kinds = {r["dest_name_by"] for r in demo.detected.rows}
    assert kinds >= {"process", "host", "reverse"}
    by_process = [r for r in demo.detected.rows if r["dest_name"] == "payload.example.org"]
    assert {(r["dest_name_by"], r["dest_host"]) for r in by_process} == {("process", "www.example.com")}
    assert any(r["flow_uid"] for r in demo.detected.rows)
    assert not replace(demo.detected, unchanged=False).is_right


def lines_of(file: Path) -> list[bytes]:
    return gzip.decompress(file.read_bytes()).splitlines()
