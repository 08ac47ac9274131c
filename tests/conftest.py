"""One lazily made session for each worker; tests without the `spark` fixture start no JVM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session a user gets, with what serves short runs: tables of a few rows need one partition, not more."""
    from procnet.session import SHORT_RUN, open_session

    settings = {
        **SHORT_RUN,
        "spark.master": "local[2]",
        "spark.driver.memory": "2g",  # two workers beside each other, on a small machine too
        "spark.sql.shuffle.partitions": "1",
    }
    session = open_session(settings, lake=tmp_path_factory.mktemp("lake"), app="procnet tests")
    yield session
    session.stop()
