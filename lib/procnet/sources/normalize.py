"""Raw frames -> canonical events by a source's mapping. Lazy and pure: nothing is computed, no clock is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS, QUARANTINE
from procnet.sources.columns import NUMBERS, as_read, cleaned, completed, is_no_number, known, stripped
from procnet.sources.mapping import COLUMNS, FILE, EventMapping, SourceMapping
from procnet.sources.parse_records import CORRUPT, PLACE, records_of, with_given
from procnet.sources.schema_drift import lacking, not_there
from procnet.sources.validate import load_source

_RAW_CHARS = 64 * 1024


@dataclass(frozen=True)
class Normalized:
    """Canonical frames of one raw frame, not yet computed.

    `records` has one row a raw record, so that a writer that needs several of the frames can keep it and read the
    files once: `event` (name of the mapping's event; null: skipped), `event_kind`, `event_id`, `reason` (null: usable),
    the raw place and text, and every canonical column.
    """

    records: DataFrame
    source: str
    ingest_time: datetime

    @property
    def process_events(self) -> DataFrame:
        """`contract.PROCESS_EVENTS` of the usable records, repeats included."""
        return self._table(F.col("event_kind").isin("start", "end"), PROCESS_EVENTS)

    @property
    def network_events(self) -> DataFrame:
        """`contract.NETWORK_EVENTS` of the usable records, repeats included."""
        return self._table(F.col("event_kind") == "network", NETWORK_EVENTS)

    @property
    def quarantine(self) -> DataFrame:
        """`contract.QUARANTINE`: what is no record, or a wanted event that lacks what it must have."""
        return _as(self._stamped(self.records.where(F.col("reason").isNotNull()), self.ingest_time.date()), QUARANTINE)

    @property
    def skipped(self) -> DataFrame:
        """Records of other events: event_id, count."""
        other = self.records.where(F.col("reason").isNull() & F.col("event").isNull())
        return other.groupBy("event_id").count()

    def _table(self, which: Column, schema: T.StructType) -> DataFrame:
        usable = self.records.where(F.col("reason").isNull() & which)
        return _as(self._stamped(usable, F.to_date("event_time")), schema)

    def _stamped(self, rows: DataFrame, date: object) -> DataFrame:
        stamps = {"source": self.source, "ingest_time": self.ingest_time, "event_date": date}
        return rows.withColumns({n: v if isinstance(v, Column) else F.lit(v) for n, v in stamps.items()})


def normalize(
    raw: DataFrame, source: SourceMapping | str, *, host: str | None = None, ingest_time: datetime
) -> Normalized:
    """Canonical events of a raw frame, by a source's mapping or its name.

    In: for a file source RAW_SCHEMA of records.py (only `raw`, the record's text, must be there); for a table source
    the table. `host` is taken where a record names none. `ingest_time` is when the lake received them, UTC.
    """
    if isinstance(source, str):
        source = load_source(source)
    frame = with_given(records_of(raw, source, host), source)
    events = source.all_events
    # By number: every column asks which event it is, and a number is compared in no time.
    frame = frame.withColumn("_event", case((F.expr(e.when), F.lit(i)) for i, e in enumerate(events.values())))
    asked = alternatives(source, list(events.values()))
    place = [F.col(c).alias(f"_{c}") for c in (FILE, *PLACE, CORRUPT)]
    values = [value.alias(name) for column in asked.values() for name, value in column.items()]
    frame = frame.select("_event", F.expr(source.event_id).cast("string").alias("_event_id"), *place, *values)
    kinds = {f.name: f.dataType for f in frame.schema}
    if missing := lacking(asked, kinds):
        raise not_there(raw, source, missing)
    return Normalized(_judged(frame, source, asked), source.name, ingest_time)


def alternatives(
    source: SourceMapping, events: Sequence[EventMapping], *, whole: bool = False
) -> dict[str, dict[str, Column]]:
    """Canonical column -> its raw values, first choice first, each one CASE over the events, by their number `_event`.

    The events' choices are put side by side before the clean-up, so that each clean-up is in the plan once and not once
    an event. `whole` says that every row is of one of the events: what they all fill alike is then no CASE.
    """
    by_event = [source.columns_of(event) for event in events]
    asked: dict[str, dict[str, Column]] = {}
    for column in COLUMNS:
        most = max(len(columns.get(column, ())) for columns in by_event)
        asked[column] = {}
        for i in range(most):
            users: dict[str, list[int]] = {}
            for number, columns in enumerate(by_event):
                if i < len(columns.get(column, ())):
                    users.setdefault(columns[column][i], []).append(number)
            same = whole and [len(numbers) for numbers in users.values()] == [len(events)]
            choice = (
                F.expr(next(iter(users)))
                if same
                else case((F.col("_event").isin(numbers), F.expr(text)) for text, numbers in users.items())
            )
            asked[column][f"{column}_{i}"] = choice
    return asked


def _judged(frame: DataFrame, source: SourceMapping, asked: dict[str, dict[str, Column]]) -> DataFrame:
    """Raw values -> canonical columns, and the reason where a record cannot be used."""
    frame, kinds = _known(frame, asked)
    kinds_of = {f.name: f.dataType for schema in (PROCESS_EVENTS, NETWORK_EVENTS) for f in schema}
    values = {column: [(F.col(name), kinds[name]) for name in names] for column, names in asked.items()}
    columns = {c: (cleaned(c, v) if v else F.lit(None)).cast(kinds_of[c]).alias(c) for c, v in values.items()}
    wrong = [(is_no_number(values[c]), F.lit(f"{c} is no number")) for c in NUMBERS if values[c]]
    spoiled = F.when(F.col("_problem").isNotNull(), F.col("_problem")).when(
        F.col("_corrupt"),
        F.when(_is_none("_raw", source), f"no {'XML' if source.reader == 'xml' else 'JSON'}").otherwise(
            f"no record of {source.name}: another shape"
        ),
    )
    names, event_kinds = zip(*[(n, e.kind) for n, e in source.all_events.items()], strict=True)
    mistyped = F.when(F.col("_event").isNotNull(), case(wrong)) if wrong else F.lit(None)
    first = frame.select(
        _chosen(names).alias("event"), _chosen(event_kinds).alias("event_kind"), F.col("_event_id").alias("event_id"),
        *(F.col(f"_{c}").alias(c) for c in (FILE, "line", "raw")),
        F.coalesce(spoiled, mistyped).alias("reason"),
        *columns.values(),
    )  # fmt: skip
    missing = F.when(F.col("event_time").isNull(), "no time").when(F.col("host").isNull(), "no host")
    reason = F.coalesce("reason", F.when(F.col("event").isNotNull(), missing))
    done = completed({c: F.col(c) for c in COLUMNS})
    return first.withColumns(
        {**done, "reason": reason, "raw": F.when(reason.isNotNull(), F.left("raw", F.lit(_RAW_CHARS)))}
    )


def _known(frame: DataFrame, asked: dict[str, dict[str, Column]]) -> tuple[DataFrame, dict[str, T.DataType]]:
    """Raw values as stripped, known text, each step in columns of its own (see clean.py), and the types of all."""
    column_of = {name: column for column, names in asked.items() for name in names}
    raw = {f.name: f.dataType for f in frame.schema if f.name in column_of}
    frame = frame.withColumns({n: as_read(column_of[n], F.col(n), kind) for n, kind in raw.items()})
    kinds = {f.name: f.dataType for f in frame.schema if f.name in column_of}
    texts = [n for n, kind in kinds.items() if isinstance(kind, T.StringType)]
    for step in (stripped, known):
        frame = frame.withColumns({n: step(column_of[n], F.col(n)) for n in texts})
    return frame, kinds


def _is_none(text: str, source: SourceMapping) -> Column:
    """Whether a text that was not read as the source's record is not even of its format."""
    if source.reader == "xml":
        # An event has its end, and Spark's parser takes what is well formed: what it refuses, or has no end, is none.
        return ~F.rtrim(text).endswith("</Event>")
    return F.try_parse_json(text).isNull()


def _chosen(texts: Sequence[str]) -> Column:
    return F.get(F.array(*map(F.lit, texts)), F.col("_event"))


def case(branches: Iterable[tuple[Column, Column]]) -> Column:
    """CASE over (condition, value) pairs, null where none holds."""
    pairs = list(branches)
    case = F.when(*pairs[0])
    for condition, value in pairs[1:]:
        case = case.when(condition, value)
    return case


def _as(frame: DataFrame, schema: T.StructType) -> DataFrame:
    return frame.select(*(F.col(f.name).cast(f.dataType).alias(f.name) for f in schema))
