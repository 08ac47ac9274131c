"""Without a safe log store, or a reason in the settings, no command writes to an object store; those that read work."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from cli.command import procnet
from object_store.job import PERIOD, commands, write_job
from object_store.proxy import Proxy

pytestmark = [pytest.mark.spark, pytest.mark.object_store]
READING = (("findings",), ("status",), ("risk",), ("gaps", *PERIOD))


def test_no_command_writes_to_s3_without_a_safe_log_store(spark: SparkSession, proxy: Proxy, tmp_path: Path) -> None:
    allowed, refused = (
        write_job(tmp_path / name, "s3a://bucket/writers", s3_commits=reason)
        for name, reason in (("allowed", "one writer only"), ("refused", None))
    )
    early, detect, late, catch_up = commands(refused)
    writing = [("init", "--conf", str(refused)), early]
    for command in writing:
        refuse(proxy, command)
    for command in commands(allowed)[:3]:  # up to the late records, which catch-up would run a window for
        assert procnet(*command).code == 0
    for command in (detect, late, catch_up, ("backfill", *detect[1:]), ("maintain", *catch_up[1:])):
        refuse(proxy, command)
    for reading in READING:
        assert procnet(*reading, "--conf", refused).code == 0, reading
    for unsafe in ("HDFSLogStore", "GCSLogStore"):
        spark.conf.set("spark.delta.logStore.s3a.impl", f"io.delta.storage.{unsafe}")
        try:
            refuse(proxy, late)
        finally:
            spark.conf.unset("spark.delta.logStore.s3a.impl")


def refuse(proxy: Proxy, command: tuple[str, ...]) -> None:
    """Asserts that the command ends with a message about log stores, and writes nothing."""
    proxy.count()
    result = procnet(*command)
    assert (result.code, proxy.written()) == (2, []), f"{command}: {result}"
    for words in ("s3a://bucket/writers", "spark.delta.logStore.s3a.impl", "S3DynamoDBLogStore", "s3_commits"):
        assert words in result.err, result.err


def test_raw_files_of_a_bucket_are_refused_with_what_to_do(spark: SparkSession, tmp_path: Path) -> None:
    conf = write_job(tmp_path, tmp_path / "lake")
    result = procnet("ingest", "--conf", conf, "--source", "windows_flat", "s3a://bucket/raw/")
    assert result.code == 3
    assert "s3a://bucket/raw/ is a URL" in result.err
    assert "mount it" in result.err
    assert "read it into a table" in result.err
