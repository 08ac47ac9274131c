"""Commands that fill a lake: init, ingest, normalize."""

from __future__ import annotations

import shlex
from argparse import Namespace
from datetime import datetime, timezone

from procnet.cli.options import Commands, add_period, add_source, open_lake, period_of, settings_of
from procnet.cli.output import print_message, print_result, print_table
from procnet.contract import TABLES
from procnet.errors import PartlyDone
from procnet.runs.detect import last_complete
from procnet.runs.ingest import ingest
from procnet.runs.init import init
from procnet.runs.normalize import normalize_tables
from procnet.sources.mapping import read_mapping
from procnet.sources.read import files_and_tables
from procnet.sources.recognize import LikelySource, likely_source


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


def _ingest(args: Namespace) -> int:
    """Read raw files into the canonical tables.

    Rows that the tables contain already are not added again, so that repeating an ingest is safe. Records that cannot
    be used go to the table quarantine, with the reason. The last line of an ingest at fault names the source that fits;
    the same command reads the files at fault again.

    exit codes:
      0  done; records of other events are no fault
      5  nothing usable came of a file, or more than a tenth of the wanted records were quarantined
    """
    settings, now = settings_of(args), datetime.now(timezone.utc)
    files, _ = files_and_tables(read_mapping(args.source), args.paths)  # errors of usage, before a session is started
    lake = open_lake(settings)
    report = ingest(lake, args.source, args.paths, host=args.host, again=args.again, now=now)
    faulty = [f.file for f in report.faulty_files]
    likely = likely_source(lake.spark, faulty or files, args.host) if report.fault else None
    value = {**report.as_dict(), "likely_source": likely.name if likely else None}
    title = f"ingested as {report.source}"
    print_result(args, value, lambda: print_table(("records", "count"), report.lines(), title=title))
    if report.fault is None:
        return 0
    print_message(str(PartlyDone(report.fault, hint=_next_step(args, likely))))
    return PartlyDone.exit_code


def _next_step(args: Namespace, likely: LikelySource | None) -> str:
    """What to do about an ingest at fault: take the source that fits, or look at the records."""
    paths = shlex.join(args.paths)
    if likely and likely.name != args.source:
        return f"{likely}: procnet ingest --source {likely.name} {paths}"
    return f"procnet sources check {shlex.quote(args.source)} {paths} shows records that gave no event, and why"


def _normalize(args: Namespace) -> None:
    """Read raw tables into the canonical tables, for one window.

    The source's rows of the window are replaced, so that repeating it is safe.
    """
    settings, now = settings_of(args), datetime.now(timezone.utc)
    read_mapping(args.source)  # an unknown source is an error before a session is started
    window = period_of(args) or last_complete(now, settings)
    report = normalize_tables(open_lake(settings), args.source, args.tables, window, host=args.host, now=now)
    value = {"source": report.source, "start": window.start, "end": window.end, "rows": report.rows}
    title = f"{report.source} in {window}"
    print_result(args, value, lambda: print_table(("table", "rows now"), list(report.rows.items()), title=title))
