"""The session: one that is there is used, a local one is quiet, works offline, and leaves the environment as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from procnet import session
from procnet.session import local_defaults, open_session

# What a command does, in a process of its own: the suite's JVM is up already and proves nothing about a start.
COMMAND = """
import os, sys
from pathlib import Path
from procnet.session import SHORT_RUN, open_session
before = dict(os.environ)
spark = open_session({**SHORT_RUN, "spark.master": "local[1]"}, lake=Path(sys.argv[1]))
assert dict(os.environ) == before
table = str(Path(sys.argv[1]) / "t")
spark.range(3).write.format("delta").save(table)
print(spark.read.format("delta").load(table).count(), spark.conf.get("spark.sql.session.timeZone"))
"""


def test_an_active_session_is_used_and_set_to_utc(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    spark.conf.set("spark.sql.ansi.enabled", "true")
    try:
        assert open_session({"spark.sql.ansi.enabled": "false"}) is spark
        assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
        assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_a_start_is_quiet_and_needs_no_network(tmp_path: Path) -> None:
    # No proxy answers there, and an Ivy folder that cannot be made: whoever resolved anything would fail.
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    away = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9 -Divy.home=/dev/null/ivy"
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "lake")],
        cwd=tmp_path,
        env={**os.environ, **offline, "SPARK_SUBMIT_OPTS": away},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3", "UTC"]
    assert done.stderr == ""
    assert {p.name for p in tmp_path.iterdir()} == {"lake"}, "a start left something in the folder of the command"


def test_the_warehouse_lies_in_the_lake(tmp_path: Path) -> None:
    assert Path(local_defaults(tmp_path)["spark.sql.warehouse.dir"]).parent == tmp_path


@pytest.mark.parametrize(
    ("remote", "env", "elsewhere"),
    [
        ("sc://host:15002", {}, True),
        ("local[2]", {}, False),
        (None, {"DATABRICKS_RUNTIME_VERSION": "18.0"}, True),
        (None, {"PYSPARK_GATEWAY_PORT": "4040"}, True),
        (None, {}, False),
    ],
)
def test_where_a_session_comes_from(remote: str | None, env: dict[str, str], elsewhere: bool) -> None:
    assert session._is_made_elsewhere(remote, env) is elsewhere
