"""Raw files or tables -> the lake's canonical tables. Idempotent: what the lake has already is not added again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.tables import Lake
from procnet.runs.ingested_files import files_to_read
from procnet.runs.recorder import Clock, record
from procnet.settings import Settings
from procnet.sources.mapping import read_mapping
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.read import read_raw, sort_out
from procnet.sources.validate import load_source


@dataclass(frozen=True)
class IngestReport:
    """What became of the records. Every record read is an event, skipped or quarantined."""

    source: str
    known_files: int  # files that were read before and have not changed: not read again
    read: int
    process_events: int
    network_events: int
    no_key: int  # events without process id and guid: kept, though nothing can be joined to them
    new: dict[str, int]  # table -> rows added
    duplicates: int  # events that are exact copies, in these files or of the lake's
    skipped: dict[str, int]  # event id -> records of events that are not asked for
    quarantined: dict[str, int]  # reason -> records

    @classmethod
    def of_nothing(cls, source: str, known_files: int) -> IngestReport:
        """All files were read before."""
        return cls(source, known_files, 0, 0, 0, 0, {}, 0, {}, {})

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)

    def totals(self) -> dict[str, int]:
        """For the ledger."""
        kept_aside, others = sum(self.quarantined.values()), sum(self.skipped.values())
        read = {"records": self.read, "process_events": self.process_events, "network_events": self.network_events}
        more = {"without_key": self.no_key, "duplicates": self.duplicates, "quarantined": kept_aside, "skipped": others}
        return {"known_files": self.known_files, **read, **more, **{f"new_{table}": n for table, n in self.new.items()}}

    def lines(self) -> list[tuple[str, int]]:
        """(what, count) for a person; counts of 0 that say nothing are left out."""
        fixed = [
            ("records read", self.read),
            ("process events", self.process_events),
            ("network events", self.network_events),
        ]
        some = [
            ("files read before, unchanged", self.known_files),
            ("events without process id and guid", self.no_key),
            ("events that were there already", self.duplicates),
            *((f"quarantined: {reason}", n) for reason, n in self.quarantined.items()),
            *((f"skipped: event {event_id}", n) for event_id, n in self.skipped.items()),
        ]
        if self.known_files and not self.read:
            return some[:1]
        added = [(f"new rows in {table}", n) for table, n in self.new.items()]
        return [*fixed, *((what, n) for what, n in some if n), *added]


def ingest(
    spark: SparkSession,
    settings: Settings,
    source_name: str | Path,
    paths: Sequence[str | Path],
    *,
    host: str | None = None,
    again: bool = False,
    now: datetime,
) -> IngestReport:
    """Read `paths` as a source and add to process_events, network_events and quarantine what they do not hold yet.

    A file that an earlier ingest read as it is now is not opened, unless `again` asks for it (see inputs.py).
    `host` is for records that name none; `now` (with a zone) becomes the rows' ingest_time. Tables that are missing
    are created. SourceError for the source, DataError for a path.
    """
    lake, clock = Lake(spark, settings), Clock()
    source = read_mapping(source_name)
    found, _ = sort_out(source, paths)
    refuse_unsafe_commits(lake)
    new_tables = lake.create()
    inputs = files_to_read(lake, source, host, found, again=again or "runs" in new_tables)
    if inputs.known and not inputs.files:
        report = IngestReport.of_nothing(source.name, len(inputs.known))
        record(lake, clock, "ingest", "nothing_to_read", counts=report.totals())
        return report
    source = load_source(source_name)
    result = normalize(read_raw(spark, source, inputs.files or paths), source, host=host, ingest_time=now)
    with _kept(result.records) as records:
        result = Normalized(records, result.source, now)
        clock.lap("open")
        counts = _counts(records)
        clock.lap("read")
        new = {
            "process_events": _add(lake, "process_events", result.process_events, counts.dates("start", "end")),
            "network_events": _add(lake, "network_events", result.network_events, counts.dates("network")),
            "quarantine": _add(lake, "quarantine", result.quarantine, None) if counts.quarantined() else 0,
        }
    clock.lap("add")
    processes, connections = counts.events("start", "end"), counts.events("network")
    added = new["process_events"] + new["network_events"]
    report = IngestReport(
        source=source.name,
        known_files=len(inputs.known),
        read=sum(n for *_, n, _ in counts.rows),
        process_events=processes,
        network_events=connections,
        no_key=sum(k for *_, k in counts.rows),
        new=new,
        duplicates=processes + connections - added,
        skipped=counts.skipped(),
        quarantined=counts.quarantined(),
    )
    status = "succeeded" if report.read else "nothing_to_read"
    record(lake, clock, "ingest", status, counts=report.totals(), inputs=inputs.marks)
    return report


@dataclass(frozen=True)
class _Counts:
    rows: list[tuple[str | None, str | None, str | None, date | None, int, int]]

    def events(self, *kinds: str) -> int:
        return sum(n for kind, _, reason, _, n, _ in self.rows if reason is None and kind in kinds)

    def dates(self, *kinds: str) -> list[date]:
        return sorted({d for kind, _, reason, d, _, _ in self.rows if reason is None and kind in kinds and d})

    def quarantined(self) -> dict[str, int]:
        return _summed((reason, n) for _, _, reason, _, n, _ in self.rows if reason is not None)

    def skipped(self) -> dict[str, int]:
        return _summed((i or "none", n) for kind, i, reason, _, n, _ in self.rows if reason is None and kind is None)


def _counts(records: DataFrame) -> _Counts:
    """All figures of the report in one job: few groups, since an event's own id is not asked and a skipped one's is."""
    used = F.col("reason").isNull() & F.col("event").isNotNull()
    no_key = used & F.col("process_id").isNull() & F.col("process_guid").isNull()
    kind, event_id = F.col("event_kind"), F.when(F.col("event").isNull() & F.col("reason").isNull(), F.col("event_id"))
    groups = records.groupBy(
        kind.alias("kind"), event_id.alias("id"), "reason", F.when(used, F.to_date("event_time")).alias("day")
    ).agg(F.count(F.lit(1)).alias("n"), F.count_if(no_key).alias("no_key"))
    return _Counts([tuple(row) for row in groups.collect()])


def _summed(pairs: Iterator[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for key, n in pairs:
        total[key] = total.get(key, 0) + n
    return dict(sorted(total.items(), key=lambda kv: (-kv[1], kv[0])))


def _add(lake: Lake, table: str, rows: DataFrame, dates: list[date] | None) -> int:
    """Append the rows that the table has not got, each once; of the table only the partitions of `dates` are read."""
    if dates is not None and not dates:
        return 0
    # Quarantine is partitioned by ingest_time, which a repeated record does not share.
    free = {"ingest_time"} if dates is not None else {"ingest_time", "event_date"}
    there = lake.read(table)
    if dates is not None:
        there = there.where(F.col("event_date").isin(dates))
    # All of one run are of one ingest_time, so `distinct` is right; `dropDuplicates` would sort all columns.
    new = rows.distinct()
    if not there.isEmpty():
        new = new.alias("new").join(there.alias("old"), _same([c for c in rows.columns if c not in free]), "left_anti")
    with _kept(new) as kept:
        count = kept.count()
        if count:
            lake.append(table, kept)
    return count


def _same(columns: list[str]) -> Column:
    # Structs are equal where their fields are, nulls included, which plain columns are not. The hash is what the join
    # goes by: it is one number, where the struct would be forty columns to sort.
    new, old = ([F.col(f"{side}.{c}") for c in columns] for side in ("new", "old"))
    return (F.xxhash64(*new) == F.xxhash64(*old)) & (F.struct(*new) == F.struct(*old))


@contextmanager
def _kept(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame, computed once for all its uses: files are read and parsed once, not once a table."""
    try:
        frame.persist()
    except AnalysisException:  # serverless compute has no cache: there each use computes it again
        yield frame
        return
    try:
        yield frame
    finally:
        frame.unpersist()
