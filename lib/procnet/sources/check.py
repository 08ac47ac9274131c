"""Checks a source's mapping against a sample of raw records, and reports what to change in the mapping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import EVENT_TABLES, REQUIRED_EVENT_TABLES, TABLE_OF_KIND, TABLES
from procnet.periods import as_utc
from procnet.sources.mapping import NOT_MAPPED, SourceMapping
from procnet.sources.normalize import normalize
from procnet.sources.read import files_and_tables, read_raw
from procnet.sources.recognize import LikelySource, likely_source
from procnet.sources.validate import load_source
from procnet.spark.sql import column as quoted

_TEXT = "text of the record"
_REPORTED_SHARE = 0.05  # of the events of a table; missing values above it are reported
_FAULTY_SHARE = 0.1  # of the sample; if more of it cannot be used, other sources are tried
_BEGINNING = 200  # characters of an unusable record


@dataclass(frozen=True)
class Kind:
    """The events of one canonical table in a sample.

    without_key: events with neither process_id nor process_guid; 0 of flows. nulls: share of nulls by column.
    example, raw: the event with the fewest nulls, and the record that it comes from.
    """

    table: str
    events: int
    without_key: int
    nulls: Mapping[str, float]
    example: Mapping[str, Any]
    raw: str


@dataclass(frozen=True)
class Unusable:
    """The first record of the sample that gave no event for this reason: its place, and the beginning of its text."""

    reason: str
    file: str | None
    line: int | None
    beginning: str


@dataclass(frozen=True)
class Checked:
    """The result of a check.

    sample: records read. skipped: records of other events by event id. quarantined: unusable records by reason.
    hosts: at most five names; `host_count` counts all. delay: from the newest event to now.
    in_place: for a table, column -> whether predicates on it reach the table's files, and why not.
    verdict: what to change in the mapping; empty if nothing.
    unusable: one record for each reason of `quarantined`; where the sample has no event at all, a skipped one too.
    likely: another shipped source that reads the records, looked for where much of the sample cannot be used.
    """

    source: str
    sample: int
    kinds: tuple[Kind, ...]
    skipped: Mapping[str, int]
    quarantined: Mapping[str, int]
    hosts: tuple[str, ...]
    host_count: int
    oldest: datetime | None
    newest: datetime | None
    delay: timedelta | None
    in_place: Mapping[str, str]
    verdict: tuple[str, ...]
    unusable: tuple[Unusable, ...] = ()
    likely: LikelySource | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns the result for `--json`; `delay` is in seconds."""
        return {**asdict(self), "delay": self.delay.total_seconds() if self.delay is not None else None}


def check_source(
    spark: SparkSession,
    name: str | Path,
    paths: Sequence[str | Path],
    *,
    sample: int = 1000,
    host: str | None = None,
    now: datetime,
) -> Checked:
    """Returns the result of reading up to `sample` records of files or tables with a source.

    SourceError for an unknown or invalid source, DataError for a path that does not exist.
    """
    source = load_source(name)
    raw = read_raw(spark, source, paths, sample=sample)
    # The sample is collected once, so that each canonical row stands beside the record that it comes from.
    sampled = raw.withColumn(_TEXT, _text(raw)).toArrow()
    texts: list[str] = sampled[_TEXT].to_pylist()
    frame = spark.createDataFrame(sampled.drop_columns([_TEXT]), raw.schema)
    records = normalize(frame, source, host=host, ingest_time=now).records.collect()
    rows = [{**r.asDict(), "text": text} for r, text in zip(records, texts, strict=True)]
    events = [r for r in rows if r["reason"] is None and r["event"] is not None]
    times = sorted(as_utc(r["event_time"]) for r in events)
    hosts = sorted({r["host"] for r in events if r["host"] is not None})
    checked = Checked(
        source=source.name,
        sample=len(rows),
        kinds=tuple(_kind(t, of_table) for t in EVENT_TABLES if (of_table := _events_of(t, events))),
        skipped=_counts(r["event_id"] or "none" for r in rows if r["reason"] is None and r["event"] is None),
        quarantined=_counts(r["reason"] for r in rows if r["reason"] is not None),
        hosts=tuple(hosts[:5]),
        host_count=len(hosts),
        oldest=times[0] if times else None,
        newest=times[-1] if times else None,
        delay=now - times[-1] if times else None,
        in_place=_in_place(raw, source) if source.reader == "table" else {},
        verdict=(),
        unusable=tuple(_unusable_records(rows, without_events=not events)),
    )
    files, _ = files_and_tables(source, paths)
    if files and (not events or sum(checked.quarantined.values()) > _FAULTY_SHARE * len(rows)):
        files = [u.file for u in checked.unusable if u.file] or files
        likely = likely_source(spark, files, host)
        checked = replace(checked, likely=likely if likely and likely.name != source.name else None)
    return replace(checked, verdict=tuple(_verdict(checked)))


