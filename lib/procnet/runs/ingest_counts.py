"""Counts the records of an ingest by what became of them, and finds the files that gave nothing usable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import EVENT_TABLES, TABLE_OF_KIND
from procnet.periods import from_micros
from procnet.runs.ingest_report import FAULTY_SHARE, MOST_FILES, FaultyFile, IngestReport
from procnet.sources.mapping import NO_EVENT_IDS

AHEAD = timedelta(days=1)  # events later than now by more than this are reported


@dataclass(frozen=True)
class Group:
    """Records with the same kind, event id, quarantine reason and UTC date."""

    kind: str | None  # of contract.TABLE_OF_KIND; None for a skipped event
    event_id: str | None  # of a skipped event only
    reason: str | None  # of a quarantined record only
    day: date | None
    is_event: bool  # an event of the source, usable or not
    records: int
    no_key: int
    future: int
    newest: int | None  # usable event, in microseconds since 1970


@dataclass(frozen=True)
class RecordCounts:
    """Counts of the records of an ingest."""

    groups: list[Group]
    faulty_files: tuple[FaultyFile, ...] = ()

    def events(self, table: str) -> int:
        """Returns the number of usable events of a table."""
        return sum(g.records for g in self._events_of(table))

    def dates(self, table: str) -> list[date]:
        """Returns the UTC dates of these events, in order."""
        return sorted({g.day for g in self._events_of(table) if g.day})

    def _events_of(self, table: str) -> list[Group]:
        return [g for g in self.groups if g.reason is None and g.kind and TABLE_OF_KIND[g.kind] == table]

    def quarantined(self) -> dict[str, int]:
        """Returns reason -> quarantined records, the most frequent first."""
        return _summed((g.reason, g.records) for g in self.groups if g.reason is not None)

    def skipped(self) -> dict[str, int]:
        """Returns event id -> records that the source does not map, the most frequent first."""
        return _summed(
            (g.event_id or NO_EVENT_IDS[0], g.records) for g in self.groups if g.reason is None and g.kind is None
        )

    def report(self, source: str, known_files: int, new: dict[str, int]) -> IngestReport:
        """Returns the report of an ingest that added `new` rows by table."""
        events = {table: self.events(table) for table in EVENT_TABLES}
        return IngestReport(
            source=source,
            known_files=known_files,
            read=sum(g.records for g in self.groups),
            **events,
            no_key=sum(g.no_key for g in self.groups),
            new=new,
            duplicates=sum(n - new[table] for table, n in events.items()),
            skipped=self.skipped(),
            quarantined=self.quarantined(),
            unreadable=sum(g.records for g in self.groups if g.reason is not None and not g.is_event),
            faulty_files=self.faulty_files,
            future=sum(g.future for g in self.groups),
            newest=max((from_micros(g.newest) for g in self.groups if g.newest is not None), default=None),
        )


def count_records(records: DataFrame, now: datetime) -> RecordCounts:
    """Returns all figures of the report, in one job; in a second one the faulty files, where there can be one.

    Groups are few: only skipped events are grouped by event id.
    """
    used = F.col("reason").isNull() & F.col("event").isNotNull()
    has_process = F.col("event_kind").isin("start", "end", "network")
    no_key = used & has_process & F.col("process_id").isNull() & F.col("process_guid").isNull()
    skipped_id = F.when(F.col("event").isNull() & F.col("reason").isNull(), F.col("event_id"))
    groups = records.groupBy(
        F.col("event_kind").alias("kind"),
        skipped_id.alias("id"),
        "reason",
        F.when(used, F.to_date("event_time")).alias("day"),
        F.col("event").isNotNull().alias("is_event"),
    ).agg(
        F.count(F.lit(1)).alias("records"),
        F.count_if(no_key).alias("no_key"),
        F.count_if(used & (F.col("event_time") > F.lit(now + AHEAD))).alias("future"),
        F.max(F.when(used, F.unix_micros("event_time"))).alias("newest"),
    )
    counts = RecordCounts([Group(*row) for row in groups.collect()])
    if counts.quarantined() or counts.skipped().keys() & set(NO_EVENT_IDS):
        return RecordCounts(counts.groups, _faulty_files(records))
    return counts


def _faulty_files(records: DataFrame) -> tuple[FaultyFile, ...]:
    """Returns the files without any usable record or with too many quarantined ones, those with most records first."""
    usable, is_event = F.col("reason").isNull(), F.col("event").isNotNull()
    count = F.count_if
    by_file = records.groupBy("file").agg(
        F.count(F.lit(1)).alias("records"),
        count(usable & (is_event | ~F.coalesce("event_id", F.lit("")).isin("", *NO_EVENT_IDS))).alias("usable"),
        count(usable & is_event).alias("events"),
        count(~usable & is_event).alias("lacking"),
        count(~usable & ~is_event).alias("unreadable"),
    )
    faulty = f"""usable = 0 or lacking > {FAULTY_SHARE} * (events + lacking) or unreadable > {FAULTY_SHARE} * records"""
    most = by_file.where(faulty).orderBy(F.desc("records"), "file").limit(MOST_FILES)
    return tuple(FaultyFile(*row) for row in most.select("file", "records", "usable").collect())


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Returns the sum by name, the largest first."""
    total: dict[str, int] = {}
    for name, n in counts:
        total[name] = total.get(name, 0) + n
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
