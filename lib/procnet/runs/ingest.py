"""Reads raw files or tables into the lake's canonical tables. Idempotent: rows already in the lake are not added."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import EVENT_TABLES
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.insert import insert_missing
from procnet.lake.tables import Lake
from procnet.runs.ingest_counts import count_records
from procnet.runs.ingest_report import IngestReport, record_ingest
from procnet.runs.ingested_files import files_to_read
from procnet.runs.recorder import RunRecorder
from procnet.sources.mapping import read_mapping
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.read import files_and_tables, read_raw
from procnet.sources.validate import load_source


def ingest(
    lake: Lake,
    source: str | Path,
    paths: Sequence[str | Path],
    *,
    host: str | None = None,
    again: bool = False,
    now: datetime,
) -> IngestReport:
    """Reads `paths` by a source and appends the new rows to the tables of events and to quarantine.

    A file that an earlier ingest read as it is now is not opened, unless `again` (see ingested_files.py). `source` is a
    source's name or mapping file; `host` is for records that name none; `now` (with a zone) becomes the rows'
    ingest_time. Tables that are missing are created. Raises SourceError for the source, DataError for a path.
    """
    attempt = RunRecorder(lake, "ingest").attempt()
    mapping = read_mapping(source)
    files, _ = files_and_tables(mapping, paths)
    refuse_unsafe_commits(lake)
    new_tables = lake.create()
    inputs = files_to_read(lake, mapping, host, files, again=again or "runs" in new_tables)
    if inputs.known and not inputs.to_read:
        report = IngestReport.of_nothing(mapping.name, len(inputs.known))
        attempt.succeeded("nothing_to_read", counts=report.totals())
        return report
    mapping = load_source(source)
    max_record = lake.settings.ingest.max_record
    raw = read_raw(lake.spark, mapping, inputs.to_read or paths, max_record=max_record)
    normalized = normalize(raw, mapping, host=host, ingest_time=now, times=lake.settings.events.period)
    with _cached(normalized.records.withColumn("run", F.lit(uuid.uuid4().hex))) as records:
        normalized = Normalized(records, normalized.source, now)
        attempt.stage("open")
        counts = count_records(records, now)
        attempt.stage("read")
        new = {table: _add(lake, table, normalized.table(table), counts.dates(table)) for table in EVENT_TABLES}
        new["quarantine"] = _add(lake, "quarantine", normalized.quarantine, None) if counts.quarantined() else 0
    attempt.stage("add")
    report = counts.report(mapping.name, len(inputs.known), new)
    record_ingest(attempt, report, inputs.digests)
    return report


def _add(lake: Lake, table: str, rows: DataFrame, dates: list[date] | None) -> int:
    """Adds the rows that the table lacks, each once, and returns their number. Only the partitions of `dates` are
    compared; None means the whole table."""
    if dates is not None and not dates:
        return 0
    # Quarantine is partitioned by the date of ingest_time, which a repeated record does not share.
    not_compared = ("ingest_time",) if dates is not None else ("ingest_time", "event_date")
    return insert_missing(lake, table, rows, dates=dates, not_compared=not_compared)


@contextmanager
def _cached(frame: DataFrame) -> Iterator[DataFrame]:
    """Caches the frame, so that files are read and parsed once and not once a table.

    The frame needs a value of its own run: Spark caches equal plans once, so that of two ingests of the same files in
    one session the first to end would drop the cache of the other, whose plan alone then takes minutes to optimize.
    """
    try:
        frame.persist()
    except AnalysisException:  # serverless compute has no cache: there each use computes it again
        yield frame
        return
    try:
        yield frame
    finally:
        frame.unpersist()
