"""Other plans that answer the question of one shipped detection: which msiexec connected to a web port, and its start.

Each rival returns the columns of the original search, while procnet returns complete findings. The rivals that are
right return the same rows as procnet, compared by `ANSWER`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from procnet.lake.tables import Lake
from procnet.periods import Window as Period
from procnet.spark.filters import events_in_period

NAME, PORTS = "msiexec.exe", (80, 443)  # of the shipped detection
ANSWER = ("host", "event_time", "process_id", "dest_port", "process_time")
LOOKBACK = timedelta(hours=24)
KEY = ("host", "process_id")
IS_NAMED = f"(process_name = '{NAME}' OR lower(original_file_name) = '{NAME}')"
_OF_START = ("process_name", "original_file_name", "process_path", "command_line", "user", "parent_process_name")

Answers = set[tuple[Any, ...]]


@dataclass(frozen=True)
class Rivals:
    """The rivals that can run here, each a function that returns its answers; `missing`: why the others cannot."""

    answers: Mapping[str, Callable[[], Answers]]
    missing: Mapping[str, str]

    @property
    def right(self) -> Mapping[str, Callable[[], Answers]]:
        """All but the original search, which is wrong."""
        return {name: answer for name, answer in self.answers.items() if name != "literal"}


def rivals_of(lake: Lake, period: Period) -> Rivals:
    """The rivals over the connections of `period`."""
    answers: dict[str, Callable[[], Answers]] = {
        "literal": lambda: answers_of(literal(lake, period)),
        "naive": lambda: answers_of(naive(lake, period)),
        "union_last": lambda: answers_of(union_last(lake, period)),
    }
    missing: dict[str, str] = {}
    try:
        tempo(lake, period)
        answers["tempo"] = lambda: answers_of(tempo(lake, period))
    except Exception as e:  # third-party code that may fail in ways of its own
        missing["tempo"] = f"{type(e).__name__}: {e}"[:200]
    try:
        answers |= _duckdb(lake, period)
    except ImportError as e:
        missing["duckdb"] = str(e)
    return Rivals(answers, missing)


def answers_of(frame: DataFrame) -> Answers:
    """The rows of a frame whose first columns are `ANSWER`, those columns only."""
    return {tuple(r)[: len(ANSWER)] for r in frame.collect()}


def _starts_and_connections(lake: Lake, period: Period) -> tuple[DataFrame, DataFrame]:
    process_events = events_in_period(lake.read("process_events"), period.start - LOOKBACK, period.end)
    starts = process_events.where("event_kind = 'start'").select(
        *KEY, F.col("event_time").alias("process_time"), *_OF_START
    )
    network_events = events_in_period(lake.read("network_events"), period.start, period.end)
    on_ports = network_events.where(F.col("dest_port").isin(*PORTS))
    return starts, on_ports.select(*KEY, "event_time", "dest_port", "dest_ip")


def _of_name(rows: DataFrame) -> DataFrame:
    return rows.where(IS_NAMED).select(*ANSWER, "dest_ip", *_OF_START)


def literal(lake: Lake, period: Period) -> DataFrame:
    """The original search: a join on the process id only, within the hour, whatever the host. Wrong."""
    starts, connections = _starts_and_connections(lake, period)
    same_hour = starts.where(F.col("process_time") >= F.lit(period.start)).drop("host")
    return _of_name(connections.join(same_hour, "process_id"))


def naive(lake: Lake, period: Period) -> DataFrame:
    """Each connection joined with all starts of its host and process id, then the latest start."""
    starts, connections = _starts_and_connections(lake, period)
    pairs = connections.join(starts, [*KEY]).where("process_time <= event_time")
    latest = Window.partitionBy(*KEY, "event_time", "dest_port").orderBy(F.col("process_time").desc())
    return _of_name(pairs.withColumn("nth", F.row_number().over(latest)).where("nth = 1"))


def union_last(lake: Lake, period: Period) -> DataFrame:
    """Starts and connections in one sorted union; each connection takes the last start before it."""
    starts, connections = _starts_and_connections(lake, period)
    start, connection = F.struct("process_time", *_OF_START), F.struct("dest_port", "dest_ip")
    start_rows = starts.select(*KEY, F.col("process_time").alias("at"), start.alias("start"))
    connection_rows = connections.select(*KEY, F.col("event_time").alias("at"), connection.alias("connection"))
    rows = start_rows.unionByName(connection_rows, allowMissingColumns=True)
    in_time = Window.partitionBy(*KEY).orderBy("at", F.col("connection").isNotNull())
    last = F.last("start", ignorenulls=True).over(in_time)
    rows = rows.withColumn("last", last).where("connection IS NOT NULL")
    return _of_name(rows.select(*KEY, F.col("at").alias("event_time"), "connection.*", "last.*"))


def tempo(lake: Lake, period: Period) -> DataFrame:
    """The as-of join of dbl-tempo. ImportError where it, or what it needs, is not installed."""
    from tempo import TSDF

    starts, connections = _starts_and_connections(lake, period)
    right = starts.withColumn("event_time", F.col("process_time"))
    sides = [TSDF(rows, ts_col="event_time", partition_cols=[*KEY]) for rows in (connections, right)]
    joined = sides[0].asofJoin(sides[1], right_prefix="of").df
    of_start = [F.col(f"of_{n}").alias(n) for n in ("process_time", *_OF_START)]
    return _of_name(joined.select(*KEY, "event_time", "dest_port", "dest_ip", *of_start))


def _duckdb(lake: Lake, period: Period) -> dict[str, Callable[[], Answers]]:
    """The DuckDB plans over the same files. ImportError without DuckDB."""
    import duckdb

    files = {
        t: [f.removeprefix("file:").replace("///", "/") for f in lake.read(t).inputFiles()]
        for t in ("process_events", "network_events")
    }
    session = duckdb.connect()
    session.execute("SET TimeZone = 'UTC'")
    session.execute(f"SET threads = {os.cpu_count() or 1}")

    def answers_to(sql: str) -> Callable[[], Answers]:
        return lambda: {
            (host, _without_zone(at), pid, port, _without_zone(started))
            for host, at, pid, port, started, *_ in session.execute(sql).fetchall()
        }

    return {name: answers_to(sql) for name, sql in duckdb_sql(files, period).items()}


def _without_zone(at: datetime) -> datetime:
    """The time as Spark's `collect` returns it: in the zone of this process, naive."""
    return at.astimezone().replace(tzinfo=None)


