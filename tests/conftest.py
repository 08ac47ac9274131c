"""One lazily made session for each worker; tests without the `spark` fixture start no JVM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Where one test takes a minute. They go first, so that a worker does not begin one when the other is done.
LONG = (
    "test_readme.py", "test_tiling.py", "test_commands.py", "test_view.py", "test_narrowing.py", "test_replay.py",
    "test_chosen.py", "test_session.py", "test_vendor_samples.py", "test_attribution_lakes.py",
    "test_windows_samples.py", "test_exclusions.py", "test_clean_fuzz.py", "test_ingest.py",
)  # fmt: skip


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others as they come."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


# Most tests ask wide plans of a few rows: to compile them takes longer than all else (a fifth of ingest and detect).
INTERPRETED = {"spark.sql.codegen.factoryMode": "NO_CODEGEN", "spark.sql.codegen.wholeStage": "false"}

# Spark's own classes and what it generates are not verified anew in every worker: a tenth of a young JVM's time.
UNVERIFIED = "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session a user gets, with what serves short runs: tables of a few rows need one partition, not more."""
    from procnet.session import SHORT_RUN, open_session

    settings = {
        "spark.master": "local[2]",
        "spark.driver.extraJavaOptions": f"{SHORT_RUN['spark.driver.extraJavaOptions']} {UNVERIFIED}",
        "spark.driver.memory": "2g",  # two workers beside each other, on a small machine too
        "spark.sql.shuffle.partitions": "1",
        **INTERPRETED,
    }
    session = open_session(settings, lake=tmp_path_factory.mktemp("lake"), app="procnet tests")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def compiled(spark: SparkSession) -> Iterator[None]:
    """Plans run as they do for a user: for the modules that judge many rows, or plans."""
    for key in INTERPRETED:
        spark.conf.set(key, "true" if key.endswith("wholeStage") else "FALLBACK")
    yield
    for key, value in INTERPRETED.items():
        spark.conf.set(key, value)