def _unusable_records(rows: list[dict[str, Any]], *, without_events: bool) -> Iterator[Unusable]:
    """Yields the first record of each reason, with skipped records as one reason if there are no events."""
    seen = set()
    for r in rows:
        is_skipped = r["reason"] is None and r["event"] is None and without_events
        reason = "another event" if is_skipped else r["reason"]
        if reason is not None and reason not in seen:
            seen.add(reason)
            yield Unusable(reason, r["file"], r["line"], " ".join(r["text"][: 2 * _BEGINNING].split())[:_BEGINNING])


def _events_of(table: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r for r in events if TABLE_OF_KIND[r["event_kind"]] == table]


def _kind(table: str, events: list[dict[str, Any]]) -> Kind:
    schema, _ = TABLES[table]
    has_process = "process_id" in schema.names
    columns = [c for c in schema.names if c not in NOT_MAPPED]
    example = max(events, key=lambda r: sum(r[c] is not None for c in columns))
    return Kind(
        table=table,
        events=len(events),
        without_key=has_process * sum(r["process_id"] is None and r["process_guid"] is None for r in events),
        nulls={c: round(sum(r[c] is None for r in events) / len(events), 4) for c in columns},
        example={c: example[c] for c in columns},
        raw=example["text"],
    )


def _text(raw: DataFrame) -> Column:
    """Returns a raw record as text: the text of a file's record, or a table's row as JSON without nulls."""
    if "problem" in raw.columns:
        return F.coalesce("raw", F.lit(""))
    columns = [F.col(quoted(c)) for c in raw.columns if c != "file"]
    return F.to_json(F.struct(*columns), {"ignoreNullFields": "true"})


def _counts(keys: Iterable[str]) -> dict[str, int]:
    """Returns the number of occurrences of each key, most frequent first."""
    return dict(Counter(keys).most_common())


def _in_place(raw: DataFrame, source: SourceMapping) -> dict[str, str]:
    """Returns, by column, whether predicates reach the files of a table that is read in place (see view.py)."""
    types = {f.name.lower(): f.dataType for f in raw.schema}
    result = {}
    for column in ("event_time", "host", "process_name", "dest_port"):
        texts = next((c[column] for e in source.all_events.values() if column in (c := source.columns_of(e))), ())
        raw_columns = [types[x.lower()] for x in texts if x.lower() in types]
        if len(raw_columns) != 1:
            result[column] = "no: it is not one column of the table"
        elif column == "event_time":
            is_time = isinstance(raw_columns[0], T.TimestampType)
            result[column] = "yes" if is_time else f"no: it is {raw_columns[0].simpleString()}, not timestamp"
        elif column in source.as_is:
            result[column] = "yes"
        else:
            result[column] = f"only with as_is: [{column}], if the table has it in canonical spelling"
    return result


def _verdict(c: Checked) -> list[str]:
    """Returns one sentence for each thing to change."""
    if not c.sample:
        return ["there are no records"]
    if not c.kinds:
        return [_no_events(c)]
    return [*_unusable(c), *_absent_tables(c), *_missing_values(c), *_times(c)]


