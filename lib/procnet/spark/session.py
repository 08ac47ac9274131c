"""The Spark session: local, of a cluster, by Spark Connect or of Databricks. No other module distinguishes these."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from procnet.errors import SessionError, install_hint
from procnet.spark.delta_jars import delta_jars
from procnet.spark.java_locale import LOCALE, check_locale
from procnet.spark.jvm import jvm_launch, kill_jvm
from procnet.spark.temporary import temporary_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# JVM options for sessions of seconds, such as the demo and the tests: serial garbage collector, only the C1 compiler.
# Measured on 2 cores, such sessions end sooner; a backfill of an hour would not, as C1's code runs at half the speed.
# With C1 only, the default code cache is 48 MB, which a demo fills; after that nothing more is compiled.
SHORT_RUN = {"spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"}

_GIB = 1 << 30
_opened: list[SparkSession] = []  # the session that was opened last


def open_session(
    settings_spark: Mapping[str, str] | None = None,
    *,
    lake: Path | None = None,
    remote: str | None = None,
    app: str = "procnet",
) -> SparkSession:
    """The active Spark session; without one, a new session by Spark Connect, of the cluster, or local with Delta.

    `settings_spark` (Spark's configuration keys) takes precedence over procnet's defaults. An active session gets none
    of it: only its time zone is set to UTC. `lake` is the folder of the tables; a local session has its warehouse
    there. `remote` is a Connect address, by default `$SPARK_REMOTE`: `sc://host:port`, or `local[2]` for a Connect
    server on this machine.
    Raises SessionError if pyspark, Java or Delta's jars are missing, Spark does not start, or `check_locale` fails.
    """
    session = _active_or_new(settings_spark or {}, lake, remote, app)
    _opened[:] = [session]
    check_locale(session)
    return session


def _active_or_new(user_config: Mapping[str, str], lake: Path | None, remote: str | None, app: str) -> SparkSession:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise SessionError(f"pyspark is not installed for {sys.executable}", hint=install_hint("spark")) from None
    if (active := SparkSession.getActiveSession()) is not None:
        # The one setting that results depend on: `event_date` is a cast, which follows the session's time zone.
        # In another zone, events near midnight would get a date whose partition their window does not read.
        active.conf.set("spark.sql.session.timeZone", "UTC")
        return active
    builder = SparkSession.builder.appName(app)
    remote = remote or os.environ.get("SPARK_REMOTE")
    if remote is not None:
        builder = builder.remote(remote)
    if is_external(os.environ, remote):
        return _start(builder, user_config, f"Spark Connect at {remote}" if remote else "the cluster's session")
    scratch = temporary_folder("session")
    with jvm_launch(scratch), warnings.catch_warnings():
        # pyspark sends a local Connect server its configuration twice, and warns of each static key the second time.
        warnings.filterwarnings("ignore", "Failed to set", UserWarning)
        return _start(builder, {**local_defaults(lake, scratch, remote), **user_config}, "a local session")


def local_defaults(lake: Path | None, scratch: Path, remote: str | None = None) -> dict[str, str]:
    """Spark's configuration for a session on this machine, with its temporary files in the folder `scratch`.

    SessionError if Delta's jars are missing.
    """
    cores = os.cpu_count() or 1
    warehouse = (lake.absolute() if lake else scratch) / "_warehouse"
    log4j = (Path(__file__).parent / "log4j2.properties").as_uri()
    master = {"spark.master": "local[*]"} if remote is None else {}  # with `remote`, local[N] is the address
    return master | {
        # Delta from files: no dependency resolution at start, and a start without a network works.
        "spark.jars": ",".join(map(str, delta_jars())),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # UTC on every machine: date partitions must not depend on the writer's time zone.
        "spark.sql.session.timeZone": "UTC",
        # With the default of 1 GB, a backfill that would fit into the machine runs out of memory.
        "spark.driver.memory": f"{_driver_memory_gib()}g",
        # On one machine a shuffle gains nothing from 200 partitions. Adaptive execution still merges small ones.
        "spark.sql.shuffle.partitions": str(max(4, 2 * cores)),
        # Delta reads a table's log with 50 tasks by default; for these small logs, 2 replace a window in a quarter of
        # the time.
        "spark.databricks.delta.snapshotPartitions": "2",
        # VACUUM lists files with this many tasks; the default of 10,000 takes minutes for five tables (delta-io/delta
        # issue 395).
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(max(4, 2 * cores)),
        # IN lists of up to this many names or hosts are pushed down to Parquet pages (default: 10).
        "spark.sql.parquet.pushdown.inFilterThreshold": "200",
        # Files are written with pages of 4,000 rows instead of 20,000, so that a filter on a common name and some hosts
        # reads little more than those hosts; and timestamps as INT64, which has statistics and is read faster.
        "spark.hadoop.parquet.page.row.count.limit": "4000",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # Vectored IO starts a thread for each range it reads of a local file: on two cores, rows in many pages took
        # four times as long.
        "spark.hadoop.parquet.hadoop.vectored.io.enabled": "false",
        # One run generates more classes than the default of 100: each hour of a backfill would compile all of them.
        "spark.sql.codegen.cache.maxEntries": "2000",
        # If true, each Column's line of Python is sent to the JVM, for messages that users of procnet never see: that
        # is a third of the time in which an hour's plan is built.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        # Not in the working directory of the command.
        "spark.sql.warehouse.dir": str(warehouse),
        # Other users may not read what a shuffle or a cached table writes, and a killed JVM leaves one folder behind.
        "spark.local.dir": str(scratch),
        # No port open to the network: a local session connects only to itself.
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.connect.grpc.binding.address": "127.0.0.1",  # a local Connect server listens on all addresses by default
        "spark.ui.enabled": "false",  # the web server takes half a second to start, and no user opens it
        "spark.ui.showConsoleProgress": "false",  # the progress bar would overwrite the command's output
        # Logs errors only. As `default...`, so that a user's spark.driver.extraJavaOptions is added to it.
        "spark.driver.defaultJavaOptions": f'-Dlog4j2.configurationFile={log4j} "-Djava.io.tmpdir={scratch}" {LOCALE}',
        "spark.executor.defaultJavaOptions": LOCALE,
    }


def stop_at_once() -> bool:
    """Stops what Spark does for this process, without waiting for it; returns whether no JVM of this process is left.

    A JVM that this process started is killed; a query elsewhere is cancelled, which may take 2 seconds. Callable in a
    signal handler: this thread makes no call to Spark, since the signal may have interrupted one.
    """
    if kill_jvm():
        return True
    for session in _opened:
        cancel = threading.Thread(target=session.interruptAll, daemon=True)
        cancel.start()
        cancel.join(2)
    return bool(_opened)


def is_external(env: Mapping[str, str], remote: str | None = None) -> bool:
    """Whether a session's JVM or server runs already: a Connect server, Databricks, or that of spark-submit."""
    remote = remote or env.get("SPARK_REMOTE")
    if remote is not None:
        return not remote.startswith("local")
    return "DATABRICKS_RUNTIME_VERSION" in env or "PYSPARK_GATEWAY_PORT" in env


def _start(builder: SparkSession.Builder, config: Mapping[str, str], kind: str) -> SparkSession:
    for key, value in config.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
        session.conf.set("spark.sql.session.timeZone", "UTC")  # as for an active session
    except Exception as e:
        hint = install_hint("connect") if isinstance(e, ImportError) else None
        raise SessionError(f"{kind} did not start: {type(e).__name__}: {e}", hint=hint) from e
    return session


def _driver_memory_gib() -> int:
    """Half of the memory of this machine or container, in GiB, at least 1 and at most 8; the rest caches files."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        memory = min(memory, int(text))
    return max(1, min(8, memory // 2 // _GIB))
