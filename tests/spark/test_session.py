"""The session: an active one is used; a local one is quiet, works offline and restores the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from procnet.spark import session
from procnet.spark.session import local_defaults, open_session

# What a command does, in a separate process: the JVM of the test session has already started.
COMMAND = """
import os, sys
from pathlib import Path
from conftest import own_server
from procnet.spark.session import SHORT_RUN, open_session
lake, connect = Path(sys.argv[1]), sys.argv[2] == "True"
config = own_server() if connect else {"spark.master": "local[1]"}
before = dict(os.environ)
spark = open_session({**SHORT_RUN, **config}, lake=lake, remote="local[1]" if connect else None)
changed = {k for k in {*os.environ, *before} if os.environ.get(k) != before.get(k)}
print(*sorted(changed - {"SPARK_AUTH_SOCKET_TIMEOUT", "SPARK_BUFFER_SIZE"}))  # pyspark sets these for its own use
spark.range(3).write.format("delta").save(str(lake / "t"))
try:
    spark.table(f"delta.`{lake}/absent`").columns
except Exception as e:
    print(type(e).__name__)
try:  # in a Python task, as those of ingest, whose server the JVM's end must not disturb
    spark.range(1).mapInArrow(lambda batches: batches, "id long").selectExpr("raise_error(string(id))").collect()
except Exception as e:
    print("failed")
print(spark.read.format("delta").load(str(lake / "t")).count(), spark.conf.get("spark.sql.session.timeZone"))
(folder,) = Path(os.environ["TMPDIR"]).glob("procnet-session-*")
print(oct(folder.stat().st_mode), *sorted({p.name.split("-")[0] for p in folder.iterdir()} & {"blockmgr", "spark"}))
(text,) = spark.sql("SELECT lower(concat('\u00c9I', if(id < 0, '', '!'))) FROM range(1)").first()
other = spark.sql("SELECT '\u00c9I' ILIKE '\u00e9i', date_format(DATE'2026-03-01', 'EEEE')").first()
print(text.encode().hex(), *other)
"""
# pyspark sets these to select Connect or classic Spark.
MODE_VARIABLES = ["SPARK_CONNECT_AUTHENTICATE_TOKEN", "SPARK_CONNECT_MODE_ENABLED", "SPARK_LOCAL_REMOTE"]


def test_an_active_session_is_used_and_set_to_utc(spark: SparkSession) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    spark.conf.set("spark.sql.ansi.enabled", "true")
    try:
        assert open_session({"spark.sql.ansi.enabled": "false"}) is spark
        assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
        assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


@pytest.mark.long
def test_a_start_is_quiet_and_needs_no_network(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    connect = bool(pytestconfig.getoption("connect"))
    # A proxy that does not answer, and an Ivy folder that cannot be created: every resolution of a jar fails.
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {k: v for k, v in os.environ.items() if k not in MODE_VARIABLES}
    tests = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [environment.get("PYTHONPATH")])])
    # In Turkish, the lower case of I is another letter; Spark's lower() follows the JVM for text beyond ASCII.
    turkish = "-Duser.language=tr -Duser.country=TR"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    no_network = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9 -Divy.home=/dev/null/ivy"
    command = subprocess.run(
        [sys.executable, "-c", COMMAND, str(tmp_path / "lake"), str(connect)],
        cwd=tmp_path,
        env={
            **environment,
            **offline,
            "TMPDIR": str(temporary),
            "PYTHONPATH": tests,
            "SPARK_SUBMIT_OPTS": f"{no_network} {turkish}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert command.returncode == 0, command.stderr
    assert command.stdout.split("\n") == [
        " ".join(MODE_VARIABLES if connect else ()),
        "AnalysisException",
        "failed",
        "3 UTC",
        "0o40700 blockmgr spark",
        "c3a96921 True Sunday",
        "",
    ]
    assert command.stderr == ""
    assert {p.name for p in tmp_path.iterdir()} == {"lake", "temporary"}, "files in the working directory"
    assert list(temporary.iterdir()) == []


def test_the_warehouse_is_in_the_lake(tmp_path: Path) -> None:
    lake, scratch = tmp_path / "lake", tmp_path / "scratch"
    assert Path(local_defaults(lake, scratch)["spark.sql.warehouse.dir"]).parent == lake
    assert Path(local_defaults(None, scratch)["spark.sql.warehouse.dir"]).parent == scratch


@pytest.mark.parametrize(
    ("remote", "env", "external"),
    [
        ("sc://host:15002", {}, True),
        ("local[2]", {}, False),
        (None, {"SPARK_REMOTE": "sc://host:15002"}, True),
        (None, {"DATABRICKS_RUNTIME_VERSION": "18.0"}, True),
        (None, {"PYSPARK_GATEWAY_PORT": "4040"}, True),
        (None, {}, False),
    ],
)
def test_external_sessions_are_recognized(remote: str | None, env: dict[str, str], external: bool) -> None:
    assert session.is_external(env, remote) is external