def _no_events(c: Checked) -> str:
    skipped = ", ".join(f"{i} ({n})" for i, n in list(c.skipped.items())[:5])
    reasons = ", ".join(f"{r} ({n})" for r, n in list(c.quarantined.items())[:3])
    found = "; ".join(x for x in (skipped and f"other events: {skipped}", reasons) if x)
    remedy = str(c.likely) if c.likely else "Use another source, or change `when` under events"
    return f"no record is an event of {c.source}: {found}. {remedy}"


def _unusable(c: Checked) -> Iterator[str]:
    for reason, n in c.quarantined.items():
        yield f"{n} of {c.sample} records cannot be used: {reason}. {_REMEDIES.get(reason, '')}".rstrip()
    if c.likely:
        yield f"another source may fit: {c.likely}"


def _absent_tables(c: Checked) -> Iterator[str]:
    tables = {k.table for k in c.kinds}
    if tables.isdisjoint(REQUIRED_EVENT_TABLES):
        what = " and ".join(_OTHER_EVENTS[t] for t in EVENT_TABLES if t in tables)
        yield f"only {what} in the sample: they add to connections of other records, and give no findings without them"
        return
    for table, what in (("process_events", "starts"), ("network_events", "connections")):
        if table not in tables:
            yield f"no {what} in the sample: read more (--sample), or look at the `when` of these events"


def _missing_values(c: Checked) -> Iterator[str]:
    for k in c.kinds:
        if k.table in REQUIRED_EVENT_TABLES and k.without_key > _REPORTED_SHARE * k.events:
            share = f"{k.without_key / k.events:.0%} of {k.table}"
            yield f"{share} have neither process_id nor process_guid and cannot be attributed: map one of them"
    tables = {k.table: k.nulls for k in c.kinds}
    if (starts := tables.get("process_events")) and starts["process_name"] > _REPORTED_SHARE:
        yield f"{starts['process_name']:.0%} of process_events have no process_name: map it or process_path"
    if connections := tables.get("network_events"):
        if min(connections["dest_ip"], connections["dest_host"]) > _REPORTED_SHARE:
            yield f"{connections['dest_ip']:.0%} of network_events have no dest_ip: map it, or dest_host"
        if connections["dest_port"] > _REPORTED_SHARE:
            yield f"{connections['dest_port']:.0%} of network_events have no dest_port: detections miss them"
    if queries := tables.get("dns_events"):
        if queries["query_name"] > _REPORTED_SHARE:
            yield f"{queries['query_name']:.0%} of dns_events have no query_name: map it"
        if queries["answers"] == 1:
            yield "no dns_events have answers: they name no destination; map answers"
    if flows := tables.get("flow_events"):
        without_port = max(flows["src_port"], flows["dest_port"])
        if without_port > _REPORTED_SHARE:
            yield f"{without_port:.0%} of flow_events have no src_port or dest_port: they match no connection"


def _times(c: Checked) -> Iterator[str]:
    if c.delay is not None and c.delay < timedelta(minutes=-5):
        yield f"the newest event is {-c.delay} ahead of now: a clock or a time zone is wrong (clock_ahead)"
    if c.in_place and c.in_place["event_time"] != "yes":
        yield f"read in place, a window reads all files: event_time {c.in_place['event_time'][4:]}"


_OTHER_EVENTS = {"dns_events": "DNS queries", "flow_events": "flows"}
_REMEDIES = {
    "no time": "Look at event_time: which column is the record's time, and how is it spelled?",
    "time out of range": "Look at event_time: the clock of the sensor, or the unit of the number, is wrong",
    "no host": "--host NAME gives one to records that name none; or map host",
    "no src_ip or dest_ip": "A flow needs both addresses: map them, or leave such records out by `when`",
    "process_id is no number": "Look at process_id: it takes decimal and 0x hexadecimal",
    "dest_port is no number": "Look at dest_port",
    "no JSON": "The records are of another format; or lines are cut",
    "no XML": "The records are of another format; or events are cut",
}
