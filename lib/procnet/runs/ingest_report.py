"""The report of an ingest: its counts for people, `--json` and the ledger, and what is wrong with it as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from procnet.runs.recorder import RunInProgress
from procnet.sources.mapping import NO_EVENT_IDS

# Share of the wanted records, above which quarantined ones are a fault of the ingest and not of some records. An
# unreadable text may be any record, so it is compared with all records.
FAULTY_SHARE = 0.1
MOST_FILES = 1000  # faulty files that are collected
_NAMED_FILES = 3  # faulty files that a message names


@dataclass(frozen=True)
class FaultyFile:
    """A file without any usable record, or of which too many records were quarantined (see FAULTY_SHARE).

    `usable` counts events and records of other events.
    """

    file: str  # `archive.zip!name` for a member of an archive
    records: int
    usable: int


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
    unreadable: int = 0  # quarantined texts that are no record of the source; the others are events that lack a value
    faulty_files: tuple[FaultyFile, ...] = ()  # at most `MOST_FILES`
    future: int = 0  # events later than now by more than a day
    newest: datetime | None = None  # event
    dns_events: int = 0
    flow_events: int = 0

    @classmethod
    def of_nothing(cls, source: str, known_files: int) -> IngestReport:
        """The report where an earlier ingest has read all files."""
        return cls(source, known_files, 0, 0, 0, 0, {}, 0, {}, {})

    def as_dict(self) -> dict[str, Any]:
        """Returns the report for `--json`."""
        return {**asdict(self), "fault": self.fault}

    @property
    def events(self) -> int:
        """Returns the number of usable events."""
        return self.process_events + self.network_events + self.dns_events + self.flow_events

    @property
    def usable(self) -> int:
        """Returns the number of events, and of records of other events that the source knows by their id."""
        skipped = sum(n for event_id, n in self.skipped.items() if event_id not in NO_EVENT_IDS)
        return self.events + skipped

    @property
    def unusable_files(self) -> list[FaultyFile]:
        """Returns the files of whose records none is usable."""
        return [f for f in self.faulty_files if not f.usable]

    @property
    def fault(self) -> str | None:
        """Returns what is wrong with the ingest as a whole; None if nothing is.

        It is at fault where nothing usable came of it or of one of its files, or where more than FAULTY_SHARE of the
        wanted records were quarantined. Records of other events are not wanted, and no fault.
        """
        if not self.read:
            return None if self.known_files else "nothing usable came in: there is no record in what was read"
        reasons = ", ".join(f"{reason} ({n})" for reason, n in list(self.quarantined.items())[:3])
        if not self.usable:
            why = reasons or "they are of another format"
            return f"nothing usable came in: of {self.read} records none is one of {self.source}: {why}"
        faults = []
        if files := self.unusable_files:
            names = ", ".join(f"{f.file} ({f.records} records)" for f in files[:_NAMED_FILES])
            more = ", ..." if files[_NAMED_FILES:] else ""
            faults.append(f"nothing usable came of {len(files)} files: {names}{more}")
        if self._too_many_quarantined:
            total = sum(self.quarantined.values())
            wanted = self.events + total
            faults.append(f"{total} of {wanted} wanted records were quarantined: {reasons}")
        return "; ".join(faults) or None

    @property
    def _too_many_quarantined(self) -> bool:
        lacking = sum(self.quarantined.values()) - self.unreadable
        wanted = self.events + lacking
        return lacking > FAULTY_SHARE * wanted or self.unreadable > FAULTY_SHARE * self.read

    def finished_files(self, digests: Mapping[str, str]) -> dict[str, str]:
        """Returns the files (of file -> digest) that need not be read again: the others are left out of the ledger.

        A file of which nothing usable came is read by the next ingest too, and reported again. Where too many records
        were quarantined, this is so for every file with too many.
        """
        if len(self.faulty_files) >= MOST_FILES:
            return {}
        again = self.faulty_files if self._too_many_quarantined else self.unusable_files
        names = {f.file for f in again} | {f.file[:i] for f in again for i, c in enumerate(f.file) if c == "!"}
        return {file: digest for file, digest in digests.items() if file not in names}

    def totals(self) -> dict[str, int]:
        """Returns the counts for the ledger."""
        return {
            "known_files": self.known_files,
            "records": self.read,
            "process_events": self.process_events,
            "network_events": self.network_events,
            "dns_events": self.dns_events,
            "flow_events": self.flow_events,
            "without_key": self.no_key,
            "duplicates": self.duplicates,
            "quarantined": sum(self.quarantined.values()),
            "skipped": sum(self.skipped.values()),
            "unusable_files": len(self.unusable_files),
            "future": self.future,
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
            ("dns events", self.dns_events),
            ("flow events", self.flow_events),
            ("events without process id and guid", self.no_key),
            ("events that were there already", self.duplicates),
            (
                f"events later than now by more than a day, up to {self.newest:%Y-%m-%d}" if self.newest else "",
                self.future,
            ),
            *((f"quarantined: {reason}", n) for reason, n in self.quarantined.items()),
            *((f"skipped: event {event_id}", n) for event_id, n in self.skipped.items()),
        ]
        if self.known_files and not self.read:
            return [(what, n) for what, n in if_any if n][:1]
        none = {t for t, n in (("dns_events", self.dns_events), ("flow_events", self.flow_events)) if not n}
        added = [(f"new rows in {table}", n) for table, n in self.new.items() if table not in none]
        return [*always, *((what, n) for what, n in if_any if n), *added]


def record_ingest(attempt: RunInProgress, report: IngestReport, digests: Mapping[str, str]) -> None:
    """Appends the ingest to the ledger: as failed where records were read and none was usable."""
    if report.read and not report.usable:
        attempt.failed(report.fault or "", counts=report.totals())
        return
    status = "succeeded" if report.read else "nothing_to_read"
    attempt.succeeded(status, counts=report.totals(), inputs=report.finished_files(digests))
