"""Plans for one question, from an hour's connections to who made them: ours, the bare scans, and what others do.

Each rival gives the columns of the original search and no others, where ours gives whole findings; those that answer
right give the same rows, told by `ANSWER`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.events import Events, read_events
from procnet.engine.query import Query
from procnet.errors import DataError
from procnet.lake.tables import Lake
from procnet.periods import Window as Period
from procnet.spark.filters import between
from procnet.state.state import carried_to, carry_on

NAME, PORTS = "msiexec.exe", (80, 443)  # what the shipped detection asks
ANSWER = ("host", "event_time", "process_id", "dest_port", "process_time")
LOOKBACK = timedelta(hours=24)
_OF_START = ("process_name", "original_file_name", "process_path", "command_line", "user", "parent_process_name")
_KEY = ("host", "process_id")
_NAMED = f"(process_name = '{NAME}' OR lower(original_file_name) = '{NAME}')"


def ours(lake: Lake, detections: Sequence[Detection], period: Period) -> DataFrame | None:
    """The findings themselves, whole."""
    return evaluate(_asked(lake, detections, period, read_events(lake))).findings


def leave_state(lake: Lake, detections: Sequence[Detection], before: Period) -> None:
    """What a run over the window before would have left for `carrying`."""
    events = read_events(lake)
    asked = _asked(lake, detections, before, events)
    state = carried_to(lake, asked, events)
    if state.mark is None:
        raise DataError(f"the benchmark has no state to leave: {state.told}")
    carry_on(lake, asked, None, events, state.mark)


def carrying(lake: Lake, detections: Sequence[Detection], period: Period) -> DataFrame | None:
    """The findings by what the window before has left: all of a run but its commits."""
    events = read_events(lake)
    asked = _asked(lake, detections, period, events)
    state = carried_to(lake, asked, events)
    if state.carried is None:
        raise DataError(f"the benchmark has no state to measure: {state.told}")
    return evaluate(replace(asked, carried=state.carried)).findings


def _asked(lake: Lake, detections: Sequence[Detection], period: Period, events: Events) -> Query:
    return Query(events.processes, events.connections, detections, period, lake.settings)


def floor(lake: Lake, period: Period) -> None:
    """The columns and predicates that any right plan must read: candidates, every event's key and time, connections."""
    processes = between(lake.read("process_events"), period.start - LOOKBACK, period.end)
    _read(processes.where("event_kind = 'start'").where(_NAMED), *_KEY, "process_guid", "event_time")
    _read(processes, *_KEY, "process_guid", "event_time", "event_kind", "process_name")
    _read_connections(lake, period)


def hour_floor(lake: Lake, period: Period) -> None:
    """The same of a plan that is told what was before: the events of the period itself."""
    processes = between(lake.read("process_events"), period.start, period.end)
    _read(processes, *_KEY, "process_guid", "event_time", "event_kind", "process_name", "original_file_name")
    _read_connections(lake, period)


def _read_connections(lake: Lake, period: Period) -> None:
    connections = between(lake.read("network_events"), period.start, period.end).where(F.col("dest_port").isin(*PORTS))
    _read(connections, *_KEY, "process_guid", "event_time", "dest_port", "process_name")


def _read(rows: DataFrame, *columns: str) -> None:
    rows.select(*[F.max(c) for c in columns]).collect()


def _sides(lake: Lake, period: Period) -> tuple[DataFrame, DataFrame]:
    processes = between(lake.read("process_events"), period.start - LOOKBACK, period.end)
    starts = processes.where("event_kind = 'start'").select(
        *_KEY, F.col("event_time").alias("process_time"), *_OF_START
    )
    connections = between(lake.read("network_events"), period.start, period.end).where(F.col("dest_port").isin(*PORTS))
    return starts, connections.select(*_KEY, "event_time", "dest_port", "dest_ip")


def _named(rows: DataFrame) -> DataFrame:
    return rows.where(_NAMED).select(*ANSWER, "dest_ip", *_OF_START)


def literal(lake: Lake, period: Period) -> DataFrame:
    """The original search: by the process id alone, of the same hour, whatever the host. Not right."""
    starts, connections = _sides(lake, period)
    same_hour = starts.where(F.col("process_time") >= F.lit(period.start)).drop("host")
    return _named(connections.join(same_hour, "process_id"))


