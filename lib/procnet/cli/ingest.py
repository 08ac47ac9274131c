"""Commands that fill a lake: init, ingest, normalize."""

from __future__ import annotations

from argparse import Namespace
from datetime import datetime, timezone

from procnet.cli.options import Commands, add_period, add_source, open_lake, period_of, settings_of
from procnet.cli.output import print_result, print_table
from procnet.contract import TABLES
from procnet.runs.detect import last_complete
from procnet.runs.ingest import ingest
from procnet.runs.init import init
from procnet.runs.normalize import normalize_tables


def add_commands(commands: Commands) -> None:
    """Adds init, ingest, normalize."""
    commands.add("init", _init)

    option = commands.add("ingest", _ingest)
    add_source(option, "none; the source eqllib then takes the file's name, other records without are quarantined")
    option("--again", action="store_true", help="read unchanged files again (default: they are skipped)")
    option("paths", nargs="+", metavar="PATH", help="file, folder or glob of raw records; .gz, .zip and .tar too")

    option = commands.add("normalize", _normalize)
    add_source(option, "none; records without a host are left out")
    add_period(option, "the last complete window of window.length that ended at least window.delay ago")
    option("tables", nargs="+", metavar="TABLE", help="catalog.schema.table, or a Delta or Parquet folder")


def _init(args: Namespace) -> None:
    """Create the tables of the lake.

    Existing tables stay as they are, apart from columns that they lack. In a catalog it also creates the views
    findings_cim, risk_events and incidents.
    """
    lake = open_lake(settings_of(args))
    new = init(lake)
    rows = [(name, lake.ref(name), "new" if name in new else "was there") for name in TABLES]
    print_result(args, {"created": new}, lambda: print_table(("table", "where", ""), rows))


def _ingest(args: Namespace) -> None:
    """Read raw files into the canonical tables.

    Rows that the tables contain already are not added again, so that repeating an ingest is safe. Records that cannot
    be used go to the table quarantine, with the reason.
    """
    lake, now = open_lake(settings_of(args)), datetime.now(timezone.utc)
    report = ingest(lake, args.source, args.paths, host=args.host, again=args.again, now=now)
    title = f"ingested as {args.source}"
    print_result(args, report.as_dict(), lambda: print_table(("records", "count"), report.lines(), title=title))


def _normalize(args: Namespace) -> None:
    """Read raw tables into the canonical tables, for one window.

    The source's rows of the window are replaced, so that repeating it is safe.
    """
    settings, now = settings_of(args), datetime.now(timezone.utc)
    window = period_of(args) or last_complete(now, settings)
    report = normalize_tables(open_lake(settings), args.source, args.tables, window, host=args.host, now=now)
    value = {"source": report.source, "start": window.start, "end": window.end, "rows": report.rows}
    title = f"{report.source} in {window}"
    print_result(args, value, lambda: print_table(("table", "rows now"), list(report.rows.items()), title=title))
