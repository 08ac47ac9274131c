"""Calls the command line in this process, so that all commands share the Spark session of the tests."""

from __future__ import annotations

import os
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from procnet.cli.main import main


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


def procnet(*argv: object) -> CommandResult:
    """Runs one command in a terminal of 100 columns; restores the time zone, which `main` sets."""
    out, err, zone = StringIO(), StringIO(), os.environ.get("TZ")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", "100")
        try:
            code = main([str(a) for a in argv])
        except SystemExit as e:  # raised by argparse
            code = int(e.code or 0)
        finally:
            os.environ.pop("TZ", None)
            if zone is not None:
                os.environ["TZ"] = zone
            time.tzset()
    return CommandResult(code, out.getvalue(), err.getvalue())


def files_of(folder: Path) -> dict[str, int]:
    """The relative path and size of each file below a folder, to see whether a command changed any."""
    return {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