def naive(lake: Lake, period: Period) -> DataFrame:
    """All starts with all connections of their host and id, then the latest."""
    starts, connections = _sides(lake, period)
    met = connections.join(starts, [*_KEY]).where("process_time <= event_time")
    latest = Window.partitionBy(*_KEY, "event_time", "dest_port").orderBy(F.col("process_time").desc())
    return _named(met.withColumn("nth", F.row_number().over(latest)).where("nth = 1"))


def union_last(lake: Lake, period: Period) -> DataFrame:
    """Both sides under one window, each connection with the last start before it."""
    starts, connections = _sides(lake, period)
    told, asked = F.struct("process_time", *_OF_START).alias("start"), F.struct("dest_port", "dest_ip").alias("asked")
    marks = starts.select(*_KEY, F.col("process_time").alias("at"), told)
    asks = connections.select(*_KEY, F.col("event_time").alias("at"), asked)
    rows = marks.unionByName(asks, allowMissingColumns=True)
    in_time = Window.partitionBy(*_KEY).orderBy("at", F.col("asked").isNotNull())
    last = F.last("start", ignorenulls=True).over(in_time)
    rows = rows.withColumn("last", last).where("asked IS NOT NULL")
    return _named(rows.select(*_KEY, F.col("at").alias("event_time"), "asked.*", "last.*"))


def tempo(lake: Lake, period: Period) -> DataFrame:
    """dbl-tempo's as-of join. ImportError without it, or without what it needs."""
    from tempo import TSDF

    starts, connections = _sides(lake, period)
    right = starts.withColumn("event_time", F.col("process_time"))
    sides = [TSDF(rows, ts_col="event_time", partition_cols=[*_KEY]) for rows in (connections, right)]
    joined = sides[0].asofJoin(sides[1], right_prefix="of").df
    of = {n: F.col(f"of_{n}").alias(n) for n in ("process_time", *_OF_START)}
    return _named(joined.select(*_KEY, "event_time", "dest_port", "dest_ip", *of.values()))


def duckdb_sql(files: Mapping[str, Sequence[str]], period: Period) -> dict[str, str]:
    """DuckDB over the same files: its ASOF JOIN over everything, and our plan: candidates, events on their keys, then
    connections, with all columns of those that are left."""
    p, n = (f"read_parquet([{', '.join(repr(f) for f in files[t])}])" for t in ("process_events", "network_events"))
    start, end, since = (f"TIMESTAMPTZ '{t.isoformat()}'" for t in (period.start, period.end, period.start - LOOKBACK))
    around = f"event_time >= {since} AND event_time < {end}"
    inside = f"event_time >= {start} AND event_time < {end} AND dest_port IN {PORTS}"
    answer = "c.host, c.event_time, c.process_id, c.dest_port"
    of_start = ", ".join(_OF_START)
    return {
        "duckdb_asof": f"""
            SELECT {answer}, s.event_time AS process_time, c.dest_ip, s.* EXCLUDE (host, process_id, event_time)
            FROM (SELECT * FROM {n} WHERE {inside}) c
            ASOF JOIN (SELECT host, process_id, event_time, {of_start} FROM {p}
                       WHERE event_kind = 'start' AND {around}) s
            ON c.host = s.host AND c.process_id = s.process_id AND c.event_time >= s.event_time
            WHERE s.process_name = '{NAME}' OR lower(s.original_file_name) = '{NAME}'""",
        "duckdb": f"""
            WITH k AS (SELECT DISTINCT host, process_id FROM {p} WHERE event_kind = 'start' AND {around} AND {_NAMED}),
            b AS (SELECT host, process_id, event_time, event_kind, process_name, original_file_name,
                         lead(event_time) OVER (PARTITION BY host, process_id ORDER BY event_time) AS ended
                  FROM {p} SEMI JOIN k USING (host, process_id) WHERE {around}),
            c AS (SELECT c.*, b.event_time AS process_time FROM {n} c
                  JOIN b ON c.host = b.host AND c.process_id = b.process_id
                   AND c.event_time >= b.event_time AND (b.ended IS NULL OR c.event_time < b.ended)
                  WHERE c.event_time >= {start} AND c.event_time < {end} AND dest_port IN {PORTS}
                   AND b.event_kind = 'start' AND (b.process_name = '{NAME}' OR lower(b.original_file_name) = '{NAME}'))
            SELECT {answer}, c.process_time, c.* EXCLUDE (host, event_time, process_id, dest_port, process_time), d.*
            FROM c JOIN (SELECT * FROM {p} WHERE event_kind = 'start' AND {around} AND {_NAMED}) d
            ON c.host = d.host AND c.process_id = d.process_id AND c.process_time = d.event_time""",
    }  # fmt: skip
