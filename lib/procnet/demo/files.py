"""The files of the made-up fleet: gzip'ed JSON lines. The same records give the same bytes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

from procnet.demo.names import Query
from procnet.demo.scene import Entry
from procnet.demo.sensor import Flow, conn_record, ssl_record
from procnet.demo.sysmon import HOUR, Raw, moment, sysmon_query

_HOURS_PER_FILE = 12
_LATE_SHARE = 0.01
encode = json.JSONEncoder(separators=(",", ":")).encode


class FleetFiles:
    """The files of a fleet.

    Of the endpoints one for each twelve hours, one for DNS queries and one for late records; of the network sensor its
    two logs, in the folder `zeek`.
    """

    def __init__(self, folder: Path, begin: int, hours: int) -> None:
        (folder / "zeek").mkdir(parents=True, exist_ok=True)
        cuts = [begin + h * HOUR for h in range(0, hours, _HOURS_PER_FILE)]
        day = f"{moment(begin):%Y%m%d}"
        self._begin, self._last = begin, len(cuts) - 1
        self._events = [_LineFile(folder / f"events-{moment(c):%Y%m%dT%H}.jsonl.gz") for c in cuts]
        self._queries = _LineFile(folder / f"dns-{day}.jsonl.gz")
        self._late = _LineFile(folder / f"late-{day}.jsonl.gz")
        self._conn, self._ssl = (_LineFile(folder / "zeek" / f"{log}-{day}.log.gz") for log in ("conn", "ssl"))
        self.counts: Counter[str] = Counter()

    def write(self, entries: list[Entry], rng: Random) -> None:
        """Writes one machine's records, numbered in order of time, in random order within each file."""
        entries.sort(key=lambda e: e.at)
        files = [*self._events, self._late]
        parts: list[list[str]] = [[] for _ in files]
        for number, entry in enumerate(entries, start=1):
            late = entry.late or rng.random() < _LATE_SHARE
            at = max(0, (entry.at - self._begin) // (_HOURS_PER_FILE * HOUR))
            lines = parts[-1 if late else min(at, self._last)]
            lines.extend([encode(entry.record | {"RecordNumber": number})] * entry.copies)
            self._count(entry, late)
        for file, lines in zip(files, parts, strict=True):
            rng.shuffle(lines)
            file.write(lines)

    def write_queries(self, queries: list[Query], rng: Random, first: int) -> None:
        """Writes one machine's DNS queries, numbered from `first` in order of time, in random order."""
        queries.sort(key=lambda q: q.at)
        records = (sysmon_query(q.process, q.at, q.remote, q.lag) for q in queries)
        lines = [encode(record | {"RecordNumber": n}) for n, record in enumerate(records, first)]
        rng.shuffle(lines)
        self._queries.write(lines)
        self.counts.update({"lines": len(lines), "dns_events": len(lines), "event id 22": len(lines)})

    def write_flows(self, flows: list[Flow], rng: Random) -> None:
        """Writes what the network sensor recorded of flows: each in conn.log, those of TLS in ssl.log too."""
        conn: list[Raw] = [conn_record(f, rng) for f in flows]
        ssl: list[Raw] = [ssl_record(f) for f in flows if f.connection.remote.port == 443]
        self._conn.write(map(encode, conn))
        self._ssl.write(map(encode, ssl))
        self.counts["flow_events"] += len(conn) + len(ssl)

    def write_unusable(self, line: str) -> None:
        """Writes a line that is no usable record."""
        self._events[0].write([line])
        self.counts.update(lines=1, quarantined=1)

    def close(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Closes the files and returns their paths: of the endpoints, in the order in which to ingest them, and of the
        network sensor."""
        endpoints = tuple(f.close() for f in (*self._events, self._queries, self._late))
        return endpoints, (self._conn.close(), self._ssl.close())

    def _count(self, entry: Entry, late: bool) -> None:
        table = "network_events" if entry.record["EventID"] == 3 else "process_events"
        self.counts[table] += 1
        self.counts["lines"] += entry.copies
        self.counts["duplicates"] += entry.copies - 1
        self.counts["late"] += entry.copies if late else 0
        self.counts[f"event id {entry.record['EventID']}"] += entry.copies


class _LineFile:
    """A new gzip file of lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # No file name and no time in the header: the same lines are the same bytes.
        self._raw = path.open("wb")
        self._stream = gzip.GzipFile("", "wb", 3, self._raw, mtime=0)

    def write(self, lines: Iterable[str]) -> None:
        self._stream.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> Path:
        self._stream.close()
        self._raw.close()
        return self._path
