"""How commands are declared, the options that several commands share, and the lake and detections they open."""

from __future__ import annotations

import os
import re
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from inspect import cleandoc
from textwrap import fill
from typing import Any, TypeAlias

from procnet.detections.catalog import ALL
from procnet.errors import UsageError
from procnet.lake.place import check_place
from procnet.lake.tables import Lake
from procnet.periods import Window, parse_duration, parse_time
from procnet.runs.selection import Selection, select_detections, with_exclusions
from procnet.settings import Settings, load_settings
from procnet.spark.session import is_external, open_session

# The commands that write to the lake; a read-only one is refused before Spark starts.
_WRITING = ("init", "ingest", "normalize", "detect", "backfill", "catch-up", "maintain", "demo")

AddOption: TypeAlias = Callable[..., Action]  # the method add_argument of a command's parser


@dataclass(frozen=True)
class Commands:
    """The commands of the command line, or the actions of a group such as `procnet detections`.

    `common` is the parser whose options every command has.
    """

    subparsers: Any  # argparse's class for them is private
    common: ArgumentParser

    def add(self, name: str, run: Callable[[Namespace], int | None]) -> AddOption:
        """Adds a command and returns the `add_argument` of its parser.

        `run` executes the command and returns the exit code, None for 0. Its docstring is the help text: a summary,
        details, and lines below `exit codes:`.
        """
        text, _, codes = cleandoc(run.__doc__ or "").partition("exit codes:\n")
        parser: ArgumentParser = self.subparsers.add_parser(
            name,
            parents=[self.common],
            help=text.partition("\n")[0],
            description=fill(" ".join(text.split()), 80),
            epilog=f"exit codes:\n{codes}" if codes else None,
            formatter_class=RawDescriptionHelpFormatter,
        )
        parser.set_defaults(run=run)
        return parser.add_argument

    def group(self, name: str, summary: str, actions: str) -> Commands:
        """Adds a command that only has actions, such as `procnet sources list`."""
        parser = self.subparsers.add_parser(name, help=summary, description=summary)
        return Commands(parser.add_subparsers(dest="action", required=True, metavar=actions), self.common)


def add_period(option: AddOption, default: str, *, required: bool = False) -> None:
    """Adds --start and --end; `default` describes the period without them."""
    note = "required" if required else f"default: {default}"
    time = "ISO 8601 with a time zone, such as 2026-03-01T08:00Z"
    option("--start", metavar="TIME", required=required, help=f"start of the period: {time} ({note})")
    option("--end", metavar="TIME", required=required, help="end of the period, exclusive; required with --start")


def add_detections(option: AddOption) -> None:
    """Adds --detection, repeatable, and --all."""
    what = (
        "detection to run: id, name, file name, the beginning of one of these, or a file; repeatable "
        "(default: detections.enabled)"
    )
    option("--detection", action="append", default=[], metavar="ID_OR_FILE", help=what)
    every = "every detection of detections.folder, as if all were enabled (default: detections.enabled)"
    option("--all", action="append_const", const=ALL, dest="detection", default=[], help=every)


def add_source(option: AddOption, host: str) -> None:
    """Adds --source and --host; `host` describes the default of --host."""
    option("--source", required=True, metavar="NAME", help="source (see procnet sources list), or a mapping file")
    option("--host", metavar="HOST", help=f"host name for records that contain none (default: {host})")


def whole_number(minimum: int) -> Callable[[str], int]:
    """The argparse `type` of an option whose value is a whole number of at least `minimum`."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or int(text) < minimum:
            raise ArgumentTypeError(f"{text[:60]!r} is not a whole number from {minimum} to 999999999")
        return int(text)

    return parse


def settings_of(args: Namespace) -> Settings:
    """The settings that --conf, --set and --lake select. UsageError for a lake that the command cannot use."""
    settings = load_settings(args.conf, overrides=args.overrides, lake=args.lake)
    # Another machine's Spark has the lake in folders of that machine.
    if settings.local_lake is not None and not is_external(os.environ):
        check_place(settings.local_lake, to_write=args.command in _WRITING)
    return settings


def period_of(args: Namespace) -> Window | None:
    """The period of --start and --end, None without both. UsageError where only one is given, and for a period outside
    the range of event times that the settings accept."""
    if (args.start is None) != (args.end is None):
        raise UsageError("--start and --end go together", hint="give both, or neither")
    if not args.start:
        return None
    period = Window(parse_time(args.start), parse_time(args.end))
    settings_of(args).events.refuse_outside(period)
    return period


def chunk_size(text: str) -> timedelta:
    """The value of --chunk. UsageError where it is not a duration."""
    try:
        return parse_duration(text)
    except ValueError as e:
        raise UsageError(f"--chunk: {e}", hint="write --chunk 1d or --chunk 1h") from None


def open_lake(settings: Settings) -> Lake:
    """The lake of the settings, with the active Spark session or a new one."""
    return Lake(open_session(settings.spark, lake=settings.local_lake), settings)


def open_lake_and_select(settings: Settings, names: Sequence[str] = ()) -> tuple[Lake, Selection]:
    """The lake, and the named detections (all enabled ones without a name) with the enabled exclusions.

    Detection files are read before the Spark session starts, so an error in one is reported at once.
    """
    selection = select_detections(settings, names)
    lake = open_lake(settings)
    return lake, with_exclusions(selection, settings, lake.spark)
