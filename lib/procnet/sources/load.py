"""Raw frames -> canonical events by a source's mapping. Lazy and pure: nothing is computed, no clock is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS, QUARANTINE
from procnet.errors import SourceError, cause
from procnet.sources.canonical import NUMBERS, as_read, cleaned, completed, is_no_number, known, stripped
from procnet.sources.mapping import ASKED_HOST, COLUMNS, FILE, EventMapping, SourceMapping, read_mapping
from procnet.sources.readers import RAW_SCHEMA

_CORRUPT = "corrupt"
_RAW_CHARS = 64 * 1024
_PLACE = ("line", "raw", "problem")


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


def load_source(name_or_path: str | Path, folder: Path | None = None) -> SourceMapping:
    """A source by its name in `folder` (default: the shipped ones) or by its file, with every expression analysed.

    Needs a Spark session, reads no data. SourceError: unknown (lists the known ones), or wrong, with all that is wrong.
    """
    source = read_mapping(name_or_path, folder)
    spark = SparkSession.active()
    schema = RAW_SCHEMA if source.reader == "json" else source.table
    assert schema is not None, "the mapping's model sees to it"
    problems: list[str] = []
    try:
        frame = _records(spark.createDataFrame([], schema), source, None)
        _ = frame.schema
    except AnalysisException as e:
        raise SourceError(f"{source.path}: {source.reader} schema: {cause(e)}") from None
    for name, text in {**source.given, **source.shared.given}.items():
        wrong = _wrong(frame, text)
        problems += [f"{source.path}: given.{name}: {text.strip()}: {wrong}"] if wrong else []
        # A broken one goes on as null, so that what uses it is not reported too.
        frame = frame.withColumn(name, F.expr("cast(null as string)" if wrong else text))
    asked = dict(_expressions(source))
    if _wrong(frame, *asked.values()):  # one analysis where all is well
        problems += [
            f"{source.path}: {place}: {t.strip()}: {w}" for place, t in asked.items() if (w := _wrong(frame, t))
        ]
    if not problems:
        kinds = [frame.select(F.expr(e.when)).schema[0].dataType for e in source.all_events.values()]
        problems = [
            f"{source.path}: events.{name}.when: is {kind.simpleString()}, not boolean"
            for name, kind in zip(source.all_events, kinds, strict=True)
            if not isinstance(kind, T.BooleanType)
        ]
    if problems:
        raise SourceError("\n".join(problems), hint="expressions are Spark SQL over the record and what `given` names")
    return source


def normalize(
    raw: DataFrame, source: SourceMapping | str, *, host: str | None = None, ingest_time: datetime
) -> Normalized:
    """Canonical events of a raw frame, by a source's mapping or its name.

    In: for a file source RAW_SCHEMA of readers.py (only `raw`, the record's text, must be there); for a table source
    the table. `host` is taken where a record names none. `ingest_time` is when the lake received them, UTC.
    """
    if isinstance(source, str):
        source = load_source(source)
    frame = _records(raw, source, host)
    for name, text in {**source.given, **source.shared.given}.items():
        frame = frame.withColumn(name, F.expr(text))
    events = source.all_events
    # By number: every column asks which event it is, and a number is compared in no time.
    frame = frame.withColumn("_event", _case((F.expr(e.when), F.lit(i)) for i, e in enumerate(events.values())))
    asked = _alternatives(source)
    place = [F.col(c).alias(f"_{c}") for c in (FILE, *_PLACE, _CORRUPT)]
    values = [value.alias(name) for column in asked.values() for name, value in column.items()]
    frame = frame.select("_event", F.expr(source.event_id).cast("string").alias("_event_id"), *place, *values)
    return Normalized(_judged(frame, source, asked), source.name, ingest_time)


def _records(raw: DataFrame, source: SourceMapping, host: str | None) -> DataFrame:
    """The raw frame as the mapping's expressions see it, and beside it place, text and what is wrong with a record."""
    there = {c.lower() for c in raw.columns}
    if source.reader == "json":
        declared = _struct(RAW_SCHEMA)
        kind = T.DataType.fromDDL(source.record or "")
        schema: T.StructType | str = source.record or ""
        if isinstance(kind, T.StructType):
            schema = T.StructType([*kind, T.StructField(_CORRUPT, T.StringType())])
        record = F.from_json("raw", schema, {"columnNameOfCorruptRecord": _CORRUPT})
        extra = {"record": record}
    else:
        declared = _struct(f"{source.table}, {FILE} string")
        none = F.lit(None).cast("string")
        extra = {"raw": F.to_json(F.struct(*raw.columns)), "line": none.cast("bigint"), "problem": none}
    columns = [
        F.col(f.name) if f.name.lower() in there else F.lit(None).cast(f.dataType).alias(f.name) for f in declared
    ]
    frame = raw.select(*columns, F.lit(host).cast("string").alias(ASKED_HOST), *(c.alias(n) for n, c in extra.items()))
    if source.reader == "table":
        return frame.withColumn(_CORRUPT, F.lit(False))
    corrupt = F.col("record").isNull()
    if isinstance(kind, T.StructType):
        corrupt = corrupt | F.col(f"record.{_CORRUPT}").isNotNull()
    return frame.withColumn(_CORRUPT, corrupt)


def _struct(ddl: str) -> T.StructType:
    kind = T.DataType.fromDDL(ddl)
    assert isinstance(kind, T.StructType)
    return kind


def _alternatives(source: SourceMapping) -> dict[str, dict[str, Column]]:
    """Canonical column -> its raw values, first choice first, each one CASE over the events.

    The events' choices are put side by side before the clean-up, so that each clean-up is in the plan once and not once
    an event.
    """
    by_event = [source.columns_of(event) for event in source.all_events.values()]
    asked: dict[str, dict[str, Column]] = {}
    for column in COLUMNS:
        most = max(len(columns.get(column, ())) for columns in by_event)
        asked[column] = {}
        for i in range(most):
            users: dict[str, list[int]] = {}
            for number, columns in enumerate(by_event):
                if i < len(columns.get(column, ())):
                    users.setdefault(columns[column][i], []).append(number)
            choice = _case((F.col("_event").isin(numbers), F.expr(text)) for text, numbers in users.items())
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
        F.when(F.try_parse_json("_raw").isNull(), "no JSON").otherwise(f"no record of {source.name}: another shape"),
    )
    names, event_kinds = zip(*[(n, e.kind) for n, e in source.all_events.items()], strict=True)
    mistyped = F.when(F.col("_event").isNotNull(), _case(wrong)) if wrong else F.lit(None)
    first = frame.select(
        _chosen(names).alias("event"), _chosen(event_kinds).alias("event_kind"), F.col("_event_id").alias("event_id"),
        *(F.col(f"_{c}").alias(c) for c in (FILE, "line", "raw")),
        F.coalesce(spoiled, mistyped).alias("reason"),
        *columns.values(),
    )  # fmt: skip
    lacking = F.when(F.col("event_time").isNull(), "no time").when(F.col("host").isNull(), "no host")
    reason = F.coalesce("reason", F.when(F.col("event").isNotNull(), lacking))
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


