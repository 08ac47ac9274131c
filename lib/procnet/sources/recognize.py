"""Finds the shipped source that reads some files: the mappings themselves read a sample, and the best one wins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.errors import DataError
from procnet.readers.archives import damage, members
from procnet.readers.formats import SUFFIXES, read_records
from procnet.readers.record import RAW_SCHEMA
from procnet.sources.alternatives import EVENT, event_number, raw_values
from procnet.sources.mapping import NO_EVENT_IDS, SourceMapping, known_sources, read_mapping
from procnet.sources.parse_records import parse_records, with_given

_FILES, _RECORDS = 3, 200  # of the sample: files, records of each
_CANDIDATES = 5  # mappings that read the sample: each takes about a second
_ALL_SUFFIXES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
_EVTX, _UTF_16 = b"ElfFile\0", (b"\xff\xfe", b"\xfe\xff")
_HEAD = 4096  # bytes by which a format is recognized


@dataclass(frozen=True)
class LikelySource:
    """A source that reads a sample: the number of records that are events of it, and of other events that it knows."""

    name: str
    sample: int
    events: int
    other: int

    def __str__(self) -> str:
        found = f"{self.events} events" if self.events else f"only other events ({self.other})"
        return f"{self.name} reads these records: {found} in the first {self.sample}"


def likely_source(spark: SparkSession, files: Sequence[str], host: str | None = None) -> LikelySource | None:
    """Returns the shipped source that makes most events of the first records of some files; None if none knows them.

    A name may be that of an archive's member (`archive.zip!name`). Where no source makes an event, the one that knows
    most event ids is returned. Files of another format than the first one, and unreadable ones, are left out.
    """
    paths = list(dict.fromkeys(file.partition("!")[0] for file in files))[:_FILES]
    formats = {path: found for path in paths if (found := content_format(path)) is not None}
    if not formats:
        return None
    file_format = next(iter(formats.values()))
    try:
        records = [r for path, found in formats.items() if found == file_format for r in _sample(path, file_format)]
    except DataError:  # the package that reads EVTX is missing: the format names the source
        return LikelySource(file_format, 0, 0, 0)
    if not records:
        return None
    raw = spark.createDataFrame(records, RAW_SCHEMA).coalesce(1)
    candidates = _candidates(file_format, [text for _, _, text, _ in records])
    fits = [LikelySource(source.name, len(records), *_fit(raw, source, host)) for source in candidates]
    best = max(fits, key=lambda fit: (fit.events, fit.other), default=None)  # the first of equals
    return best if best and best.events + best.other else None


def content_format(path: str) -> str | None:
    """Returns the format of a file, or of an archive's first member, by its first bytes: a key of formats.SUFFIXES.

    None for other content, and for a file that cannot be read.
    """
    head = b""
    try:
        for member in members(path, _ALL_SUFFIXES):  # only the first: a stream is valid until the next is requested
            head = member.stream.peek(_HEAD)[:_HEAD]
            break
    except Exception as e:
        if damage(e) is None:
            raise
        return None
    if head.startswith(_EVTX):
        return "evtx"
    text = head.decode("utf-16" if head.startswith(_UTF_16) else "utf-8-sig", "replace").lstrip()
    if text.startswith("<"):
        return "xml"
    if text.startswith(("{", "[")):
        return "json"
    first_line = text.partition("\n")[0].strip()
    return "csv" if first_line.isprintable() and re.search(r"[,;\t]", first_line) else None


def _sample(path: str, file_format: str) -> Iterator[tuple[str, int, str, str | None]]:
    for file, (line, text, problem) in islice(read_records(path, file_format), _RECORDS):
        yield file, line, text, problem


def _candidates(file_format: str, texts: Sequence[str]) -> list[SourceMapping]:
    """Returns the mappings that can read the format; of JSON and CSV, those that use most of the records' keys."""
    sources = [read_mapping(name) for name in known_sources()]
    if file_format not in ("json", "csv"):
        return [s for s in sources if s.reader == file_format]
    keys = {word for text in texts for key in _keys(text) for word in _words(key)}
    known = {s.name: len(keys & _all_words(s)) for s in sources if s.reader in (file_format, "table")}
    most = sorted((s for s in sources if known.get(s.name)), key=lambda s: -known[s.name])
    return most[:_CANDIDATES]


def _keys(text: str) -> list[str]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return list(record) if isinstance(record, dict) else []


def _all_words(source: SourceMapping) -> set[str]:
    """Returns all words of a mapping, among them the fields of records that it reads."""
    return _words(source.model_dump_json() + source.shared.model_dump_json())


def _words(text: str) -> set[str]:
    """Returns the words of a text in lower case; `id.orig_h` is two."""
    return set(re.findall(r"[@\w]+", text.lower()))


def _fit(raw: DataFrame, source: SourceMapping, host: str | None) -> tuple[int, int]:
    """Returns the number of records that are events of a source and have a time, and of other events that it knows.

    Only the conditions, the time and the event id are evaluated: canonical rows would take ten times as long.
    """
    events = list(source.all_events.values())
    frame = with_given(parse_records(raw, source, host), source).withColumn(EVENT, event_number(events))
    time = F.coalesce(*(value.cast("string") for value in raw_values(source, events)["event_time"].values()))
    is_event = F.col(EVENT).isNotNull()
    rows = frame.select(is_event, (is_event & time.isNotNull()), F.expr(source.event_id).cast("string")).collect()
    other = sum(not event and (event_id or "none") not in NO_EVENT_IDS for event, _, event_id in rows)
    return sum(usable for _, usable, _ in rows), other
