"""The command that keeps a lake in shape."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from procnet.cli.options import settings_of
from procnet.cli.output import print_json, print_table, say
from procnet.lake.tables import Lake
from procnet.runs.maintain import TableUpkeep, maintain
from procnet.spark.session import open_session


def add_commands(commands: Any, common: ArgumentParser) -> None:
    """maintain."""
    keep = commands.add_parser(
        "maintain", parents=[common], help="small files, old versions, and rows past their time (settings: maintenance)"
    )
    keep.add_argument("--dry-run", action="store_true", help="only say what would go")
    keep.set_defaults(answer=_maintain)


def _maintain(args: Namespace) -> None:
    settings = settings_of(args)
    lake = Lake(open_session(settings.spark, lake=settings.lake), settings)
    kept = maintain(lake, datetime.now(timezone.utc), dry_run=args.dry_run)
    if args.json:
        print_json({"dry_run": args.dry_run, "tables": [asdict(k) for k in kept]})
        return
    _print(kept, dry_run=args.dry_run)


def _print(kept: list[TableUpkeep], *, dry_run: bool) -> None:
    would = "would go" if dry_run else "deleted"
    names = ("table", f"rows {would}", "files put together", f"files {would}", "files now", "MiB")
    rows = [
        (k.table, k.rows, "" if dry_run else k.compacted, k.vacuumed, k.files, round(k.size / 2**20, 1)) for k in kept
    ]
    print_table(names, rows)
    for k in kept:
        if k.behind is not None:
            say(
                f"{k.table}: {k.behind} commits since its last checkpoint, and every reader replays them all; "
                "may the writers write files in its _delta_log?"
            )
