"""Spark actions that run side by side."""

from __future__ import annotations

import threading

import pytest
from pyspark.sql import SparkSession

from procnet.spark.concurrent import run_concurrently

pytestmark = pytest.mark.spark


def test_results_come_in_the_order_of_the_actions(spark: SparkSession) -> None:
    """Both run at the same time: each waits until the other has started."""
    both = threading.Barrier(2, timeout=60)

    def count(n: int) -> int:
        both.wait()
        return spark.range(n).count()

    assert run_concurrently(spark, lambda: count(3), lambda: count(2)) == [3, 2]


def test_threads_are_not_used_where_they_share_one_java_thread(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PYSPARK_PIN_THREAD=false, `inheritable_thread_target` returns the session instead of a wrapper."""
    monkeypatch.setattr("procnet.spark.concurrent.inheritable_thread_target", lambda session: session)
    assert run_concurrently(spark, threading.get_ident, threading.get_ident) == [threading.get_ident()] * 2


def test_an_error_is_raised_when_all_actions_have_ended(spark: SparkSession) -> None:
    ended = []

    def fails() -> int:
        raise ValueError("the first")

    def ends() -> int:
        ended.append(spark.range(2).count())
        return ended[0]

    with pytest.raises(ValueError, match="the first"):
        run_concurrently(spark, fails, ends)
    assert ended == [2]
