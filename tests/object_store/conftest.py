"""An S3 service on this machine, a proxy before it, and a Spark session with the connector.

`make test-object-store` names the service's program by $PROCNET_MOTO_SERVER; without it these tests are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from conftest import INTERPRETED, JAVA_OPTIONS
from object_store.jars import connector_jars
from object_store.proxy import Proxy, no_faults
from object_store.service import SERVER, connection, s3_service
from procnet.spark.session import SHORT_RUN, open_session


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SERVER is None:
        for item in items:
            if "object_store" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="make test-object-store starts an S3 service and runs these"))


# The client gives up after a few tries and waits little between them, so that faults of some requests reach a command.
IMPATIENT = {
    "spark.hadoop.fs.s3a.connection.timeout": "15s",
    "spark.hadoop.fs.s3a.attempts.maximum": "1",
    "spark.hadoop.fs.s3a.retry.limit": "3",
    "spark.hadoop.fs.s3a.retry.interval": "5ms",
    "spark.hadoop.fs.s3a.retry.throttle.limit": "3",
    "spark.hadoop.fs.s3a.retry.throttle.interval": "5ms",
}


@pytest.fixture(scope="session")
def service() -> Iterator[int]:
    """The port of an empty S3 service with the bucket `bucket`."""
    with s3_service() as port:
        yield port


@pytest.fixture(scope="session")
def shared_proxy(service: int) -> Iterator[Proxy]:
    proxy = Proxy(service)
    yield proxy
    proxy.close()


@pytest.fixture
def proxy(shared_proxy: Proxy) -> Iterator[Proxy]:
    """The proxy, which has no faults when the test begins and ends."""
    yield shared_proxy
    shared_proxy.plan = no_faults


@pytest.fixture(scope="session")
def spark(shared_proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of the other tests, with the connector."""
    home = tmp_path_factory.mktemp("session")
    settings = {
        "spark.master": "local[2]",
        "spark.driver.extraClassPath": os.pathsep.join(map(str, connector_jars())),
        "spark.driver.extraJavaOptions": f"{SHORT_RUN['spark.driver.extraJavaOptions']} {JAVA_OPTIONS}",
        "spark.driver.memory": "2g",
        "spark.sql.shuffle.partitions": "1",
        "spark.hadoop.fs.s3a.buffer.dir": str(home / "buffer"),
        **INTERPRETED,
        **connection(shared_proxy.port),
        **IMPATIENT,
    }
    session = open_session(settings, lake=home, app="procnet tests of an object store")
    yield session
    session.stop()
