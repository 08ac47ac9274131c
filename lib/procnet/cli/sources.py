"""Commands on sources: list, show, check. Only `check` starts Spark, and none needs a lake."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from procnet.cli.options import settings_of
from procnet.cli.output import age, print_json, print_table, shown
from procnet.errors import UsageError
from procnet.sources.mapping import known_sources, read_mapping

if TYPE_CHECKING:
    from procnet.sources.check import Checked, Kind

_RAW_CHARS = 1200


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """sources list, show, check."""
    top = commands.add_parser("sources", help="the formats that can be read, and a check of one on your records")
    what = top.add_subparsers(dest="what", required=True, metavar="list|show|check")

    listing = what.add_parser("list", parents=[common], help="all sources")
    listing.set_defaults(answer=_list)

    show = what.add_parser("show", parents=[common], help="one source: canonical column, and what fills it")
    show.add_argument("source", metavar="NAME_OR_FILE")
    show.set_defaults(answer=_show)

    check = what.add_parser("check", parents=[common], help="read a sample, and say what to change")
    check.add_argument("source", metavar="NAME_OR_FILE")
    check.add_argument("paths", nargs="+", metavar="TABLE_OR_PATH")
    check.add_argument("--sample", type=int, default=1000, metavar="N", help="records to read (default 1000)")
    check.add_argument("--host", help="host of records that name none")
    check.set_defaults(answer=_check)


def _list(args: Namespace) -> None:
    sources = [read_mapping(name) for name in known_sources()]
    if args.json:
        print_json({"sources": [{"name": s.name, "reads": s.reader, "description": s.description} for s in sources]})
    else:
        print_table(("source", "reads", "what"), [(s.name, s.reader, s.description) for s in sources])


def _show(args: Namespace) -> None:
    source = read_mapping(args.source)
    events = source.all_events.items()
    if args.json:
        told = {n: {"kind": e.kind, "when": e.when, "columns": source.columns_of(e)} for n, e in events}
        print_json({"name": source.name, "description": source.description, "events": told})
        return
    print_table(("", ""), [("source", source.name), ("reads", source.reader), ("what", source.description)])
    for name, event in events:
        rows = [("when", event.when), *((c, "  else  ".join(v)) for c, v in source.columns_of(event).items())]
        print_table(("column", "filled by"), rows, title=f"\n{name}: {event.kind}")


def _check(args: Namespace) -> int:
    from procnet.sources.check import check_source
    from procnet.spark.session import SHORT_RUN, open_session

    settings = settings_of(args)
    if args.sample < 1:
        raise UsageError(f"--sample {args.sample}: at least 1 record", hint="--sample 1000")
    spark = open_session({**SHORT_RUN, **settings.spark}, lake=settings.lake)
    now = datetime.now(timezone.utc)
    checked = check_source(spark, args.source, args.paths, sample=args.sample, host=args.host, now=now)
    if args.json:
        print_json(checked.as_dict())
    else:
        _print(checked)
    return 3 if checked.sample and not checked.kinds else 0


def _print(c: Checked) -> None:
    counts = [("records read", c.sample), *((f"{k.table}", k.events) for k in c.kinds)]
    counts += [(f"skipped: event {i}", n) for i, n in list(c.skipped.items())[:8]]
    if len(c.skipped) > 8:
        counts.append((f"skipped: {len(c.skipped) - 8} more events", sum(list(c.skipped.values())[8:])))
    counts += [(f"quarantined: {r}", n) for r, n in c.quarantined.items()]
    print_table(("a sample", "count"), counts)
    if c.oldest is not None and c.newest is not None and c.delay is not None:
        told = [
            (
                "hosts",
                f"{c.host_count}: {', '.join(map(shown, c.hosts))}{', ...' if c.host_count > len(c.hosts) else ''}",
            ),
            ("times", f"{shown(c.oldest)} to {shown(c.newest)} UTC, the newest {age(c.delay)} before now"),
            *((f"in place, {column}", how) for column, how in c.in_place.items()),
        ]
        print_table(("", ""), told)
    for kind in c.kinds:
        _print_kind(kind)
    if c.verdict:
        print_table(("",), [(f"- {v}",) for v in c.verdict], title="\nwhat to change:")
    else:
        sys.stdout.write("\nnothing to change: ingest or read it as it is\n")


def _print_kind(kind: Kind) -> None:
    empty = [c for c, share in kind.nulls.items() if share == 1]
    rows = [(c, v, f"{kind.nulls[c]:.0%}" if kind.nulls[c] else "") for c, v in kind.example.items() if c not in empty]
    print_table(("column", "one of them", "null"), rows, title=f"\n{kind.table}: {kind.events}")
    if empty:
        print_table(("always null", ""), [(", ".join(empty), "")])
    print_table(("its record",), [(_pretty(kind.raw),)])


def _pretty(raw: str) -> str:
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    text = json.dumps(value, ensure_ascii=False) if value is not None else raw
    return text if len(text) <= _RAW_CHARS else f"{text[:_RAW_CHARS]} ... ({len(text)} characters)"