def duckdb_sql(files: Mapping[str, Sequence[str]], period: Period) -> dict[str, str]:
    """SQL of two DuckDB plans over `files` by table: its ASOF JOIN over all starts, and procnet's plan (candidates,
    events on their keys, connections, then all columns of the remaining rows)."""
    p, n = (f"read_parquet([{', '.join(repr(f) for f in files[t])}])" for t in ("process_events", "network_events"))
    start, end, since = (f"TIMESTAMPTZ '{t.isoformat()}'" for t in (period.start, period.end, period.start - LOOKBACK))
    in_lookback = f"event_time >= {since} AND event_time < {end}"
    in_window = f"event_time >= {start} AND event_time < {end} AND dest_port IN {PORTS}"
    answer = "c.host, c.event_time, c.process_id, c.dest_port"
    is_start = f"event_kind = 'start' AND {in_lookback}"
    return {
        "duckdb_asof": f"""
            SELECT {answer}, s.event_time AS process_time, c.dest_ip, s.* EXCLUDE (host, process_id, event_time)
            FROM (SELECT * FROM {n} WHERE {in_window}) c
            ASOF JOIN (SELECT host, process_id, event_time, {", ".join(_OF_START)} FROM {p} WHERE {is_start}) s
            ON c.host = s.host AND c.process_id = s.process_id AND c.event_time >= s.event_time
            WHERE s.process_name = '{NAME}' OR lower(s.original_file_name) = '{NAME}'""",
        "duckdb": f"""
            WITH candidate_keys AS (SELECT DISTINCT host, process_id FROM {p} WHERE {is_start} AND {IS_NAMED}),
            instances AS (
                SELECT host, process_id, event_time, event_kind, process_name, original_file_name,
                       lead(event_time) OVER (PARTITION BY host, process_id ORDER BY event_time) AS ended
                FROM {p} SEMI JOIN candidate_keys USING (host, process_id) WHERE {in_lookback}),
            c AS (
                SELECT connections.*, i.event_time AS process_time
                FROM (SELECT * FROM {n} WHERE {in_window}) connections JOIN instances i
                ON connections.host = i.host AND connections.process_id = i.process_id
                AND connections.event_time >= i.event_time AND (i.ended IS NULL OR connections.event_time < i.ended)
                WHERE i.event_kind = 'start' AND (i.process_name = '{NAME}' OR lower(i.original_file_name) = '{NAME}'))
            SELECT {answer}, c.process_time, c.* EXCLUDE (host, event_time, process_id, dest_port, process_time), s.*
            FROM c JOIN (SELECT * FROM {p} WHERE {is_start} AND {IS_NAMED}) s
            ON c.host = s.host AND c.process_id = s.process_id AND c.process_time = s.event_time""",
    }  # fmt: skip
