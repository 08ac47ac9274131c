"""Finds the files that paths, folders and globs mean."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from procnet.errors import DataError
from procnet.readers.archives import has_suffix

ARCHIVES = (".zip", ".tar", ".tgz")  # suffixes that are read from a folder for every format


def find_files(paths: Iterable[str | Path], suffixes: tuple[str, ...]) -> list[str]:
    """Returns the absolute paths of the files that `paths` mean, sorted, without repeats.

    A folder means its files with one of the suffixes (with or without .gz) and its archives, at any depth; hidden files
    are left out. DataError for a path that names no file.
    """
    accepted = (*suffixes, *ARCHIVES)
    found: set[str] = set()
    for path in map(str, paths):
        if "://" in path:
            raise DataError(
                f"{path} is a URL and not a path of a file system",
                hint="mount it (on Databricks: /Volumes/...), or read it into a table and map that",
            )
        # A file name may contain [ or *: a path that exists is no glob.
        matches = [path] if os.path.exists(path) else glob.glob(path, recursive=True)
        files = [f for m in matches for f in (_files_in_folder(Path(m), accepted) if os.path.isdir(m) else [m])]
        if not files:
            raise _no_files_error(path, matches, accepted)
        found.update(os.path.abspath(f) for f in files)
    return sorted(found)


def _files_in_folder(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    return [str(f) for f in folder.rglob("*") if f.is_file() and f.name[0] not in "._" and has_suffix(f.name, suffixes)]


def _no_files_error(path: str, folders: list[str], suffixes: tuple[str, ...]) -> DataError:
    """Returns the error for a path that matches nothing, or only folders without such files."""
    if folders:
        names = sorted(p.name for folder in folders for p in Path(folder).iterdir())
        content = f"it has {len(names)} entries: {', '.join(names[:5])}{', ...' if names[5:] else ''}" if names else ""
        return DataError(
            f"no records in folder {path}: looked for files named *{', *'.join(suffixes)} (or .gz of them); "
            f"{content or 'it is empty'}",
            hint="name the files themselves if they have other suffixes",
        )
    parent = next(p for p in Path(path).absolute().parents if p.is_dir())
    entries = sorted(p.name for p in parent.iterdir())[:5]
    return DataError(
        f"{path} does not exist; the nearest existing folder is {parent} ({', '.join(entries) or 'empty'})",
        hint="check the path; quote a glob, so that the shell does not expand it",
    )
