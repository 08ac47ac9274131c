"""Rows as `judge` returns them, each column with a distinct value: `c-user` is the connection's, `i-user` the
instance's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from procnet.attribution.instances import INSTANCE_FIELDS
from procnet.contract import FINDINGS, JOINED_FIELDS, NETWORK_EVENTS, PROCESS_EVENTS

Row = dict[str, Any]


def day(hour: int) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=timezone.utc)


_TIMES = [T.StructField(n, T.TimestampType()) for n in ("process_time", "process_end_time")]
_INSTANCE = T.StructType([*_TIMES, *[PROCESS_EVENTS[n] for n in INSTANCE_FIELDS]])
_DETECTION = T.StructType(
    [
        *[T.StructField(n, T.StringType()) for n in ("id", "name")],
        T.StructField("version", T.IntegerType()),
        T.StructField("fingerprint", T.StringType()),
        T.StructField("risk_score", T.IntegerType()),
        T.StructField("severity", T.StringType()),
        T.StructField("mitre_attack", T.ArrayType(T.StringType())),
    ]
)
# What names and flows add to a connection.
_JOINED = [FINDINGS[n] for n in ("dest_name_by", "dest_names", *JOINED_FIELDS) if n not in NETWORK_EVENTS.names]
_CONNECTION = T.StructType([*NETWORK_EVENTS.fields, *_JOINED])
SCHEMA = T.StructType(
    [
        *_CONNECTION.fields,
        T.StructField("attribution", T.StringType()),
        T.StructField("instance", _INSTANCE),
        T.StructField("detection", _DETECTION),
    ]
)

DETECTION: Row = {"id": "d", "name": "the detection", "version": 3, "fingerprint": "f", "risk_score": 35,
                  "severity": "low", "mitre_attack": ["T1", "T2"]}  # fmt: skip


def _distinct_values(schema: T.StructType, prefix: str, number: int, time: datetime) -> Row:
    of_type: dict[type[T.DataType], Any] = {T.TimestampType: time, T.DateType: time.date(), T.DoubleType: number / 8,
                                            T.ArrayType: [f"{prefix}-1", f"{prefix}-2"]}  # fmt: skip
    return {
        f.name: of_type[type(f.dataType)]
        if type(f.dataType) in of_type
        else f"{prefix}-{f.name}"
        if isinstance(f.dataType, T.StringType)
        else number + i
        for i, f in enumerate(schema)
    }


CONNECTION = _distinct_values(_CONNECTION, "c", 1000, day(10))
INSTANCE = {**_distinct_values(_INSTANCE, "i", 2000, day(9)), "process_end_time": day(10)}


def match(instance: Row | None = None, detection: Row | None = None, **connection: Any) -> Row:
    """A connection with these columns changed, attributed to the instance; without one, not attributed."""
    row = {**CONNECTION, "attribution": "guid" if instance else "event", **connection}
    return {**row, "instance": instance, "detection": {**DETECTION, **(detection or {})}}


def frame(spark: SparkSession, matches: Iterable[Row]) -> DataFrame:
    return spark.createDataFrame([tuple(m[n] for n in SCHEMA.names) for m in matches], SCHEMA)


def rows(findings: DataFrame) -> list[Row]:
    """The rows as dicts, times in UTC whatever the machine's zone."""
    collected: list[Row] = findings.toArrow().to_pylist()
    return collected