def _chosen(texts: Sequence[str]) -> Column:
    return F.get(F.array(*map(F.lit, texts)), F.col("_event"))


def _case(branches: Iterable[tuple[Column, Column]]) -> Column:
    pairs = list(branches)
    case = F.when(*pairs[0])
    for condition, value in pairs[1:]:
        case = case.when(condition, value)
    return case


def _expressions(source: SourceMapping) -> Iterable[tuple[str, str]]:
    """Every expression that may use what `given` names, with its place in the file."""
    yield "event_id", source.event_id
    for column, texts in {**source.shared.columns, **source.columns}.items():
        yield from _numbered(f"columns.{column}", texts)
    event: EventMapping
    for name, event in source.all_events.items():
        yield f"events.{name}.when", event.when
        for column, texts in event.columns.items():
            yield from _numbered(f"events.{name}.columns.{column}", texts)


def _numbered(place: str, texts: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    for i, text in enumerate(texts):
        yield (f"{place}[{i}]" if len(texts) > 1 else place), text


def _wrong(frame: DataFrame, *texts: str) -> str | None:
    try:
        _ = frame.select(*(F.expr(t) for t in texts)).schema
    except AnalysisException as e:
        return cause(e)
    return None


def _as(frame: DataFrame, schema: T.StructType) -> DataFrame:
    return frame.select(*(F.col(f.name).cast(f.dataType).alias(f.name) for f in schema))
