"""Several questions to Spark at one time: while one is being planned, which takes one core, another is computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

_T = TypeVar("_T")


def run_concurrently(spark: SparkSession, *asks: Callable[[], _T]) -> list[_T]:
    """The answers, in order. An error of one is raised when all have ended."""
    # Each with the job group, tags and properties of this thread: without, a cancelled run would go on.
    inherit = inheritable_thread_target(spark)
    # Where a thread of Python has no thread of Java to itself (PYSPARK_PIN_THREAD=false), Spark hands back what it got.
    if len(asks) == 1 or isinstance(inherit, SparkSession):
        return [ask() for ask in asks]
    with ThreadPoolExecutor(len(asks)) as pool:
        running = [pool.submit(inherit(ask)) for ask in asks]
    return [r.result() for r in running]
