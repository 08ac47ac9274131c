"""The command line: what can be said, who answers, and the exit code. Answers live in the other modules here."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from procnet.errors import ProcnetError, cause
from procnet.version import package_version

_EXIT_CODES = """exit codes: 0 done; 2 usage or configuration; 3 the data breaks the contract;
4 the window failed and may be retried; 5 partly done, with the command that goes on"""


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--conf", type=Path, metavar="FILE", help="settings (default conf/local.yml, or $PROCNET_CONF)")
    common.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="key=value", help="one setting; repeatable"
    )
    common.add_argument("--lake", type=Path, metavar="DIR", help="folder of the embedded lake")
    common.add_argument("--json", action="store_true", help="one JSON object on stdout, all else on stderr")
    common.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error")

    # Not at the top: `--version` must answer where pyspark is not installed, as on a machine that only builds wheels.
    from procnet.cli import backfill as windows
    from procnet.cli import exclusions, maintain, replay, risk, sources
    from procnet.cli import detect as run
    from procnet.cli import detections as tune
    from procnet.cli import findings as read

    top = argparse.ArgumentParser(
        prog="procnet",
        description="Which process, on which host, talked to where, and should it have?",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"procnet {package_version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for part in (run, windows, maintain, read, risk, tune, exclusions, replay, sources):
        part.add_commands(commands, common)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors that a person can mend are told without a traceback."""
    # Spark hands times to Python in the process's own zone, without saying which: here that is UTC.
    os.environ["TZ"] = "UTC"
    if hasattr(time, "tzset"):
        time.tzset()
    if list(sys.argv[1:] if argv is None else argv) == ["--version"]:
        sys.stdout.write(f"procnet {package_version()}\n")
        return 0
    try:
        args = parser().parse_args(argv)
    except ModuleNotFoundError as e:
        if e.name != "pyspark":
            raise
        sys.stderr.write(
            f"procnet: pyspark is not installed for {sys.executable}\n  next: pip install 'procnet[spark]'\n"
        )
        return 2
    from procnet.cli.output import say

    try:
        return int(args.answer(args) or 0)
    except ProcnetError as e:
        if args.verbose:
            raise
        return _tell(args, e)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        say("stopped; a window that was not finished is not recorded as done")
        return 130
    except Exception as e:
        # Py4J's own where Spark has no class for an error of Java's: a disk that is full, a folder that is a file.
        if args.verbose or type(e).__module__.partition(".")[0] not in ("pyspark", "py4j"):
            raise
        return _tell(args, ProcnetError(cause(e), hint="the same command with -v shows all that Spark says of it"))


def task() -> None:
    """The same as a task of Databricks, which calls an entry point and looks at no exit code, and to which `SystemExit`
    is a failure even with 0: any code but 0 is an error."""
    if code := main():
        raise RuntimeError(f"procnet ended with exit code {code}; what it said stands above")


def _tell(args: argparse.Namespace, error: ProcnetError) -> int:
    from procnet.cli.output import print_json, say

    if error.hint:
        error.hint = re.sub(r"^procnet (detect|backfill) ", rf"procnet \1 {_asked(args)}", error.hint).rstrip()
    if args.json:
        told = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        print_json({"error": type(error).__name__, **told})
    say(f"procnet {args.command}: {error}")
    return error.exit_code


def _asked(args: argparse.Namespace) -> str:
    """The options of this call that the command which goes on needs too, or it would go on in another lake."""
    pairs = [("--conf", args.conf), ("--lake", args.lake), *[("--set", o) for o in args.overrides]]
    pairs += [("--detection", d) for d in getattr(args, "detection", None) or []]
    return "".join(f"{option} {shlex.quote(str(value))} " for option, value in pairs if value is not None)
