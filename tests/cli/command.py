"""The command line as a user has it, called in this process, so that all commands share the tests' session."""

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
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str


def procnet(*argv: object) -> Said:
    """Run one command in a terminal of 100 columns; the zone that `main` sets is taken back for other tests."""
    out, err, zone = StringIO(), StringIO(), os.environ.get("TZ")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("COLUMNS", "100")
        try:
            code = main([str(a) for a in argv])
        except SystemExit as e:  # argparse ends so
            code = int(e.code or 0)
        finally:
            os.environ.pop("TZ", None)
            if zone is not None:
                os.environ["TZ"] = zone
            time.tzset()
    return Said(code, out.getvalue(), err.getvalue())


def files_of(folder: Path) -> dict[str, int]:
    """Every file below, with its size: what a command has changed, if anything."""
    return {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
