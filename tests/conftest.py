"""One Spark session for each worker, started by the first test that uses it; other tests start no JVM."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# The files that take longest, longest first (seconds of one worker on 2 cores: 77 to 6; the first two with `-m long`).
# A worker takes whole files, so a long file that came last would leave the other worker idle.
LONGEST_FILES = (
    "docs/test_docs.py", "replay/test_replay.py", "engine/test_tiling.py", "sources/test_vendor_samples.py",
    "sources/test_view.py", "sources/test_windows_samples.py", "cli/test_commands.py",
    "attribution/test_attribution_lakes.py", "runs/test_selection.py", "engine/test_plans.py",
    "engine/test_prefilter.py", "spark/test_session.py", "sources/test_ingest.py", "detections/test_defects.py",
    "runs/test_backfill.py", "sources/test_cleaning_fuzz.py", "state/test_completeness.py", "state/test_state.py",
    "findings/test_risk.py", "runs/test_init.py", "bench/test_bench.py", "findings/test_exclusions.py",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--connect", action="store_true", help="the session is one of Spark Connect, over a local server")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sorts the longest files to the front, and skips under --connect what Spark Connect lacks."""
    order = {name: i for i, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: order.get(f"{item.path.parent.name}/{item.path.name}", len(order)))
    for item in items if config.getoption("connect") else ():
        if marker := item.get_closest_marker("classic"):
            item.add_marker(pytest.mark.skip(reason=f"not by Spark Connect: {marker.args[0]}"))


# Most tests run large plans over a few rows, where Java code generation takes longest: a fifth of ingest and detect.
INTERPRETED = {"spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.codegen.wholeStage": "false"}

# For a session of many small queries. Bytecode is not verified in every worker (a tenth of a new JVM's time). The heap
# starts so large that collections are rare, and the metaspace so large that it causes no full collection (together 8 %
# of the processor time of tests/engine/test_tiling.py).
JAVA_OPTIONS = "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote -Xms1g -Xmn600m -XX:MetaspaceSize=400m"


@pytest.fixture(scope="session")
def spark(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session that a user gets, with settings for short runs: tables of a few rows need one partition only."""
    from procnet.spark.session import SHORT_RUN, open_session

    remote = "local[2]" if pytestconfig.getoption("connect") else None
    settings = {
        **(own_server() if remote else {"spark.master": "local[2]"}),
        "spark.driver.extraJavaOptions": f"{SHORT_RUN['spark.driver.extraJavaOptions']} {JAVA_OPTIONS}",
        "spark.driver.memory": "2g",  # two workers at once fit into a small machine
        "spark.sql.shuffle.partitions": "1",
        **INTERPRETED,
    }
    session = open_session(settings, lake=tmp_path_factory.mktemp("lake"), remote=remote, app="procnet tests")
    yield session
    session.stop()


def own_server() -> dict[str, str]:
    """Settings of a local Connect server on a free port: pyspark has one fixed port, which one process can use."""
    from pyspark.sql.connect.client import DefaultChannelBuilder

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    DefaultChannelBuilder.default_port = staticmethod(lambda: port)
    return {"spark.connect.grpc.binding.port": str(port)}


@pytest.fixture(scope="module")
def compiled(spark: SparkSession) -> Iterator[None]:
    """Compiles plans as in a user's session, for modules that evaluate many rows or inspect plans."""
    for key in INTERPRETED:
        spark.conf.set(key, "true" if key.endswith("wholeStage") else "FALLBACK")
    yield
    for key, value in INTERPRETED.items():
        spark.conf.set(key, value)
