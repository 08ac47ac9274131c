"""Options that several commands have, and what they ask for."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from datetime import timedelta

from procnet.errors import UsageError
from procnet.periods import Window, parse_duration, parse_time
from procnet.settings import Settings, load_settings


def add_period(parser: ArgumentParser) -> None:
    """--start and --end: both or neither."""
    for name in ("start", "end"):
        parser.add_argument(f"--{name}", metavar="TIME", help="ISO 8601 with a zone, 2026-03-01T08:00Z")


def add_detections(parser: ArgumentParser) -> None:
    """--detection, any number of times."""
    parser.add_argument(
        "--detection", action="append", default=[], metavar="ID_OR_FILE", help="what to run (default: what is enabled)"
    )


def number_from(least: int) -> Callable[[str], int]:
    """The `type` of an option that takes a whole number from `least` on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is no count from {least} on")
        return int(text)

    return number


def settings_of(args: Namespace) -> Settings:
    """The settings that the common options ask for."""
    return load_settings(args.conf, overrides=args.overrides, lake=args.lake)


def period_of(args: Namespace) -> Window | None:
    """The period of --start and --end; None where neither is given."""
    if (args.start is None) != (args.end is None):
        raise UsageError("--start and --end go together", hint="give both, or neither")
    return Window(parse_time(args.start), parse_time(args.end)) if args.start else None


def size_of_chunk(text: str) -> timedelta:
    """The size that --chunk says; UsageError where it is no duration."""
    try:
        return parse_duration(text)
    except ValueError as e:
        raise UsageError(f"--chunk: {e}", hint="write --chunk 1d or --chunk 1h") from None
