"""The two plans of the join behind one function, and how much may be held to choose between them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from pyspark.sql import DataFrame, SparkSession

from procnet.attribution import broadcast, shuffled
from procnet.attribution.instances import process_instances
from procnet.attribution.resolve import resolve
from procnet.settings import HostMatch, Tolerances

Plan = Literal["broadcast", "shuffled"]


def attribute_connections(
    processes: DataFrame,
    connections: DataFrame,
    *,
    max_age: timedelta = timedelta(hours=24),
    clock_skew: timedelta = timedelta(seconds=1),
    end_grace: timedelta = timedelta(seconds=5),
    start_tolerance: timedelta = timedelta(seconds=2),
    host_match: HostMatch | str = HostMatch.SHORT,
    plan: Plan = "shuffled",
) -> DataFrame:
    """Give each connection the process instance that made it (2-semantics, 1 and 2).

    In: `processes` as `contract.PROCESS_EVENTS`, read from `max_age` + `start_tolerance` before the first connection to
    `clock_skew` + 2 x `start_tolerance` after the last; `connections` as `contract.NETWORK_EVENTS`.
    Out: one row a connection row, in any order: its columns, `attribution` (guid, host_pid, event, none) and `instance`
    (struct: process_time, process_end_time and what is known of the process; null for event and none).
    `plan`: "broadcast" sends the lives to the connections and suits few processes; "shuffled" suits any number. Both
    give the same rows. Lazy: nothing runs until the result is used.
    """
    tolerances = Tolerances(clock_skew=clock_skew, end_grace=end_grace, start_tolerance=start_tolerance)
    hosts = HostMatch(host_match)
    told = attribute(processes, connections, max_ages=[max_age], tolerances=tolerances, host_match=hosts, plan=plan)
    return told.drop("max_age")


def attribute(
    processes: DataFrame,
    connections: DataFrame,
    *,
    max_ages: Sequence[timedelta],
    tolerances: Tolerances,
    host_match: HostMatch,
    plan: Plan,
) -> DataFrame:
    """`attribute_connections` under several `max_age`: one row a connection and `max_age`, which is a column of it.

    In: processes as for the longest of them. They are read, and gathered for the connections, once.
    """
    instances = process_instances(processes, tolerances=tolerances, host_match=host_match)
    if plan == "broadcast":
        gathered = broadcast.gather(instances, connections, host_match=host_match)
    else:
        gathered = shuffled.gather(instances, connections, host_match=host_match, tolerances=tolerances)
    return resolve(gathered, max_ages=max_ages, tolerances=tolerances)


def broadcast_limit(spark: SparkSession, told: int | None) -> int:
    """How many rows may be held by the driver and sent to every task: `told`, else by the memory of both.

    A row of keys and names takes some 250 bytes; a sixty-fourth of the smaller heap holds 65,000 of them a GiB.
    """
    if told is not None:
        return told
    wanted = ["spark.driver.memory", *([] if _is_local(spark) else ["spark.executor.memory"])]
    sizes = [_gib(spark.conf.get(key, None) or "1g") for key in wanted]
    return int(min(sizes) * 65_536)


def _is_local(spark: SparkSession) -> bool:
    return (spark.conf.get("spark.master", None) or "").startswith("local")


def _gib(size: str) -> float:
    """Spark's spelling of a size, such as 8g or 512m; without a unit it is bytes."""
    number = float(size.strip().lower().rstrip("b").rstrip("kmgt") or 0)
    unit = size.strip().lower().rstrip("b")[-1:]
    return number * {"k": 2**-20, "m": 2**-10, "g": 1, "t": 2**10}.get(unit, 2**-30)
