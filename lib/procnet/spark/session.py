"""The Spark session, wherever procnet runs; no other module knows local, cluster, Spark Connect or Databricks."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from procnet.errors import SessionError
from procnet.spark.delta_jars import delta_jars
from procnet.spark.java import find_java, launcher_home

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# For sessions of seconds, such as the demo and the tests: measured on 2 cores, they end sooner. A backfill of an hour
# would pay for it, since code compiled by C1 alone runs at half the speed.
# Their room for code must be said too: C1 alone reserves 48 MB, which a demo fills; then nothing more is compiled.
SHORT_RUN = {"spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"}

_GIB = 1 << 30


def open_session(
    settings_spark: Mapping[str, str] | None = None,
    *,
    lake: Path | None = None,
    remote: str | None = None,
    app: str = "procnet",
) -> SparkSession:
    """The session that is there, else one by Spark Connect, else a local one with Delta.

    `settings_spark` are Spark's own keys and win over every default; on a session that is already there they are not
    applied, since whoever made it has set it up; its time zone alone is set to UTC. `lake` is the folder of the tables,
    where a local session keeps the managed ones too. `remote` is a Connect address (`sc://host:port`, or
    `local[2]`: a server of its own), as is `$SPARK_REMOTE`.
    Raises SessionError when pyspark, Java or Delta's jars are missing or Spark does not start.
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise SessionError(
            f"pyspark is not installed for {sys.executable}", hint="pip install 'procnet[spark]'"
        ) from None
    if (active := SparkSession.getActiveSession()) is not None:
        # The one setting that results depend on: `event_date` is a cast, and a cast follows the session's zone.
        # In another zone, events near midnight would be filed under a day that no window of theirs reads.
        active.conf.set("spark.sql.session.timeZone", "UTC")
        return active
    asked = settings_spark or {}
    builder = SparkSession.builder.appName(app)
    remote = remote or os.environ.get("SPARK_REMOTE")
    if remote is not None:
        builder = builder.remote(remote)
    if _is_made_elsewhere(remote, os.environ):
        return _start(builder, asked, f"Spark Connect at {remote}" if remote else "the cluster's session")
    with _launch_environment(), warnings.catch_warnings():
        # A server of Connect has them from its start; pyspark sends them to it again and warns of each that is fixed.
        warnings.filterwarnings("ignore", "Failed to set", UserWarning)
        return _start(builder, {**local_defaults(lake, remote), **asked}, "a local session")


def local_defaults(lake: Path | None, remote: str | None = None) -> dict[str, str]:
    """Spark settings of a session on this machine, each with its reason. SessionError if Delta's jars are missing."""
    cores = os.cpu_count() or 1
    warehouse = lake.absolute() / "_warehouse" if lake else Path(tempfile.gettempdir()) / "procnet-warehouse"
    log4j = (Path(__file__).parent / "log4j2.properties").as_uri()
    master = {"spark.master": "local[*]"} if remote is None else {}  # `remote` says local[N] itself
    return master | {
        # Delta, from files: nothing is resolved at start, and a start without a network works.
        "spark.jars": ",".join(map(str, delta_jars())),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # Times are UTC wherever the machine is: a date partition must not depend on who wrote it.
        "spark.sql.session.timeZone": "UTC",
        # The default, 1 GB, ends a backfill that the machine could hold.
        "spark.driver.memory": f"{_driver_memory_gib()}g",
        # One machine: a shuffle gains nothing from 200 partitions. Adaptive execution stays on and merges small ones.
        "spark.sql.shuffle.partitions": str(max(4, 2 * cores)),
        # Delta reads a table's log with 50 tasks by default; our logs are small: a replaced window takes a quarter.
        "spark.databricks.delta.snapshotPartitions": "2",
        # VACUUM lists files with as many tasks, 10,000 by default (delta-io/delta issue 395): minutes for five tables.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(max(4, 2 * cores)),
        # Names and hosts of an IN list reach the pages of the files, up to this many (default: 10).
        "spark.sql.parquet.pushdown.inFilterThreshold": "200",
        # In files that are written: pages of 4,000 rows in the place of 20,000, so that of a common name little more is
        # read than the hosts that were asked for; and times as numbers, which have bounds and are read faster.
        "spark.hadoop.parquet.page.row.count.limit": "4000",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # On, a file on this machine starts a thread for each range that it reads of it, where there are two cores:
        # rows in many pages took four times as long.
        "spark.hadoop.parquet.hadoop.vectored.io.enabled": "false",
        # The default of 100 is less than one run generates: every hour of a backfill would be compiled anew.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # On, every Column of ours is told to the JVM with its line in Python, for messages that a user of procnet never
        # sees: a third of the time in which an hour's plan is written down.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # Nothing is left in the folder where a command was typed.
        "spark.sql.warehouse.dir": str(warehouse),
        # No port is opened to the network, and none is needed: a local session talks to itself.
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.connect.grpc.binding.address": "127.0.0.1",  # where `remote` is local: else it listens to everyone
        "spark.ui.enabled": "false",  # a web server takes half a second to start and nobody looks
        "spark.ui.showConsoleProgress": "false",  # its bar would be drawn over the command's own output
        # Errors only. In `default...`, so that a user's own spark.driver.extraJavaOptions adds to it.
        "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={log4j}",
    }


def _is_made_elsewhere(remote: str | None, env: Mapping[str, str]) -> bool:
    # Databricks names its runtime; spark-submit hands its JVM to the Python process by a port.
    if remote is not None:
        return not remote.startswith("local")
    return "DATABRICKS_RUNTIME_VERSION" in env or "PYSPARK_GATEWAY_PORT" in env


def _start(builder: SparkSession.Builder, config: Mapping[str, str], what: str) -> SparkSession:
    for key, value in config.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
        session.conf.set("spark.sql.session.timeZone", "UTC")  # as of a session that is there: see open_session
    except Exception as e:
        hint = "pip install 'procnet[connect]'" if isinstance(e, ImportError) else None
        raise SessionError(f"{what} did not start: {type(e).__name__}: {e}", hint=hint) from e
    return session


@contextmanager
def _launch_environment() -> Iterator[None]:
    # The JVM takes its environment from this process once, when it is launched; afterwards ours is as it was.
    import pyspark

    package = Path(pyspark.__file__).parent
    wanted = {
        "JAVA_HOME": str(launcher_home(find_java())),
        "SPARK_LOCAL_IP": "127.0.0.1",  # else Spark asks the network for this machine's name, and warns
        "no_grpc_proxy": "localhost",  # else a local server of Connect is sought through the proxy, and never found
        "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable),  # else any python3 of the PATH
    }
    if (package / "jars").is_dir():
        wanted["SPARK_HOME"] = str(package)  # another version's Spark in $SPARK_HOME would not fit this pyspark
    before = {k: os.environ.get(k) for k in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _driver_memory_gib() -> int:
    """Half of what this machine or container has, from 1 to 8: data stays in files, and the system caches those."""
    has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        has = min(has, int(text))
    return max(1, min(8, has // 2 // _GIB))
