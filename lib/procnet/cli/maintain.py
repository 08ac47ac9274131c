"""`procnet maintain`: the upkeep of a lake's tables."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone

from procnet.cli.options import Commands, open_lake, settings_of
from procnet.cli.output import print_message, print_result, print_table
from procnet.runs.maintain import TableUpkeep, maintain


def add_commands(commands: Commands) -> None:
    """Adds maintain."""
    option = commands.add("maintain", _maintain)
    option("--dry-run", action="store_true", help="count what would be deleted, change nothing (default: delete it)")


def _maintain(args: Namespace) -> None:
    """Delete expired rows, merge small files, delete files of old table versions.

    The settings under maintenance say how long rows and versions stay. It is safe while other commands run.
    """
    reports = maintain(open_lake(settings_of(args)), datetime.now(timezone.utc), dry_run=args.dry_run)
    value = {"dry_run": args.dry_run, "tables": [asdict(r) for r in reports]}
    print_result(args, value, lambda: _print(reports, dry_run=args.dry_run))


def _print(reports: Sequence[TableUpkeep], *, dry_run: bool) -> None:
    deleted = "to delete" if dry_run else "deleted"
    columns = ("table", f"rows {deleted}", "files merged", f"files {deleted}", "files now", "MiB")
    rows = [
        (r.table, r.rows, "" if dry_run else r.compacted, r.vacuumed, r.files, round(r.size / 2**20, 1))
        for r in reports
    ]
    print_table(columns, rows)
    for r in reports:
        if r.behind is not None:
            print_message(
                f"{r.table}: {r.behind} commits since its last checkpoint, and every read replays them all; check that "
                "the writers may write to its _delta_log"
            )
