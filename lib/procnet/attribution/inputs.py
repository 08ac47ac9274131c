"""Checks what a notebook gives to `attribute_connections`, before Spark reports it in terms of its own plan."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.instances import INSTANCE_FIELDS
from procnet.contract import NETWORK_EVENTS
from procnet.errors import DataError, UsageError
from procnet.periods import parse_duration
from procnet.settings import HostMatch

# The columns that attribution reads.
PROCESS_COLUMNS = frozenset({"event_time", "event_kind", "host", "action", *INSTANCE_FIELDS})
NETWORK_COLUMNS = frozenset(NETWORK_EVENTS.names)


def checked_frame(frame: Any, columns: Collection[str], name: str, host_match: HostMatch) -> DataFrame:
    """The frame, with hosts in the form in which events have them (`procnet.normalize`), unless they are compared as
    written.

    UsageError where `frame` is no Spark DataFrame; DataError, with all of their names, where it lacks columns.
    """
    if not isinstance(frame, DataFrame):
        kind = f"{type(frame).__module__}.{type(frame).__qualname__}"
        raise UsageError(
            f"{name} is a {kind} and no Spark DataFrame", hint="spark.createDataFrame(...) makes one of it"
        )
    if missing := sorted(set(columns) - set(frame.columns)):
        raise DataError(
            f"{name} lacks the columns {', '.join(missing)}; it has {', '.join(frame.columns) or 'none'}",
            hint="procnet.normalize makes frames with all columns of raw records; a column of nulls will do, too",
        )
    if host_match is HostMatch.AS_IS:
        return frame
    host = F.expr("regexp_replace(lower(trim(host)), '[.]+$', '')")
    return frame.withColumns({"host": host.alias("host", metadata=frame.schema["host"].metadata)})


def with_event_kinds(processes: DataFrame) -> DataFrame:
    """The process events with `event_kind` in lower case, and `start` where it is null: most logs have starts only."""
    return processes.withColumns({"event_kind": F.expr("coalesce(lower(trim(event_kind)), 'start')")})


def checked_duration(value: object, name: str) -> timedelta:
    """The duration of a timedelta, a text such as `1d`, or a number of seconds; UsageError for anything else."""
    try:
        length = parse_duration(value)
    except ValueError as e:
        raise UsageError(f"{name}: {e}", hint=f'write {name}="24h" or {name}=timedelta(hours=24)') from None
    if length < timedelta(0):
        raise UsageError(f"{name}: {value!r} is negative", hint=f'write {name}="24h"')
    return length
