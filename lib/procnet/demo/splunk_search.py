"""The results of the original Splunk search on canonical events, to compare procnet's findings with.

The search is copied with its defects (docs/defects.md, D1 to D9): `tstats` with `fillnull_value=null` on both sides,
one scheduled run per hour that reads only that hour, `join process_id` with its defaults (inner, max=1, overwrite=true,
a subsearch cut at 50,000 rows).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import Window as Over
from pyspark.sql import functions as F

from procnet.demo.scene import Answer
from procnet.periods import Window, as_utc

# The columns that the search returns, in its order.
OUTPUT = (
    "_time", "user", "dest", "parent_process_name", "process_name", "process_path", "process", "process_id",
    "dest_port", "dest_ip",
)  # fmt: skip
# The columns by which the search groups each side, as far as the canonical tables have them. `join` takes the first row
# of a group, so their order decides which connection of a process is returned.
_PROCESS = (
    "_time", "action", "host", "original_file_name", "command_line", "parent_command_line", "parent_process_guid",
    "parent_process_id", "parent_process_name", "parent_process_path", "process_guid", "process_hash", "process_id",
    "integrity_level", "process_name", "process_path", "user", "user_id", "vendor_product",
)  # fmt: skip
_CONNECTION = (
    "action", "app", "bytes", "bytes_in", "bytes_out", "dest", "dest_ip", "dest_port", "host", "transport",
    "protocol_version", "src_ip", "src_port", "user", "vendor_product", "direction", "process_id",
)  # fmt: skip
_MSIEXEC = "msiexec.exe"
_SAME_START = timedelta(seconds=2)  # two sensors' records of one start are both right


def splunk_search(
    process_events: DataFrame, network_events: DataFrame, window: Window, *, limit: int = 50_000
) -> DataFrame:
    """The rows of the search, run for each whole hour from the window's start, over that hour.

    In: `contract.PROCESS_EVENTS`, `contract.NETWORK_EVENTS`. Out: `OUTPUT`; all texts and `process_id` are "null" where
    they are unknown; `dest` and `user` are the connection's (overwrite=true, D9). `limit`: rows at which the right side
    of the join is cut in each hour (D3).
    """
    return splunk_pairs(process_events, network_events, window, limit=limit).select(*OUTPUT)


def splunk_pairs(
    process_events: DataFrame, network_events: DataFrame, window: Window, *, limit: int = 50_000
) -> DataFrame:
    """The rows of `splunk_search`, with the two events that the search has joined.

    Out: `OUTPUT`, `process_host` and `connection_host` (hosts of the two sides), `connection_time` (of the first
    connection in the group).
    """
    left = _grouped(_msiexec_starts(process_events, window), _PROCESS).withColumnRenamed("host", "process_host")
    right = _right_side(network_events, window, limit)
    return left.drop("user").join(right, on=["hour", "process_id"], how="inner").select(
        *[F.col("command_line").alias(c) if c == "process" else F.col(c) for c in OUTPUT],
        "process_host", "connection_host", "connection_time",
    )  # fmt: skip


@dataclass(frozen=True)
class SplunkScore:
    """The rows of the search compared with the known answers: rows, wrong pairs, missed answers, and their reasons as
    reason -> number. That `dest` is the remote end in every row (D9) is not counted."""

    rows: int
    wrong: int
    missed: int
    why_wrong: Mapping[str, int]
    why_missed: Mapping[str, int]


def score_splunk_search(rows: Iterable[Any], answers: Sequence[Answer], *, start: datetime) -> SplunkScore:
    """Compares rows of `splunk_pairs` (mappings, or collected Rows) with the answers.

    A row is right if an answer has its connection and its process. `start` is the window's, from which hours are
    counted.
    """
    expected = {(_short(a.host), a.event_time, a.dest_ip, a.dest_port): a for a in answers}
    wrong: Counter[str] = Counter()
    found, count = set[Answer](), 0
    for row in rows:
        count += 1
        key = _short(row["connection_host"]), row["connection_time"], row["dest_ip"], row["dest_port"]
        answer = expected.get(key)
        if answer is not None and _has_process_of(row, answer):
            found.add(answer)
        else:
            wrong[_why_wrong(row)] += 1
    missed = Counter(_why_missed(a, start) for a in answers if a not in found)
    return SplunkScore(count, wrong.total(), missed.total(), dict(wrong.most_common()), dict(missed.most_common()))


def _msiexec_starts(process_events: DataFrame, window: Window) -> DataFrame:
    image = (F.lower("process_name") == _MSIEXEC) | (F.lower("original_file_name") == _MSIEXEC)
    starts = process_events.where((F.col("event_kind") == "start") & image & _in_window(window))
    return starts.withColumn("_time", F.col("event_time")).withColumn("hour", _hour(window))


def _right_side(network_events: DataFrame, window: Window, limit: int) -> DataFrame:
    """The first connection of each process id and hour, among the first `limit` rows of the hour."""
    is_web = F.col("dest_port").isin(80, 443) & _in_window(window)
    web = network_events.where(is_web).withColumn("hour", _hour(window))
    rows = _grouped(web.withColumn("dest", F.coalesce("dest_host", "dest_ip")), _CONNECTION)
    order = [F.col(c).asc_nulls_last() for c in (*_CONNECTION, "first_time")]
    in_hour, in_key = Over.partitionBy("hour"), Over.partitionBy("hour", "process_id")
    return (
        rows.withColumn("nth", F.row_number().over(in_hour.orderBy(*order)))
        .where(F.col("nth") <= limit)
        .withColumn("match", F.row_number().over(in_key.orderBy("nth")))
        .where("match = 1")
        .select(
            "hour", "process_id", "user", "dest", "dest_ip", "dest_port",
            F.col("host").alias("connection_host"), F.col("first_time").alias("connection_time"),
        )
    )  # fmt: skip


def _grouped(events: DataFrame, by: Sequence[str]) -> DataFrame:
    """`tstats ... by` with fillnull_value=null: unknown texts and ids become "null", which joins itself (D4)."""
    filled = [_or_null(F.col(c)).alias(c) if c not in ("_time", "dest_port") else F.col(c) for c in by]
    return (
        events.select("hour", "event_time", *filled).groupBy("hour", *by).agg(F.min("event_time").alias("first_time"))
    )


def _or_null(value: Column) -> Column:
    return F.coalesce(value.cast("string"), F.lit("null"))


def _in_window(window: Window) -> Column:
    return (F.col("event_time") >= F.lit(window.start)) & (F.col("event_time") < F.lit(window.end))


def _hour(window: Window) -> Column:
    """The number of the hourly run that reads an event: one Spark job evaluates all runs."""
    hour = 3_600_000_000
    return F.floor((F.unix_micros("event_time") - F.unix_micros(F.lit(window.start))) / hour)


def _has_process_of(row: Any, answer: Answer) -> bool:
    """Whether the row has the answer's process instance; never for an answer whose process start is not recorded."""
    if answer.process_time is None or str(answer.process_id) != row["process_id"]:
        return False
    return (
        _short(row["process_host"]) == _short(answer.host)
        and abs(as_utc(row["_time"]) - answer.process_time) <= _SAME_START
    )


def _why_wrong(row: Any) -> str:
    if row["process_id"] == "null":
        return "no process id on either side: null joins null (D4)"
    if _short(row["process_host"]) != _short(row["connection_host"]):
        return "the connection is of another host (D1)"
    if as_utc(row["connection_time"]) < as_utc(row["_time"]):
        return "the connection is earlier than the process (D6)"
    return "another process has the process id by then (D5)"


def _why_missed(answer: Answer, start: datetime) -> str:
    hour = timedelta(hours=1)
    if answer.process_time is None:
        return "the process start is not recorded within a day: only the connection names it (D7)"
    if (answer.process_time - start) // hour != (answer.event_time - start) // hour:
        return "the process started before the hour (D7)"
    return "only one arbitrary connection per process (D2)"


def _short(host: str) -> str:
    return host.split(".")[0]
