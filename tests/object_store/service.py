"""An S3 service on this machine, and Spark's settings for it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SERVER = os.environ.get("PROCNET_MOTO_SERVER")  # moto's program; `make test-object-store` sets it


@contextmanager
def s3_service() -> Iterator[int]:
    """The port of an empty service with the bucket `bucket`, which ends with the context."""
    assert SERVER is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen([SERVER, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            with suppress(OSError):
                urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT"))
                break
            if time.monotonic() > end or server.poll() is not None:
                raise RuntimeError(f"{SERVER} does not answer at port {port}")
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def connection(port: int) -> dict[str, str]:
    """Spark's settings for a service at a port of this machine, with the keys of docs/object-store.md."""
    return {
        "spark.hadoop.fs.s3a.endpoint": f"http://127.0.0.1:{port}",
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "test",
        "spark.hadoop.fs.s3a.secret.key": "test",
    }
