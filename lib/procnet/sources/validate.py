"""Loads a source and analyses every expression of its mapping, so that errors appear before any data is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.errors import SourceError, cause
from procnet.readers.record import RAW_SCHEMA
from procnet.sources.mapping import SourceMapping, read_mapping
from procnet.sources.parse_records import parse_records

# Mappings found valid in this process: an analysis takes a second, and a run loads a source several times.
_VALID: set[tuple[str, str]] = set()


def load_source(name_or_path: str | Path, folder: Path | None = None) -> SourceMapping:
    """Returns a source by its name in `folder` (default: the shipped ones) or by its file.

    Needs a Spark session; reads no data. SourceError for an unknown source (with the known ones) or an invalid one
    (with all its problems).
    """
    source = read_mapping(name_or_path, folder)
    content = (source.model_dump_json(), source.shared.model_dump_json())
    if content in _VALID:
        return source
    frame, problems = _with_valid_given(_empty_frame(source), source)
    problems += _expression_problems(frame, source)
    problems = problems or _condition_problems(frame, source)
    if problems:
        raise SourceError("\n".join(problems), hint="expressions are Spark SQL over the record and what `given` names")
    _VALID.add(content)
    return source


def _empty_frame(source: SourceMapping) -> DataFrame:
    """Returns an empty frame with the columns that expressions may use, except those of `given`."""
    schema = source.table if source.reader == "table" else RAW_SCHEMA
    assert schema is not None, "SourceMapping requires `table` for a source of tables"
    try:
        frame = parse_records(SparkSession.active().createDataFrame([], schema), source, None)
        _ = frame.schema
    except AnalysisException as e:
        raise SourceError(f"{source.path}: {source.reader} schema: {cause(e)}") from None
    return frame


def _with_valid_given(frame: DataFrame, source: SourceMapping) -> tuple[DataFrame, list[str]]:
    """Returns the frame with the columns of `given`, and the problems of their expressions."""
    problems: list[str] = []
    for name, text in source.all_given.items():
        problem = _analysis_error(frame, text)
        problems += [f"{source.path}: given.{name}: {text.strip()}: {problem}"] if problem else []
        # An invalid expression becomes null, so that the expressions that use it are not reported too.
        frame = frame.withColumn(name, F.expr("cast(null as string)" if problem else text))
    return frame, problems


def _expression_problems(frame: DataFrame, source: SourceMapping) -> list[str]:
    expressions = dict(_expressions(source))
    if not _analysis_error(frame, *expressions.values()):  # one analysis where all are valid
        return []
    errors: Mapping[str, str | None] = {place: _analysis_error(frame, text) for place, text in expressions.items()}
    return [f"{source.path}: {p}: {expressions[p].strip()}: {error}" for p, error in errors.items() if error]


def _condition_problems(frame: DataFrame, source: SourceMapping) -> list[str]:
    types = {name: frame.select(F.expr(e.when)).schema[0].dataType for name, e in source.all_events.items()}
    return [
        f"{source.path}: events.{name}.when: is {kind.simpleString()}, not boolean"
        for name, kind in types.items()
        if not isinstance(kind, T.BooleanType)
    ]


def _expressions(source: SourceMapping) -> Iterator[tuple[str, str]]:
    """Yields (place in the file, text) of every expression that may use the columns of `given`."""
    yield "event_id", source.event_id
    for column, texts in {**source.shared.columns, **source.columns}.items():
        yield from _numbered(f"columns.{column}", texts)
    for name, event in source.all_events.items():
        yield f"events.{name}.when", event.when
        for column, texts in event.columns.items():
            yield from _numbered(f"events.{name}.columns.{column}", texts)


def _numbered(place: str, texts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for i, text in enumerate(texts):
        yield (f"{place}[{i}]" if len(texts) > 1 else place), text


def _analysis_error(frame: DataFrame, *texts: str) -> str | None:
    """Returns why Spark cannot analyse the expressions on the frame; None if it can."""
    try:
        _ = frame.select(*(F.expr(t) for t in texts)).schema
    except AnalysisException as e:
        return cause(e)
    return None
