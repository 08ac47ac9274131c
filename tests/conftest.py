"""One lazily made session for each worker; tests without the `spark` fixture start no JVM."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Where one test takes a minute. They go first, so that a worker does not begin one when the other is done.
LONG = (
    "test_docs.py", "test_tiling.py", "test_commands.py", "test_view.py", "test_prefilter.py", "test_replay.py",
    "test_selection.py", "test_session.py", "test_vendor_samples.py", "test_attribution_lakes.py",
    "test_windows_samples.py", "test_exclusions.py", "test_cleaning_fuzz.py", "test_ingest.py",
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--connect", action="store_true", help="the session is one of Spark Connect, over a local server")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest files first, the others as they come."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))
    for item in items if config.getoption("connect") else ():
        if marker := item.get_closest_marker("classic"):
            item.add_marker(pytest.mark.skip(reason=f"not by Spark Connect: {marker.args[0]}"))


# Most tests ask wide plans of a few rows: to compile them takes longer than all else (a fifth of ingest and detect).
INTERPRETED = {"spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.codegen.wholeStage": "false"}

# Spark's own classes and what it generates are not verified anew in every worker: a tenth of a young JVM's time.
UNVERIFIED = "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"


@pytest.fixture(scope="session")
def spark(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session a user gets, with what serves short runs: tables of a few rows need one partition, not more."""
    from procnet.spark.session import SHORT_RUN, open_session

    remote = "local[2]" if pytestconfig.getoption("connect") else None
    settings = {
        **(own_server() if remote else {"spark.master": "local[2]"}),
        "spark.driver.extraJavaOptions": f"{SHORT_RUN['spark.driver.extraJavaOptions']} {UNVERIFIED}",
        "spark.driver.memory": "2g",  # two workers beside each other, on a small machine too
        "spark.sql.shuffle.partitions": "1",
        **INTERPRETED,
    }
    session = open_session(settings, lake=tmp_path_factory.mktemp("lake"), remote=remote, app="procnet tests")
    yield session
    session.stop()


def own_server() -> dict[str, str]:
    """Settings of a local server for this process alone: to pyspark it is always at one port, where one has room."""
    from pyspark.sql.connect.client import DefaultChannelBuilder

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    DefaultChannelBuilder.default_port = staticmethod(lambda: port)
    return {"spark.connect.grpc.binding.port": str(port)}


@pytest.fixture(scope="module")
def compiled(spark: SparkSession) -> Iterator[None]:
    """Plans run as they do for a user: for the modules that judge many rows, or plans."""
    for key in INTERPRETED:
        spark.conf.set(key, "true" if key.endswith("wholeStage") else "FALLBACK")
    yield
    for key, value in INTERPRETED.items():
        spark.conf.set(key, value)
