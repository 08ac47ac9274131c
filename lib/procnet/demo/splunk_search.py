"""What the original Splunk search says on the same events: the measure that procnet's findings are held against.

It copies the search with its defects: `tstats` with `fillnull_value=null` on both sides, one scheduled run an hour over
that hour alone, `join process_id` with its defaults (inner, max=1, overwrite=true, a subsearch cut at 50,000 rows).
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

# The output of the search, in its order.
OUTPUT = (
    "_time", "user", "dest", "parent_process_name", "process_name", "process_path", "process", "process_id",
    "dest_port", "dest_ip",
)  # fmt: skip
# What the search groups its sides by, as far as the canonical tables have it. `join` takes the first row that the
# grouping gives, so this order is what decides which connection of a process is kept.
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
_SAME_START = timedelta(seconds=2)  # Two sensors' records of one start both name the right process.


def splunk_search(processes: DataFrame, connections: DataFrame, window: Window, *, limit: int = 50_000) -> DataFrame:
    """The rows of the search, run once for each whole hour from the window's start, over that hour alone.

    In: `contract.PROCESS_EVENTS`, `contract.NETWORK_EVENTS`. Out: OUTPUT; `process_id` is text, "null" where it is
    unknown, and so are the other texts; `dest` and `user` are the connection's (overwrite=true: defect D9).
    `limit`: rows at which each hour's right-hand side is cut (defect D3).
    """
    return splunk_pairs(processes, connections, window, limit=limit).select(*OUTPUT)


def splunk_pairs(processes: DataFrame, connections: DataFrame, window: Window, *, limit: int = 50_000) -> DataFrame:
    """The same rows, with what the search does not show: which two events it has put together.

    Out: OUTPUT, `process_host`, `connection_host` (endpoints of the two sides), `connection_time` (the first of the
    connections that the grouping makes one row of).
    """
    left = _grouped(_msiexec_starts(processes, window), _PROCESS).withColumnRenamed("host", "process_host")
    right = _right(connections, window, limit)
    return left.drop("user").join(right, on=["hour", "process_id"], how="inner").select(
        *[F.col("command_line").alias(c) if c == "process" else F.col(c) for c in OUTPUT],
        "process_host", "connection_host", "connection_time",
    )  # fmt: skip


@dataclass(frozen=True)
class SplunkScore:
    """How the search did against the known answers: rows, those that name a wrong pair, findings that it has not, and
    why, as reason -> number. Every row's `dest` is the remote end, whichever pair it names (D9): not counted here."""

    rows: int
    wrong: int
    missed: int
    why_wrong: Mapping[str, int]
    why_missed: Mapping[str, int]


def score_splunk_search(rows: Iterable[Any], answers: Sequence[Answer], *, start: datetime) -> SplunkScore:
    """Hold rows of `literal_pairs` (mappings, or collected Rows) against what must be found.

    A row is right if an answer has its connection and its process; `start` is the window's, from which hours count.
    """
    wanted = {(_short(a.host), a.event_time, a.dest_ip, a.dest_port): a for a in answers}
    wrong: Counter[str] = Counter()
    found, count = set[Answer](), 0
    for row in rows:
        count += 1
        key = _short(row["connection_host"]), row["connection_time"], row["dest_ip"], row["dest_port"]
        answer = wanted.get(key)
        if answer is not None and _names(row, answer):
            found.add(answer)
        else:
            wrong[_why_wrong(row)] += 1
    missed = Counter(_why_missed(a, start) for a in answers if a not in found)
    return SplunkScore(count, wrong.total(), missed.total(), dict(wrong.most_common()), dict(missed.most_common()))


def _msiexec_starts(processes: DataFrame, window: Window) -> DataFrame:
    image = (F.lower("process_name") == _MSIEXEC) | (F.lower("original_file_name") == _MSIEXEC)
    starts = processes.where((F.col("event_kind") == "start") & image & _inside(window))
    return starts.withColumn("_time", F.col("event_time")).withColumn("hour", _hour(window))


def _right(connections: DataFrame, window: Window, limit: int) -> DataFrame:
    """The first connection of each process id and hour, of those that the cut leaves."""
    web = connections.where(F.col("dest_port").isin(80, 443) & _inside(window)).withColumn("hour", _hour(window))
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
    """`tstats ... by`, with fillnull_value=null: unknown texts and ids become the word, which equals itself (D4)."""
    filled = [_or_null(F.col(c)).alias(c) if c not in ("_time", "dest_port") else F.col(c) for c in by]
    return (
        events.select("hour", "event_time", *filled).groupBy("hour", *by).agg(F.min("event_time").alias("first_time"))
    )


def _or_null(value: Column) -> Column:
    return F.coalesce(value.cast("string"), F.lit("null"))


def _inside(window: Window) -> Column:
    return (F.col("event_time") >= F.lit(window.start)) & (F.col("event_time") < F.lit(window.end))


def _hour(window: Window) -> Column:
    """Which of the scheduled runs sees an event: one job for all of them instead of one an hour."""
    hour = 3_600_000_000
    return F.floor((F.unix_micros("event_time") - F.unix_micros(F.lit(window.start))) / hour)


def _names(row: Any, answer: Answer) -> bool:
    """Whether the row's process is the answer's instance; an answer without one was started outside of the data."""
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
        return "the connection is another host's (D1)"
    if as_utc(row["connection_time"]) < as_utc(row["_time"]):
        return "the connection came before the process (D6)"
    return "the process id had passed to another process (D5)"


def _why_missed(answer: Answer, start: datetime) -> str:
    hour = timedelta(hours=1)
    if answer.process_time is None:
        return "no start of the process within a day: only the connection names it (D7)"
    if (answer.process_time - start) // hour != (answer.event_time - start) // hour:
        return "the process started before the hour (D7)"
    return "one connection a process, arbitrary (D2)"


def _short(host: str) -> str:
    return host.split(".")[0]
