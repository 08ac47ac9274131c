"""Spark actions that run side by side: while one is being planned, which takes one core, another one computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

_T = TypeVar("_T")


def run_concurrently(spark: SparkSession, *actions: Callable[[], _T]) -> list[_T]:
    """Results of the actions, in their order, each run in a thread of its own.

    All actions run to their end before the exception of a failed one is raised.
    """
    # Each thread inherits the job group, tags and properties of this one; otherwise a cancelled run would go on.
    inherit = inheritable_thread_target(spark)
    # With PYSPARK_PIN_THREAD=false, Python threads share one Java thread and Spark returns the session itself.
    if len(actions) == 1 or isinstance(inherit, SparkSession):
        return [action() for action in actions]
    with ThreadPoolExecutor(len(actions)) as pool:
        running = [pool.submit(inherit(action)) for action in actions]
    return [r.result() for r in running]
