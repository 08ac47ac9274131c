"""The JVM that pyspark starts for this process: its environment, its end, and who answers Ctrl-C."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from procnet.spark.java import find_java, launcher_home


@contextmanager
def jvm_launch(scratch: Path) -> Iterator[None]:
    """The context in which pyspark may start a JVM: environment, temporary folder, handler of SIGINT.

    All three are restored. The JVM is ended when this process ends.
    """
    # Exit functions run in reverse order: pyspark's, which may need the JVM, then this one, then `scratch` is removed.
    atexit.register(_end_jvm)
    with _environment(), _temporary_files_in(scratch), _own_interrupt_handler():
        yield


def kill_jvm() -> bool:
    """Kills the JVM of this process; returns whether there was one."""
    if (jvm := _jvm()) is None:
        return False
    jvm.kill()
    jvm.wait()
    return True


def _end_jvm() -> None:
    """Ends the JVM of this process as its work is done: it exits at the end of its stdin, in 0.7 s."""
    if (jvm := _jvm()) is not None and jvm.stdin is not None:
        # Two threads print tracebacks when the JVM goes: py4j's, which releases Java objects, and the one that receives
        # the accumulators of Python tasks.
        logging.getLogger().addFilter(lambda record: "py4j" not in record.pathname)
        if (active := _spark_context()._active_spark_context) is not None:
            active._accumulatorServer.handle_error = lambda *_: None
        jvm.stdin.close()
        try:
            jvm.wait(10)
        except subprocess.TimeoutExpired:
            jvm.kill()
            jvm.wait()


def _jvm() -> subprocess.Popen[bytes] | None:
    return getattr(getattr(_spark_context(), "_gateway", None), "proc", None)


def _spark_context() -> Any:
    """pyspark's class SparkContext, None where pyspark is a client of Spark Connect only."""
    return getattr(sys.modules.get("pyspark.core.context"), "SparkContext", None)


@contextmanager
def _own_interrupt_handler() -> Iterator[None]:
    """Leaves this process's handler of SIGINT in place, if it has one.

    pyspark replaces it by one that calls the JVM, which fails where the signal interrupts another such call.
    """
    from pyspark.core import context

    original: types.ModuleType = vars(context)["signal"]
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        vars(context)["signal"] = types.SimpleNamespace(SIGINT=signal.SIGINT, signal=lambda *_: None)
    try:
        yield
    finally:
        vars(context)["signal"] = original


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Sets the folder of Python's temporary files: pyspark writes some to start a JVM, with its secret."""
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextmanager
def _environment() -> Iterator[None]:
    """Sets this process's environment for the launch of a JVM, which inherits it, and restores it afterwards."""
    import pyspark

    package = Path(pyspark.__file__).parent
    variables = {
        "JAVA_HOME": str(launcher_home(find_java())),
        "SPARK_LOCAL_IP": "127.0.0.1",  # else Spark resolves this machine's name, and warns
        "no_grpc_proxy": "localhost",  # else a proxy is used for a local Connect server, which fails
        "PYSPARK_PYTHON": os.environ.get("PYSPARK_PYTHON", sys.executable),  # else the first python3 on the PATH
    }
    if (package / "jars").is_dir():
        variables["SPARK_HOME"] = str(package)  # a $SPARK_HOME of another version does not fit pyspark
    before = {k: os.environ.get(k) for k in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
