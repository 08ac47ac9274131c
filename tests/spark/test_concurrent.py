"""Questions that are asked at one time."""

from __future__ import annotations

import threading

import pytest
from pyspark.sql import SparkSession

from procnet.spark.concurrent import run_concurrently

pytestmark = pytest.mark.spark


def test_answers_come_in_the_order_of_the_questions(spark: SparkSession) -> None:
    """The first is not told before the second: each waits for the other to have begun."""
    both = threading.Barrier(2, timeout=60)

    def ask(n: int) -> int:
        both.wait()
        return spark.range(n).count()

    assert run_concurrently(spark, lambda: ask(3), lambda: ask(2)) == [3, 2]


def test_threads_that_share_one_of_java_are_not_used(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with PYSPARK_PIN_THREAD=false, where Spark hands back the session in the place of a wrapper."""
    monkeypatch.setattr("procnet.spark.concurrent.inheritable_thread_target", lambda session: session)
    assert run_concurrently(spark, threading.get_ident, threading.get_ident) == [threading.get_ident()] * 2


def test_an_error_is_told_when_all_have_ended(spark: SparkSession) -> None:
    ended = []

    def fails() -> int:
        raise ValueError("the first")

    def ends() -> int:
        ended.append(spark.range(2).count())
        return ended[0]

    with pytest.raises(ValueError, match="the first"):
        run_concurrently(spark, fails, ends)
    assert ended == [2]
