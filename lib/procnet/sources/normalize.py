"""Converts raw frames to canonical events by a source's mapping. Lazy and pure: computes nothing, reads no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import EVENT_TABLES, QUARANTINE, TABLE_OF_KIND, TABLES
from procnet.periods import Window
from procnet.settings import EventSettings
from procnet.sources.alternatives import EVENT, RawValues, case_when, event_number, raw_values
from procnet.sources.columns import NUMBERS, as_read, cleaned, is_no_number, known, stripped, with_derived
from procnet.sources.mapping import COLUMNS, FILE, SourceMapping
from procnet.sources.parse_records import CORRUPT, PLACE, parse_records, with_given
from procnet.sources.schema_drift import missing_columns, missing_columns_error
from procnet.sources.validate import load_source
from procnet.spark.filters import in_range, out_of_range

_RAW_CHARS = 64 * 1024
_ALL_TIMES = EventSettings().period


@dataclass(frozen=True)
class Normalized:
    """Canonical frames of one raw frame, not computed yet.

    `records` has one row a raw record; a writer of several of the frames can persist it and read the files once. Its
    columns: `event` (name in the mapping; null: another event, which is skipped), `event_kind`, `event_id`, `reason`
    (null: the record is usable), the place and text of the record, and every canonical column; times out of range are
    null.
    """

    records: DataFrame
    source: str
    ingest_time: datetime

    @property
    def process_events(self) -> DataFrame:
        """Returns `contract.PROCESS_EVENTS` of the usable records, repeats included."""
        return self.table("process_events")

    @property
    def network_events(self) -> DataFrame:
        """Returns `contract.NETWORK_EVENTS` of the usable records, repeats included."""
        return self.table("network_events")

    def table(self, name: str) -> DataFrame:
        """Returns one of `contract.EVENT_TABLES` of the usable records, repeats included."""
        kinds = [kind for kind, table in TABLE_OF_KIND.items() if table == name]
        usable = self.records.where(F.col("reason").isNull() & F.col("event_kind").isin(kinds))
        return _conformed(self._stamped(usable, F.to_date("event_time")), TABLES[name][0])

    @property
    def quarantine(self) -> DataFrame:
        """Returns `contract.QUARANTINE`: texts that are no record, and events with a missing or wrong value."""
        rows = self.records.where(F.col("reason").isNotNull())
        return _conformed(self._stamped(rows, self.ingest_time.date()), QUARANTINE)

    @property
    def skipped(self) -> DataFrame:
        """Returns the number of records of other events: event_id, count."""
        other = self.records.where(F.col("reason").isNull() & F.col("event").isNull())
        return other.groupBy("event_id").count()

    def _stamped(self, rows: DataFrame, date: object) -> DataFrame:
        stamps = {"source": self.source, "ingest_time": self.ingest_time, "event_date": date}
        return rows.withColumns({n: v if isinstance(v, Column) else F.lit(v) for n, v in stamps.items()})


def normalize(
    raw: DataFrame,
    source: SourceMapping | str,
    *,
    host: str | None = None,
    ingest_time: datetime,
    times: Window = _ALL_TIMES,
) -> Normalized:
    """Returns the canonical events of a raw frame, by a source's mapping or its name.

    `raw` is a table for a source of tables, else RAW_SCHEMA of readers/record.py (of which only `raw`, the record's
    text, is required). `host` is the host of records that name none. `ingest_time` (UTC) is when the lake received the
    records. Records whose time is outside `times` are unusable. DataError if a table lacks a column that every event
    requires.
    """
    if isinstance(source, str):
        source = load_source(source)
    frame = with_given(parse_records(raw, source, host), source)
    events = list(source.all_events.values())
    frame = frame.withColumn(EVENT, event_number(events))
    values = raw_values(source, events)
    place = [F.col(c).alias(f"_{c}") for c in (FILE, *PLACE, CORRUPT)]
    columns = [value.alias(name) for several in values.values() for name, value in several.items()]
    frame = frame.select(EVENT, F.expr(source.event_id).cast("string").alias("_event_id"), *place, *columns)
    types = {f.name: f.dataType for f in frame.schema}
    if missing := missing_columns(events, values, types):
        raise missing_columns_error(raw, source, missing)
    return Normalized(_canonical_records(frame, source, values, times), source.name, ingest_time)


def _canonical_records(frame: DataFrame, source: SourceMapping, raw: RawValues, times: Window) -> DataFrame:
    """Returns Normalized.records: raw values as canonical columns, and the reason why a record is unusable."""
    frame, types = _known_values(frame, raw)
    canonical_types = {f.name: f.dataType for table in EVENT_TABLES for f in TABLES[table][0]}
    values = {column: [(F.col(name), types[name]) for name in names] for column, names in raw.items()}
    columns = {c: (cleaned(c, v) if v else F.lit(None)).cast(canonical_types[c]).alias(c) for c, v in values.items()}
    wrong = [(is_no_number(values[c]), F.lit(f"{c} is no number")) for c in NUMBERS if values[c]]
    mistyped = F.when(F.col(EVENT).isNotNull(), case_when(wrong)) if wrong else F.lit(None)
    names, event_kinds = zip(*[(n, e.kind) for n, e in source.all_events.items()], strict=True)
    records = frame.select(
        _by_event(names).alias("event"), _by_event(event_kinds).alias("event_kind"),
        F.col("_event_id").alias("event_id"),
        *(F.col(f"_{c}").alias(c) for c in (FILE, "line", "raw")),
        F.coalesce(_unreadable(source), mistyped).alias("reason"),
        *columns.values(),
    )  # fmt: skip
    unusable = F.when(F.col("event_time").isNull(), "no time").when(out_of_range(times), "time out of range")
    is_flow = F.col("event_kind") == "flow"
    unusable = unusable.when(is_flow & (F.col("src_ip").isNull() | F.col("dest_ip").isNull()), "no src_ip or dest_ip")
    unusable = unusable.when(~is_flow & F.col("host").isNull(), "no host")
    reason = F.coalesce("reason", F.when(F.col("event").isNotNull(), unusable))
    derived = with_derived({c: F.col(c) for c in COLUMNS})
    derived |= {c: F.when(in_range(times, c), F.col(c)) for c in ("event_time", "process_start_time")}
    text = F.when(reason.isNotNull(), F.left("raw", F.lit(_RAW_CHARS)))
    return records.withColumns({**derived, "reason": reason, "raw": text})


def _known_values(frame: DataFrame, raw: RawValues) -> tuple[DataFrame, dict[str, T.DataType]]:
    """Returns the frame with its raw values stripped and null words as null, and the types of the raw values.

    Each step has columns of its own; the reason is in cleaning.py.
    """
    column_of = {name: column for column, names in raw.items() for name in names}
    raw_types = {f.name: f.dataType for f in frame.schema if f.name in column_of}
    frame = frame.withColumns({n: as_read(column_of[n], F.col(n), kind) for n, kind in raw_types.items()})
    types = {f.name: f.dataType for f in frame.schema if f.name in column_of}
    texts = [n for n, kind in types.items() if isinstance(kind, T.StringType)]
    for step in (stripped, known):
        frame = frame.withColumns({n: step(column_of[n], F.col(n)) for n in texts})
    return frame, types


def _unreadable(source: SourceMapping) -> Column:
    """Returns the reader's problem, or why a text could not be parsed as the source's record; null for a record."""
    file_format = "XML" if source.reader == "xml" else "JSON"
    corrupt = F.when(_is_other_format("_raw", source), f"no {file_format}")
    corrupt = corrupt.otherwise(f"no record of {source.name}: another shape")
    return F.when(F.col("_problem").isNotNull(), F.col("_problem")).when(F.col("_corrupt"), corrupt)


def _is_other_format(text: str, source: SourceMapping) -> Column:
    """Returns whether a text that could not be parsed as the source's record is not even XML or JSON."""
    if source.reader == "xml":
        # Spark's parser accepts what is well-formed, so a refused text is an event only if its end tag is there.
        return ~F.rtrim(text).endswith("</Event>")
    return F.try_parse_json(text).isNull()


def _by_event(texts: Sequence[str]) -> Column:
    """Returns the text of a row's event, null for other events."""
    return F.get(F.array(*map(F.lit, texts)), F.col(EVENT))


def _conformed(frame: DataFrame, schema: T.StructType) -> DataFrame:
    return frame.select(*(F.col(f.name).cast(f.dataType).alias(f.name) for f in schema))
