"""Counts the records of an ingest, for its report and the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


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


@dataclass(frozen=True)
class Group:
    """Records with the same kind, event id, quarantine reason and UTC date."""

    kind: str | None  # start, end or network; None for a skipped event
    event_id: str | None  # of a skipped event only
    reason: str | None  # of a quarantined record only
    day: date | None
    records: int
    no_key: int


@dataclass(frozen=True)
class RecordCounts:
    """Counts of the records of an ingest."""

    groups: list[Group]

    def events(self, *kinds: str) -> int:
        """Returns the number of usable events of these kinds."""
        return sum(g.records for g in self.groups if g.reason is None and g.kind in kinds)

    def dates(self, *kinds: str) -> list[date]:
        """Returns the UTC dates of these events, in order."""
        return sorted({g.day for g in self.groups if g.reason is None and g.kind in kinds and g.day})

    def quarantined(self) -> dict[str, int]:
        """Returns reason -> quarantined records, the most frequent first."""
        return _summed((g.reason, g.records) for g in self.groups if g.reason is not None)

    def skipped(self) -> dict[str, int]:
        """Returns event id -> records that the source does not map, the most frequent first."""
        return _summed((g.event_id or "none", g.records) for g in self.groups if g.reason is None and g.kind is None)

    def report(self, source: str, known_files: int, new: dict[str, int]) -> IngestReport:
        """Returns the report of an ingest that added `new` rows by table."""
        process_events, network_events = self.events("start", "end"), self.events("network")
        return IngestReport(
            source=source,
            known_files=known_files,
            read=sum(g.records for g in self.groups),
            process_events=process_events,
            network_events=network_events,
            no_key=sum(g.no_key for g in self.groups),
            new=new,
            duplicates=process_events + network_events - new["process_events"] - new["network_events"],
            skipped=self.skipped(),
            quarantined=self.quarantined(),
        )


def count_records(records: DataFrame) -> RecordCounts:
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
    return RecordCounts([Group(*row) for row in groups.collect()])


def _summed(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Returns the sum by name, the largest first."""
    total: dict[str, int] = {}
    for name, n in counts:
        total[name] = total.get(name, 0) + n
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
