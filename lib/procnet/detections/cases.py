"""A detection's own cases: events it is tried on, all cases of all detections in one Spark job.

A case writes canonical columns, as few as matter; `at` is the time, "10:00:00" on one fixed day or a full ISO time.
Every case lives on hosts of its own, so that none can see another's events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from procnet.contract import FINDINGS, NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.detection import Detection
from procnet.detections.schema import Case
from procnet.errors import DetectionError
from procnet.periods import Window, as_utc

DAY = "2026-03-01"
WINDOW = Window(datetime(2026, 3, 1, tzinfo=timezone.utc), datetime(2026, 3, 2, tzinfo=timezone.utc))
_DEFAULTS = {"host": "host", "source": "case", "record_id": None}
_BASE_NAME = (("process_path", "process_name"), ("parent_process_path", "parent_process_name"))


@dataclass(frozen=True)
class Result:
    """How a case ended: `problem` is None where it found what it must."""

    detection: Detection
    case: Case
    problem: str | None


def case_frames(spark: SparkSession, detections: Sequence[Detection]) -> tuple[DataFrame, DataFrame]:
    """`contract.PROCESS_EVENTS` and NETWORK_EVENTS of every case. DetectionError for all that a case cannot mean."""
    processes: list[tuple[Any, ...]] = []
    connections: list[tuple[Any, ...]] = []
    problems: list[str] = []
    for key, detection, case in _keyed(detections):
        where = f"{detection.path}: case {case.name!r}"
        expected = {column for finding in case.expect if isinstance(finding, Mapping) for column in finding}
        problems += [f"{where}: expect: findings have no column {c}" for c in sorted(expected - set(FINDINGS.names))]
        for rows, written, schema in (
            (processes, case.processes, PROCESS_EVENTS),
            (connections, case.connections, NETWORK_EVENTS),
        ):
            for event in written:
                try:
                    rows.append(_row(event, schema, key))
                except ValueError as e:
                    problems.append(f"{where}: {e}")
    if problems:
        raise DetectionError(problems)
    return spark.createDataFrame(processes, PROCESS_EVENTS), spark.createDataFrame(connections, NETWORK_EVENTS)


def check_cases(found: Sequence[Mapping[str, Any]], detections: Sequence[Detection]) -> list[Result]:
    """Hold the findings over `case_frames` (rows of `contract.FINDINGS` as dicts) against what the cases expect."""
    results = []
    for key, detection, case in _keyed(detections):
        mine = [
            {**f, "host": str(f["host"]).removeprefix(key)}
            for f in found
            if f["detection_id"] == detection.id and str(f["host"]).startswith(key)
        ]
        results.append(Result(detection, case, _problem(case, mine)))
    return results


def _keyed(detections: Sequence[Detection]) -> list[tuple[str, Detection, Case]]:
    return [(f"{i:03d}{j:03d}-", d, c) for i, d in enumerate(detections) for j, c in enumerate(d.cases)]


def _row(event: Mapping[str, Any], schema: T.StructType, key: str) -> tuple[Any, ...]:
    values = {**_DEFAULTS, **event}
    at = values.pop("at", None)
    if at is None:
        raise ValueError(f"no `at` says when: {dict(event)!r}")
    values["event_time"] = _time(at)
    if schema is NETWORK_EVENTS and not WINDOW.start <= values["event_time"] < WINDOW.end:
        raise ValueError(f"cases are judged on {DAY}, and a connection at {at} is not of that day")
    values["event_date"] = values["event_time"].date()
    if "event_kind" in schema.names:
        values.setdefault("event_kind", "start")
    for path, name in _BASE_NAME:
        if values.get(path) and name not in values:
            values[name] = str(values[path]).replace("/", "\\").rsplit("\\", 1)[-1].lower()
    if unknown := sorted(set(values) - set(schema.names)):
        raise ValueError(f"no canonical column {', '.join(unknown)}")
    typed = {n: _typed(schema[n], value) for n, value in values.items() if value is not None}
    if "host" in typed:
        typed["host"] = key + typed["host"]
    return tuple(typed.get(n) for n in schema.names)


def _typed(column: T.StructField, value: Any) -> Any:
    if isinstance(column.dataType, T.TimestampType):
        return _time(value)
    wanted = {T.StringType: str, T.LongType: int, T.IntegerType: int}.get(type(column.dataType))
    if wanted is not None and type(value) is not wanted:
        quotes = "; put it in quotes" if wanted is str else ""
        raise ValueError(f"{column.name} is {column.dataType.simpleString()}, found {value!r}{quotes}")
    return value


def _time(written: object) -> datetime:
    text = str(written)
    try:
        value = datetime.fromisoformat((text if "-" in text else f"{DAY}T{text}").replace("Z", "+00:00"))
    except ValueError:
        # YAML reads 10:00:00 as a number of seconds.
        raise ValueError(f'{written!r} is no time; write "10:00:00" or "{DAY}T10:00:00Z", in quotes') from None
    return as_utc(value)


def _problem(case: Case, found: Sequence[Mapping[str, Any]]) -> str | None:
    if case.expect == "none":
        return f"expected nothing, found {_told(found)}" if found else None
    if case.expect == "match":
        return None if found else "expected a finding, found none"
    left = list(found)
    for wanted in sorted(case.expect, key=len, reverse=True):  # what says more has fewer findings to choose from
        hit = next((f for f in left if all(_same(f.get(k), v) for k, v in wanted.items())), None)
        if hit is None:
            return f"expected {dict(wanted)!r}, found {_told(left)}"
        left.remove(hit)
    return f"more than expected: {_told(left)}" if left else None


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, datetime):
        # `collect` gives a time as this machine's clock tells it, without a zone.
        return wanted is not None and value.astimezone(timezone.utc) == _time(wanted)
    return bool(value == wanted)


def _told(found: Sequence[Mapping[str, Any]]) -> str:
    keep = ("host", "process_name", "process_id", "attribution", "event_time", "process_time", "dest_ip", "dest_port")
    return "; ".join(str({k: f.get(k) for k in keep}) for f in found) or "none"
