"""Reads raw files or tables into the lake's canonical tables. Idempotent: rows already in the lake are not added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.tables import Lake
from procnet.runs.ingested_files import files_to_read
from procnet.runs.recorder import RunRecorder
from procnet.sources.mapping import read_mapping
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.read import files_and_tables, read_raw
from procnet.sources.validate import load_source


@dataclass(frozen=True)
class IngestReport:
    """Counts of an ingest. Every record read is an event, skipped or quarantined."""

    source: str
    known_files: int  # files that an earlier ingest has read as they are now: not read again
    read: int  # records
    process_events: int
    network_events: int
    no_key: int  # events without process id and guid: stored, but no process can be attributed to them
    new: dict[str, int]  # table -> rows added
    duplicates: int  # events that are exact copies of others in these files, or of rows in the lake
    skipped: dict[str, int]  # event id -> records of events that the source does not map
    quarantined: dict[str, int]  # reason -> records

    @classmethod
    def of_nothing(cls, source: str, known_files: int) -> IngestReport:
        """The report where an earlier ingest has read all files."""
        return cls(source, known_files, 0, 0, 0, 0, {}, 0, {}, {})

    def as_dict(self) -> dict[str, Any]:
        """Returns the report for `--json`."""
        return asdict(self)

    def totals(self) -> dict[str, int]:
        """Returns the counts for the ledger."""
        return {
            "known_files": self.known_files,
            "records": self.read,
            "process_events": self.process_events,
            "network_events": self.network_events,
            "without_key": self.no_key,
            "duplicates": self.duplicates,
            "quarantined": sum(self.quarantined.values()),
            "skipped": sum(self.skipped.values()),
            **{f"new_{table}": n for table, n in self.new.items()},
        }

    def lines(self) -> list[tuple[str, int]]:
        """Returns (what, count) for the terminal; most counts of 0 are left out."""
        always = [
            ("records read", self.read),
            ("process events", self.process_events),
            ("network events", self.network_events),
        ]
        if_any = [
            ("files read before, unchanged", self.known_files),
            ("events without process id and guid", self.no_key),
            ("events that were there already", self.duplicates),
            *((f"quarantined: {reason}", n) for reason, n in self.quarantined.items()),
            *((f"skipped: event {event_id}", n) for event_id, n in self.skipped.items()),
        ]
        if self.known_files and not self.read:
            return if_any[:1]
        added = [(f"new rows in {table}", n) for table, n in self.new.items()]
        return [*always, *((what, n) for what, n in if_any if n), *added]


def ingest(
    lake: Lake,
    source: str | Path,
    paths: Sequence[str | Path],
    *,
    host: str | None = None,
    again: bool = False,
    now: datetime,
) -> IngestReport:
    """Reads `paths` by a source and appends the new rows to process_events, network_events and quarantine.

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
    normalized = normalize(read_raw(lake.spark, mapping, inputs.to_read or paths), mapping, host=host, ingest_time=now)
    with _cached(normalized.records) as records:
        normalized = Normalized(records, normalized.source, now)
        attempt.stage("open")
        counts = _count(records)
        attempt.stage("read")
        new = {
            "process_events": _add(lake, "process_events", normalized.process_events, counts.dates("start", "end")),
            "network_events": _add(lake, "network_events", normalized.network_events, counts.dates("network")),
            "quarantine": _add(lake, "quarantine", normalized.quarantine, None) if counts.quarantined() else 0,
        }
    attempt.stage("add")
    report = _report(mapping.name, len(inputs.known), counts, new)
    status = "succeeded" if report.read else "nothing_to_read"
    attempt.succeeded(status, counts=report.totals(), inputs=inputs.digests)
    return report


@dataclass(frozen=True)
class _Group:
    """Records with the same kind, event id, quarantine reason and UTC date."""

    kind: str | None  # start, end or network; None for a skipped event
    event_id: str | None  # of a skipped event only
    reason: str | None  # of a quarantined record only
    day: date | None
    records: int
    no_key: int


