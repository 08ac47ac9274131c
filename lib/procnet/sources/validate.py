"""A source by its name or file, with every expression analysed: what is wrong is told before any data is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.errors import SourceError, cause
from procnet.readers.record import RAW_SCHEMA
from procnet.sources.mapping import EventMapping, SourceMapping, read_mapping
from procnet.sources.parse_records import records_of


def load_source(name_or_path: str | Path, folder: Path | None = None) -> SourceMapping:
    """A source by its name in `folder` (default: the shipped ones) or by its file, with every expression analysed.

    Needs a Spark session, reads no data. SourceError: unknown (lists the known ones), or wrong, with all that is wrong.
    """
    source = read_mapping(name_or_path, folder)
    written = (source.model_dump_json(), source.shared.model_dump_json())
    if written in _ANALYSED:
        return source
    spark = SparkSession.active()
    schema = source.table if source.reader == "table" else RAW_SCHEMA
    assert schema is not None, "the mapping's model sees to it"
    problems: list[str] = []
    try:
        frame = records_of(spark.createDataFrame([], schema), source, None)
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
    _ANALYSED.add(written)
    return source


# What has been found to be right in this process: the analysis takes a second, and a run asks for a source often.
_ANALYSED: set[tuple[str, str]] = set()


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
