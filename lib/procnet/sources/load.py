"""A raw frame and a source -> canonical frames. Pure and lazy: no action, no clock, no path.

Every record becomes one row of `records`: a start, an end, a connection, or one that is put aside (`reason`) or belongs
to no mapped event (`kind` is null). The canonical tables and the quarantine are selections of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS, QUARANTINE
from procnet.errors import DataError
from procnet.sources import clean
from procnet.sources.check import check_mapping
from procnet.sources.frame import opened, types_of
from procnet.sources.mapping import COLUMNS, SourceMapping, read_mapping

_CONTRACT = {f.name: f.dataType for table in (PROCESS_EVENTS, NETWORK_EVENTS) for f in table}
_RAW_KEPT = 64 << 10  # characters of a quarantined record that are kept

# How a column's text becomes its canonical value; what is not named here is `trimmed`.
_CLEAN: Mapping[str, Callable[[Column], Column]] = {
    "host": clean.host,
    "process_guid": clean.guid,
    "parent_process_guid": clean.guid,
    "process_name": clean.base_name,
    "parent_process_name": clean.base_name,
    "command_line": clean.known,
    "parent_command_line": clean.known,
    "integrity_level": clean.integrity_level,
    "src_ip": clean.address,
    "dest_ip": clean.address,
    "dest_host": clean.host,
    "transport": clean.transport,
    "direction": clean.lowered,
    "action": clean.lowered,
    "protocol_version": clean.lowered,
}
# Columns whose type may differ: a typed value is taken as it is, text is read.
_TYPED: Mapping[str, Callable[[Column, T.DataType], Column]] = {
    "event_time": clean.time,
    "process_start_time": clean.time,
    "process_id": clean.process_id,
    "parent_process_id": clean.process_id,
    "src_port": clean.port,
    "dest_port": clean.port,
    "bytes": clean.size,
    "bytes_in": clean.size,
    "bytes_out": clean.size,
}


@dataclass(frozen=True)
class Normalized:
    """Canonical frames of one reading, all lazy, all selections of `records`.

    records: one row a record: file, line, raw (of those put aside), event_id, kind (start, end, network; null where no
    mapped event), reason (null, or why it cannot be used) and every canonical column of both tables.
    process_events, network_events, quarantine: exactly the tables of contract.py.
    """

    records: DataFrame
    process_events: DataFrame
    network_events: DataFrame
    quarantine: DataFrame


def load_source(spark: SparkSession, name_or_path: str | Path, folder: Path | None = None) -> SourceMapping:
    """A source by name or file, every expression analysed against an empty frame. SourceError with all its errors."""
    source = read_mapping(name_or_path, folder)
    check_mapping(spark, source)
    return source


def normalize(raw: DataFrame, source: SourceMapping, *, host: str | None = None, ingest_time: datetime) -> Normalized:
    """Canonical frames of a raw frame: `raw` (and file, line, problem if there) for JSON, else the source's table.

    host: for records that name none. ingest_time: when the lake received them, with a zone.
    """
    return split(to_records(raw, source, host=host), ingest_time=ingest_time)


def split(records: DataFrame, *, ingest_time: datetime) -> Normalized:
    """The canonical tables out of `to_records`'s frame."""
    received = F.lit(ingest_time).cast("timestamp")
    # A date of its own clock: the UTC day, whatever the session's zone is.
    day = F.lit(ingest_time.astimezone(_UTC).date()) if ingest_time.tzinfo else F.to_date(received)
    usable = records.where("reason is null").withColumn("ingest_time", received)
    processes = usable.where("kind in ('start', 'end')").withColumn("event_kind", F.col("kind"))
    aside = records.where("reason is not null").withColumns({"ingest_time": received, "event_date": day})
    return Normalized(
        records,
        _as(processes, PROCESS_EVENTS),
        _as(usable.where("kind = 'network'"), NETWORK_EVENTS),
        _as(aside, QUARANTINE),
    )
