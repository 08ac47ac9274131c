"""The command line: the parser of all commands, errors, exit codes. Each command is in a module of this folder."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from procnet.cli.interrupt import end_at_signals
from procnet.errors import ProcnetError, SessionError, UsageError, cause, install_hint, is_disk_full
from procnet.lake.table_errors import table_error
from procnet.version import package_version

_EXIT_CODES = """exit codes:
  0    done
  1    unexpected error: a bug of procnet, reported with a traceback
  2    wrong usage or configuration
  3    the data does not have what procnet needs: a table, a column, a usable record
  4    the run failed and may be repeated
  5    partly done; the message has the command that completes it
  130  interrupted by Ctrl-C: what was committed stays, and the same command goes on
  143  ended by SIGTERM: likewise"""


class _Parser(argparse.ArgumentParser):
    """A parser that raises UsageError after it has printed the usage; argparse's own ends the process."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise UsageError(message, hint=f"{self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands and their options."""
    # Imported here, since these modules import pyspark: `procnet --version` works where it is not installed.
    from procnet.cli import (
        backfill,
        demo,
        detect,
        detections,
        exclusions,
        findings,
        ingest,
        maintain,
        replay,
        risk,
        sources,
        status,
    )
    from procnet.cli.options import Commands

    top = _Parser(
        prog="procnet",
        description="Detect suspicious network connections by the process that made them, over a security data lake.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"procnet {package_version()}", help="print the version")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands = Commands(subparsers, _common_options())
    for module in (
        ingest, detect, backfill, maintain, findings, status, risk, detections, exclusions, replay, sources, demo,
    ):  # fmt: skip
        module.add_commands(commands)
    return top


def _common_options() -> argparse.ArgumentParser:
    """The options that every command has."""
    common = argparse.ArgumentParser(add_help=False)
    option = common.add_argument
    conf = "YAML file of settings (default: $PROCNET_CONF, else ./conf/local.yml, else the shipped local.yml)"
    option("--conf", type=Path, metavar="FILE", help=conf)
    setting = "override one setting, such as window.length=1h; repeatable (default: none)"
    option("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=setting)
    lake = "folder of Delta tables to use as the lake, or its URL (default: the lake that the settings name)"
    option("--lake", metavar="DIR", help=lake)
    json = "print the result as one JSON object on stdout, messages on stderr (default: tables)"
    option("--json", action="store_true", help=json)
    verbose = "print the traceback of an error (default: only its message)"
    option("-v", "--verbose", action="store_true", help=verbose)
    return common


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. A `ProcnetError` is printed as a message, without a traceback."""
    # Spark returns times in the process's time zone, without saying which: here that is UTC.
    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):
        time.tzset()
    if argv is None:  # this process is the command
        end_at_signals()
        argv = sys.argv[1:]
    if list(argv) == ["--version"]:
        sys.stdout.write(f"procnet {package_version()}\n")
        return 0
    if (wrong := next((a for a in argv if re.search("[\ud800-\udfff\0]", a)), None)) is not None:
        # Python's stand-ins for bytes that are no UTF-8; Spark, Java and every table take UTF-8.
        return _report(UsageError(f"the argument {wrong[:60]!r} is no text in UTF-8"), as_json="--json" in argv)
    try:
        args = parser().parse_args(argv)
    except UsageError as e:
        return _report(e, as_json="--json" in argv)
    except ModuleNotFoundError as e:
        if e.name != "pyspark":
            raise
        missing = SessionError(f"pyspark is not installed for {sys.executable}", hint=install_hint("spark"))
        return _report(missing, as_json="--json" in argv)
    try:
        return int(args.run(args) or 0)
    except BrokenPipeError:  # the reader of stdout has gone, as with `| head`
        sys.stderr.close()
        return 0
    except Exception as e:
        if (error := _as_error(e)) is None:
            raise
        if args.verbose:
            traceback.print_exc()
        if error.hint:
            error.hint = re.sub(
                r"^procnet (detect|backfill) ", rf"procnet \1 {_repeated_options(args)}", error.hint
            ).rstrip()
        return _report(error, command=args.command, as_json=args.json)


def task() -> None:
    """Entry point of a Databricks wheel task. Raises RuntimeError for an exit code other than 0.

    Databricks ignores the return value of an entry point, and counts `SystemExit` as a failure even with code 0.
    """
    if code := main(sys.argv[1:]):
        raise RuntimeError(f"procnet ended with exit code {code}; its messages are above")


def _as_error(error: Exception) -> ProcnetError | None:
    """The error to print for an exception; None for a bug of procnet."""
    if isinstance(error, ProcnetError):
        return error
    if is_disk_full(error):
        return ProcnetError(cause(error), hint="free some space, then run the same command again: what it did stays")
    # Py4J's own class where Spark has none for a Java error.
    if type(error).__module__.partition(".")[0] not in ("pyspark", "py4j"):
        return None
    other = ProcnetError(cause(error), hint="repeat the command with -v to see Spark's whole error")
    return table_error(error) or other


def _report(error: ProcnetError, *, command: str = "", as_json: bool) -> int:
    """Prints an error on stderr, with --json as an object on stdout too; returns its exit code."""
    from procnet.cli.output import print_json, print_message

    if as_json:
        value = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        print_json({"error": type(error).__name__, **value})
    print_message(f"{f'procnet {command}'.strip()}: {error}")
    return error.exit_code


def _repeated_options(args: argparse.Namespace) -> str:
    """The options of this call that the command of a hint needs too, so that it uses the same lake and settings."""
    pairs = [("--conf", args.conf), ("--lake", args.lake), *[("--set", o) for o in args.overrides]]
    pairs += [("--detection", d) for d in getattr(args, "detection", None) or []]
    return "".join(f"{option} {shlex.quote(str(value))} " for option, value in pairs if value is not None)
