"""One writer's whole path over an object store, compared with the same commands over a folder of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from cli.command import procnet
from installer_lake import all_findings
from object_store.job import EXPECTED, PERIOD, commands, first_detection, write_job
from object_store.proxy import Proxy
from procnet.lake.tables import Lake
from procnet.settings import Settings

pytestmark = [pytest.mark.spark, pytest.mark.object_store]
# After the job. All but `maintain` are as fast as reading is; the last detect reads what maintain has left.
LATER = (
    ("gaps", *PERIOD), ("backfill", *PERIOD, "--chunk", "1h"), ("findings",), ("risk",), ("status",),
    ("maintain",), ("detect", *PERIOD),
)  # fmt: skip


def test_the_whole_path_of_one_writer(spark: SparkSession, proxy: Proxy, tmp_path: Path) -> None:
    findings = {}
    for name, lake in (("folder", tmp_path / "lake"), ("s3", "s3a://bucket/whole-path")):
        conf = write_job(tmp_path / name, lake)
        later = [(*c, "--conf", str(conf)) for c in LATER if name == "s3"]
        for command in [("init", "--conf", str(conf)), *commands(conf), *later]:
            result = procnet(*command)
            assert result.code == 0, f"{name}: {command}\n{result.err}"
        findings[name] = all_findings(Lake(spark, Settings(lake=lake)))
    assert first_detection(findings["s3"]) == EXPECTED
    assert findings["s3"] == findings["folder"]
    assert proxy.count() > 1000, "the tables are behind the proxy"


def test_tables_of_an_object_store_are_read_in_place(spark: SparkSession, tmp_path: Path) -> None:
    """The lake is a folder; events come from Delta tables by URL, of which one row was deleted."""
    raw = write_job(tmp_path / "raw", "s3a://bucket/in-place")
    for command in (commands(raw)[0], commands(raw)[2]):
        assert procnet(*command).code == 0
    spark.sql("DELETE FROM delta.`s3a://bucket/in-place/network_events` WHERE host = 'a' AND minute(event_time) = 15")
    conf = write_job(tmp_path / "conf", tmp_path / "lake")
    places = [f"s3a://bucket/in-place/{t}" for t in ("process_events", "network_events")]
    values = yaml.safe_load(conf.read_text()) | {"sources": {"bucket": {"mapping": "cim", "tables": places}}}
    conf.write_text(yaml.safe_dump(values))
    assert procnet("init", "--conf", conf).code == 0
    result = procnet("detect", *PERIOD, "--conf", conf)
    assert result.code == 0, result.err
    rows = all_findings(Lake(spark, Settings(lake=tmp_path / "lake")))
    assert first_detection(rows) == [("a", "12:45"), ("b", "12:30"), ("b", "13:30")]
    result = procnet("ingest", "--source", "cim", *places, "--conf", conf, "--json")
    assert result.code == 0, result.err
    stored = [
        Lake(spark, Settings(lake=tmp_path / "lake")).read(t).count() for t in ("process_events", "network_events")
    ]
    assert stored == [3, 4]