@dataclass(frozen=True)
class _Counts:
    groups: list[_Group]

    def events(self, *kinds: str) -> int:
        return sum(g.records for g in self.groups if g.reason is None and g.kind in kinds)

    def dates(self, *kinds: str) -> list[date]:
        return sorted({g.day for g in self.groups if g.reason is None and g.kind in kinds and g.day})

    def quarantined(self) -> dict[str, int]:
        return _summed((g.reason, g.records) for g in self.groups if g.reason is not None)

    def skipped(self) -> dict[str, int]:
        return _summed((g.event_id or "none", g.records) for g in self.groups if g.reason is None and g.kind is None)


def _report(source: str, known_files: int, counts: _Counts, new: dict[str, int]) -> IngestReport:
    process_events, network_events = counts.events("start", "end"), counts.events("network")
    return IngestReport(
        source=source,
        known_files=known_files,
        read=sum(g.records for g in counts.groups),
        process_events=process_events,
        network_events=network_events,
        no_key=sum(g.no_key for g in counts.groups),
        new=new,
        duplicates=process_events + network_events - new["process_events"] - new["network_events"],
        skipped=counts.skipped(),
        quarantined=counts.quarantined(),
    )


def _count(records: DataFrame) -> _Counts:
    """Returns all figures of the report, in one job. Groups are few: only skipped events are grouped by event id."""
    used = F.col("reason").isNull() & F.col("event").isNotNull()
    no_key = used & F.col("process_id").isNull() & F.col("process_guid").isNull()
    skipped_id = F.when(F.col("event").isNull() & F.col("reason").isNull(), F.col("event_id"))
    groups = records.groupBy(
        F.col("event_kind").alias("kind"),
        skipped_id.alias("id"),
        "reason",
        F.when(used, F.to_date("event_time")).alias("day"),
    ).agg(F.count(F.lit(1)).alias("records"), F.count_if(no_key).alias("no_key"))
    return _Counts([_Group(*row) for row in groups.collect()])


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Returns the sum by name, the largest first."""
    total: dict[str, int] = {}
    for name, n in counts:
        total[name] = total.get(name, 0) + n
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _add(lake: Lake, table: str, rows: DataFrame, dates: list[date] | None) -> int:
    """Appends the rows that the table lacks, each once, and returns their number. Only the partitions of `dates` are
    compared; None means the whole table."""
    if dates is not None and not dates:
        return 0
    # Quarantine is partitioned by the date of ingest_time, which a repeated record does not share.
    not_compared = {"ingest_time"} if dates is not None else {"ingest_time", "event_date"}
    stored = lake.read(table)
    if dates is not None:
        stored = stored.where(F.col("event_date").isin(dates))
    # All rows of one run have one ingest_time, so `distinct` is right; `dropDuplicates` would sort all columns.
    new = rows.distinct()
    if not stored.isEmpty():
        columns = [c for c in rows.columns if c not in not_compared]
        new = new.alias("new").join(stored.alias("stored"), _same_row(columns), "left_anti")
    with _cached(new) as cached:
        count = cached.count()
        if count:
            lake.append(table, cached)
    return count


def _same_row(columns: list[str]) -> Column:
    # Structs are equal where their fields are, nulls included, which columns are not. The join is by the hash: one
    # number, where the struct would be forty columns to sort.
    new, stored = ([F.col(f"{side}.{c}") for c in columns] for side in ("new", "stored"))
    return (F.xxhash64(*new) == F.xxhash64(*stored)) & (F.struct(*new) == F.struct(*stored))


@contextmanager
def _cached(frame: DataFrame) -> Iterator[DataFrame]:
    """Caches the frame, so that files are read and parsed once and not once a table."""
    try:
        frame.persist()
    except AnalysisException:  # serverless compute has no cache: there each use computes it again
        yield frame
        return
    try:
        yield frame
    finally:
        frame.unpersist()
