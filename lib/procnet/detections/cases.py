"""The test cases of detections: their events as frames, and the findings in them compared with the expected ones.

A case gives the canonical columns that matter to it; `at` is the time, "10:00:00" on one fixed day or a full ISO time.
All cases of all detections are evaluated in one Spark job: each has hosts of its own, so no case sees another's events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from procnet.contract import EVENT_TABLES, FINDINGS, NETWORK_EVENTS, TABLES
from procnet.detections.detection import Detection
from procnet.detections.schema import Case
from procnet.errors import DetectionError
from procnet.periods import Window, as_utc
from procnet.vocabulary import BASE_NAMES

DAY = "2026-03-01"
WINDOW = Window(datetime(2026, 3, 1, tzinfo=timezone.utc), datetime(2026, 3, 2, tzinfo=timezone.utc))
_DEFAULTS = {"host": "host", "source": "case", "record_id": None}


@dataclass(frozen=True)
class Result:
    """The result of a case: `problem` says how the findings differ from the expected ones, None if they do not."""

    detection: Detection
    case: Case
    problem: str | None


def case_frames(spark: SparkSession, detections: Sequence[Detection]) -> dict[str, DataFrame]:
    """Table of events -> the events of all cases with its columns.

    Raises DetectionError with every event and expected column that the tables cannot have.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in EVENT_TABLES}
    problems: list[str] = []
    for key, detection, case in _keyed(detections):
        where = f"{detection.path}: case {case.name!r}"
        expected = {column for finding in case.expect if isinstance(finding, Mapping) for column in finding}
        problems += [f"{where}: expect: findings have no column {c}" for c in sorted(expected - set(FINDINGS.names))]
        for table, written in zip(EVENT_TABLES, (case.processes, case.connections, case.dns, case.flows), strict=True):
            for event in written:
                try:
                    rows[table].append(_row(event, TABLES[table][0], key))
                except ValueError as e:
                    problems.append(f"{where}: {e}")
    if problems:
        raise DetectionError(problems)
    return {table: spark.createDataFrame(found, TABLES[table][0]) for table, found in rows.items()}


def check_cases(found: Sequence[Mapping[str, Any]], detections: Sequence[Detection]) -> list[Result]:
    """Compares findings in the `case_frames` (rows of `contract.FINDINGS` as dicts) with what the cases expect."""
    results = []
    for key, detection, case in _keyed(detections):
        of_case = [
            {**f, "host": str(f["host"]).removeprefix(key)}
            for f in found
            if f["detection_id"] == detection.id and str(f["host"]).startswith(key)
        ]
        results.append(Result(detection, case, _problem(case, of_case)))
    return results


def _keyed(detections: Sequence[Detection]) -> list[tuple[str, Detection, Case]]:
    """Every case with a prefix for its hosts that no other case has."""
    return [(f"{i:03d}{j:03d}-", d, c) for i, d in enumerate(detections) for j, c in enumerate(d.cases)]


def _row(event: Mapping[str, Any], schema: T.StructType, key: str) -> tuple[Any, ...]:
    """An event of a case as a row of the table; ValueError if the table cannot have it."""
    values = {**{name: value for name, value in _DEFAULTS.items() if name in schema.names}, **event}
    at = values.pop("at", None)
    if at is None:
        raise ValueError(f"no `at` says when: {dict(event)!r}")
    values["event_time"] = _time(at)
    if schema is NETWORK_EVENTS and not WINDOW.start <= values["event_time"] < WINDOW.end:
        raise ValueError(f"cases are judged on {DAY}, and a connection at {at} is not of that day")
    values["event_date"] = values["event_time"].date()
    if "event_kind" in schema.names:
        values.setdefault("event_kind", "start")
    for path, name in BASE_NAMES.items():
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
    expected = {T.StringType: str, T.LongType: int, T.IntegerType: int, T.ArrayType: list}.get(type(column.dataType))
    if expected is not None and type(value) is not expected:
        quotes = "; put it in quotes" if expected is str else ""
        raise ValueError(f"{column.name} is {column.dataType.simpleString()}, found {value!r}{quotes}")
    return value


def _time(written: object) -> datetime:
    text = str(written)
    try:
        value = datetime.fromisoformat((text if "-" in text else f"{DAY}T{text}").replace("Z", "+00:00"))
    except ValueError:
        # Without quotes, YAML reads 10:00:00 as a number of seconds.
        raise ValueError(f'{written!r} is no time; write "10:00:00" or "{DAY}T10:00:00Z", in quotes') from None
    return as_utc(value)


def _problem(case: Case, found: Sequence[Mapping[str, Any]]) -> str | None:
    if case.expect == "none":
        return f"expected nothing, found {_summary(found)}" if found else None
    if case.expect == "match":
        return None if found else "expected a finding, found none"
    left = list(found)
    # The expectation with the most columns first: the fewest findings can meet it.
    for expected in sorted(case.expect, key=len, reverse=True):
        match = next((f for f in left if all(_equal(f.get(k), v) for k, v in expected.items())), None)
        if match is None:
            return f"expected {dict(expected)!r}, found {_summary(left)}"
        left.remove(match)
    return f"more than expected: {_summary(left)}" if left else None


def _equal(value: Any, expected: Any) -> bool:
    if isinstance(value, datetime):
        # `collect` returns times without a zone, in the zone of this machine.
        return expected is not None and value.astimezone(timezone.utc) == _time(expected)
    return bool(value == expected)


def _summary(found: Sequence[Mapping[str, Any]]) -> str:
    columns = (
        "host",
        "process_name",
        "process_id",
        "attribution",
        "event_time",
        "process_time",
        "dest_ip",
        "dest_port",
    )
    return "; ".join(str({c: f.get(c) for c in columns}) for f in found) or "none"
