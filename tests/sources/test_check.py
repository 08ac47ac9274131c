"""A check of a source: which records are in the sample, and what the verdict says."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from procnet.sources.check import check_source

NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)


@pytest.mark.spark
def test_every_file_of_a_folder_is_sampled(spark: SparkSession, tmp_path: Path) -> None:
    """The first file has only other events, and more of them than the sample is large."""
    base = {"SourceName": "Microsoft-Windows-Sysmon", "Hostname": "pc1", "@timestamp": "2026-03-01T10:00:00Z"}
    other = json.dumps({**base, "EventID": 11})
    connection = {**base, "EventID": 3, "ProcessId": "7", "DestinationIp": "192.0.2.7", "DestinationPort": "443"}
    (tmp_path / "a.json").write_text("\n".join([other] * 300))
    (tmp_path / "b.json").write_text(json.dumps(connection))
    checked = check_source(spark, "windows_flat", [tmp_path], sample=100, now=NOW)
    assert (checked.sample, dict(checked.skipped)) == (51, {"11": 50})
    (kind,) = checked.kinds
    assert (kind.table, kind.events, kind.example["dest_ip"]) == ("network_events", 1, "192.0.2.7")
    assert checked.verdict[0].startswith("no starts in the sample")
