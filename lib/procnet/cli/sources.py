"""`procnet sources`: list, show, check. None needs a lake, and only `check` needs Spark."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from datetime import datetime, timezone

from procnet.cli.options import Commands, settings_of, whole_number
from procnet.cli.output import print_result, print_table, printable, short_duration
from procnet.sources.check import Checked, Kind, check_source
from procnet.sources.mapping import known_sources, read_mapping
from procnet.sources.read import files_and_tables
from procnet.spark.session import SHORT_RUN, open_session

_RECORD_CHARACTERS = 1200  # of an example record
_SKIPPED_EVENTS = 8  # event ids that are listed one by one


def add_commands(commands: Commands) -> None:
    """Adds sources list, show, check."""
    actions = commands.group("sources", "Sources: readable formats, a check of your records.", "list|show|check")
    actions.add("list", _list)
    option = actions.add("show", _show)
    option("source", metavar="NAME_OR_FILE", help="name of a source, or a mapping file")
    option = actions.add("check", _check)
    option("source", metavar="NAME_OR_FILE", help="name of a source, or a mapping file")
    option("paths", nargs="+", metavar="TABLE_OR_PATH", help="raw table, or file, folder or glob of raw records")
    sample = "number of records to read (default: %(default)s)"
    option("--sample", type=whole_number(1), default=1000, metavar="N", help=sample)
    option("--host", metavar="HOST", help="host name for records that contain none (default: none)")


def _list(args: Namespace) -> None:
    """List all sources."""
    sources = [read_mapping(name) for name in known_sources()]
    value = {"sources": [{"name": s.name, "reads": s.reader, "description": s.description} for s in sources]}
    rows = [(s.name, s.reader, s.description) for s in sources]
    print_result(args, value, lambda: print_table(("source", "reads", "what"), rows))


def _show(args: Namespace) -> None:
    """Show one source: each canonical column, and the fields it is filled from."""
    source = read_mapping(args.source)
    events = source.all_events
    value = {
        "name": source.name,
        "description": source.description,
        "events": {n: {"kind": e.kind, "when": e.when, "columns": source.columns_of(e)} for n, e in events.items()},
    }

    def print_text() -> None:
        print_table(("", ""), [("source", source.name), ("reads", source.reader), ("what", source.description)])
        for name, event in events.items():
            rows = [("when", event.when), *((c, "  else  ".join(v)) for c, v in source.columns_of(event).items())]
            print_table(("column", "filled by"), rows, title=f"\n{name}: {event.kind}")

    print_result(args, value, print_text)


def _check(args: Namespace) -> int:
    """Read a sample of your records with a source, and report what to change in its mapping.

    Nothing is written.

    exit codes:
      0  some of the sample is usable
      3  none of it is
    """
    settings = settings_of(args)
    files_and_tables(read_mapping(args.source), args.paths)  # errors of usage, before a session is started
    spark = open_session({**SHORT_RUN, **settings.spark}, lake=settings.local_lake)
    now = datetime.now(timezone.utc)
    checked = check_source(spark, args.source, args.paths, sample=args.sample, host=args.host, now=now)
    print_result(args, checked.as_dict(), lambda: _print(checked))
    return 0 if checked.kinds else 3


def _print(checked: Checked) -> None:
    print_table(("a sample", "count"), _counts(checked))
    if checked.oldest is not None and checked.newest is not None and checked.delay is not None:
        more = ", ..." if checked.host_count > len(checked.hosts) else ""
        delay = short_duration(checked.delay)
        rows = [
            ("hosts", f"{checked.host_count}: {', '.join(map(printable, checked.hosts))}{more}"),
            ("times", f"{printable(checked.oldest)} to {printable(checked.newest)} UTC, the newest {delay} before now"),
            *((f"in place, {column}", how) for column, how in checked.in_place.items()),
        ]
        print_table(("", ""), rows)
    for kind in checked.kinds:
        _print_kind(kind)
    if checked.unusable:
        records = [(example_line(u.reason, u.file, u.line, u.beginning),) for u in checked.unusable]
        print_table(("",), records, title="\nrecords that gave no event, the first of each reason:")
    if checked.verdict:
        print_table(("",), [(f"- {v}",) for v in checked.verdict], title="\nwhat to change:")
    else:
        sys.stdout.write("\nnothing to change: ingest or read it as it is\n")


def example_line(reason: str, file: str | None, line: int | None, beginning: str) -> str:
    """An unusable record: the reason, its place, the beginning of its text. A table's rows have no line."""
    place = (file or "") if line is None else f"{file}:{line}"
    return f"- {reason}, {place}: {beginning}"


def _counts(checked: Checked) -> list[tuple[str, int]]:
    """(what, number of records) of the sample."""
    skipped = list(checked.skipped.items())
    counts = [("records read", checked.sample), *((k.table, k.events) for k in checked.kinds)]
    counts += [(f"skipped: event {event_id}", n) for event_id, n in skipped[:_SKIPPED_EVENTS]]
    if rest := skipped[_SKIPPED_EVENTS:]:
        counts.append((f"skipped: {len(rest)} more events", sum(n for _, n in rest)))
    return counts + [(f"quarantined: {reason}", n) for reason, n in checked.quarantined.items()]


def _print_kind(kind: Kind) -> None:
    empty = [column for column, share in kind.nulls.items() if share == 1]
    rows = [
        (column, value, f"{kind.nulls[column]:.0%}" if kind.nulls[column] else "")
        for column, value in kind.example.items()
        if column not in empty
    ]
    print_table(("column", "one of them", "null"), rows, title=f"\n{kind.table}: {kind.events}")
    if empty:
        print_table(("always null", ""), [(", ".join(empty), "")])
    print_table(("its record",), [(_shortened(kind.raw),)])


def _shortened(raw: str) -> str:
    """A raw record on one line, cut at `_RECORD_CHARACTERS`."""
    try:
        text = json.dumps(json.loads(raw), ensure_ascii=False)
    except ValueError:
        text = raw
    return text if len(text) <= _RECORD_CHARACTERS else f"{text[:_RECORD_CHARACTERS]} ... ({len(text)} characters)"
