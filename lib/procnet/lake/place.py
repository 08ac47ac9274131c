"""Whether a folder can be a lake: checked before Spark starts, whose error for a wrong place names neither."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from procnet.contract import TABLES
from procnet.errors import UsageError


def check_place(lake: Path, *, to_write: bool) -> None:
    """UsageError if the lake, a folder above it or one of its tables is a file; with `to_write` if one is read-only."""
    lake = lake.absolute()
    for folder in _existing_folders(lake):
        if not folder.is_dir():
            of_lake = "" if folder == lake else f"lake {lake} cannot be used: "
            hint = "give --lake DIR a folder; procnet init makes it, if it does not exist"
            raise UsageError(f"{of_lake or 'lake '}{folder} is a file", hint=hint)
        if to_write and not os.access(folder, os.W_OK | os.X_OK):
            is_mounted_so = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
            why = "its file system is mounted read-only" if is_mounted_so else f"you may not write to {folder}"
            hint = "give --lake DIR a folder that you may write, or run this as the owner; a read-only lake can be read"
            raise UsageError(f"lake {lake} is read-only: {why}", hint=hint)


def _existing_folders(lake: Path) -> Iterator[Path]:
    """The lake, or what is there of the path to it; then its tables and their logs."""
    yield next(p for p in (lake, *lake.parents) if os.path.lexists(p))
    for name in TABLES:
        for folder in (lake / name, lake / name / "_delta_log"):
            if folder.exists():
                yield folder
