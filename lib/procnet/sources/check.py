"""A sample of raw records through a source's mapping, and what a person who writes one must know of the outcome."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from procnet.contract import TABLES
from procnet.periods import as_utc
from procnet.sources.mapping import MADE, SourceMapping
from procnet.sources.normalize import normalize
from procnet.sources.read import read_raw
from procnet.sources.validate import load_source

_FEW = 0.05  # of the events; above it a lack is worth a word


@dataclass(frozen=True)
class Kind:
    """Events of one canonical table of a sample: number, share of nulls by column, one of them and its raw text."""

    table: str
    events: int
    without_key: int
    nulls: Mapping[str, float]
    example: Mapping[str, Any]
    raw: str


@dataclass(frozen=True)
class Checked:
    """What became of a sample of records, and what to change; `verdict` is empty where nothing is."""

    source: str
    sample: int
    kinds: tuple[Kind, ...]
    skipped: Mapping[str, int]
    quarantined: Mapping[str, int]
    hosts: tuple[str, ...]
    host_count: int
    oldest: datetime | None
    newest: datetime | None
    delay: timedelta | None  # from the newest event to now
    in_place: Mapping[str, str]  # of a table: column whose predicates reach the files -> how, or why not
    verdict: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
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
    """Read up to `sample` records of files or tables as a source. SourceError for the mapping, DataError for a path."""
    source = load_source(name)
    raw = read_raw(spark, source, paths, sample=sample)
    # The sample is taken once, so that each canonical row can be shown beside the record that it comes from.
    taken = raw.toArrow()
    texts = [_text(r) for r in taken.to_pylist()]
    local = spark.createDataFrame(taken, raw.schema)
    told = normalize(local, source, host=host, ingest_time=now).records.collect()
    rows = [{**r.asDict(), "whole": text} for r, text in zip(told, texts, strict=True)]
    used = [r for r in rows if r["reason"] is None and r["event"] is not None]
    kinds = tuple(k for t in ("process_events", "network_events") if (k := _kind(t, used)) is not None)
    times = sorted(as_utc(r["event_time"]) for r in used)
    hosts = sorted({r["host"] for r in used})
    in_place = _in_place(raw, source) if source.reader == "table" else {}
    checked = Checked(
        source=source.name,
        sample=len(rows),
        kinds=kinds,
        skipped=_counted(r["event_id"] or "none" for r in rows if r["reason"] is None and r["event"] is None),
        quarantined=_counted(r["reason"] for r in rows if r["reason"] is not None),
        hosts=tuple(hosts[:5]),
        host_count=len(hosts),
        oldest=times[0] if times else None,
        newest=times[-1] if times else None,
        delay=now - times[-1] if times else None,
        in_place=in_place,
        verdict=(),
    )
    return replace(checked, verdict=tuple(_verdict(checked)))


def _kind(table: str, used: list[dict[str, Any]]) -> Kind | None:
    schema, _ = TABLES[table]
    of_it = [r for r in used if (r["event_kind"] == "network") == (table == "network_events")]
    if not of_it:
        return None
    columns = [c for c in schema.names if c not in MADE]
    nulls = {c: round(sum(r[c] is None for r in of_it) / len(of_it), 4) for c in columns}
    # The fullest one shows most of the mapping.
    best = max(of_it, key=lambda r: sum(r[c] is not None for c in columns))
    return Kind(
        table,
        len(of_it),
        sum(r["process_id"] is None and r["process_guid"] is None for r in of_it),
        nulls,
        {c: best[c] for c in columns},
        best["whole"],
    )


def _text(row: dict[str, Any]) -> str:
    """A raw record as text: as it was read, or a table's row without what is null."""
    if "problem" in row:
        return str(row["raw"])
    return json.dumps({k: v for k, v in row.items() if v is not None and k != "file"}, default=str, ensure_ascii=False)


def _counted(keys: Iterable[str]) -> dict[str, int]:
    return dict(Counter(keys).most_common())


def _in_place(raw: DataFrame, source: SourceMapping) -> dict[str, str]:
    """Which predicates reach the files of a table that is read in place (see view.py)."""
    there = {f.name.lower(): f.dataType for f in raw.schema}
    told = {}
    for column in ("event_time", "host", "process_name", "dest_port"):
        asked = next((c[column] for e in source.all_events.values() if column in (c := source.columns_of(e))), ())
        bare = [there[x.lower()] for x in asked if x.lower() in there]
        if len(bare) != 1:
            told[column] = "no: it is not one column of the table"
        elif column == "event_time":
            typed = isinstance(bare[0], T.TimestampType)
            told[column] = "yes" if typed else f"no: it is {bare[0].simpleString()}, not timestamp"
        else:
            told[column] = "yes" if column in source.as_is else f"only with as_is: [{column}], if it is in its spelling"
    return told


def _verdict(c: Checked) -> list[str]:
    events = sum(k.events for k in c.kinds)
    if not c.sample:
        return ["there are no records"]
    if not events:
        skipped = ", ".join(f"{i} ({n})" for i, n in list(c.skipped.items())[:5])
        reasons = ", ".join(f"{r} ({n})" for r, n in list(c.quarantined.items())[:3])
        seen = "; ".join(x for x in (skipped and f"other events: {skipped}", reasons) if x)
        return [f"no record is an event of {c.source}: {seen}. Another source, or another `when` under events"]
    said = []
    for reason, n in c.quarantined.items():
        said.append(f"{n} of {c.sample} records cannot be used: {reason}. {_CURES.get(reason, '')}".rstrip())
    tables = {k.table: k for k in c.kinds}
    for table, what in (("process_events", "starts"), ("network_events", "connections")):
        if table not in tables:
            said.append(f"no {what} in the sample: read more (--sample), or look at the `when` of these events")
    starts, connections = tables.get("process_events"), tables.get("network_events")
    for k in c.kinds:
        if k.without_key > _FEW * k.events:
            share = f"{k.without_key / k.events:.0%} of {k.table}"
            said.append(f"{share} have neither process_id nor process_guid: no process can be told. Map one of them")
    if starts and starts.nulls["process_name"] > _FEW:
        said.append(
            f"{starts.nulls['process_name']:.0%} of process_events have no process_name: map it or process_path"
        )
    if connections and min(connections.nulls["dest_ip"], connections.nulls["dest_host"]) > _FEW:
        said.append(f"{connections.nulls['dest_ip']:.0%} of network_events have no dest_ip: map it, or dest_host")
    if connections and connections.nulls["dest_port"] > _FEW:
        said.append(f"{connections.nulls['dest_port']:.0%} of network_events have no dest_port: detections miss them")
    if c.delay is not None and c.delay < timedelta(minutes=-5):
        said.append(f"the newest event is {-c.delay} ahead of now: a clock or a time zone is wrong (clock_ahead)")
    if c.in_place and c.in_place["event_time"] != "yes":
        said.append(f"read in place, a window reads all files: event_time {c.in_place['event_time'][4:]}")
    return said


_CURES = {
    "no time": "Look at event_time: which column is the record's time, and how is it spelled?",
    "no host": "--host NAME gives one to records that name none; or map host",
    "process_id is no number": "Look at process_id: it takes decimal and 0x hexadecimal",
    "dest_port is no number": "Look at dest_port",
    "no JSON": "The records are of another format; or lines are cut",
    "no XML": "The records are of another format; or events are cut",
}
