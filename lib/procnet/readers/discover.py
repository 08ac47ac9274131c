"""Paths, folders and globs -> the files that they name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from procnet.errors import DataError
from procnet.readers.archives import has_suffix

ARCHIVES = (".zip", ".tar", ".tgz")  # taken from a folder too, whatever the format


def find_files(paths: Iterable[str | Path], suffixes: tuple[str, ...]) -> list[str]:
    """Absolute paths of the files that `paths` mean, sorted, each once.

    A folder means its files with one of the suffixes, at any depth, packed or not, and its archives.
    """
    wanted = (*suffixes, *ARCHIVES)
    found: set[str] = set()
    for given in map(str, paths):
        if "://" in given:
            raise DataError(
                f"{given} is no path of a file system",
                hint="mount it (on Databricks: /Volumes/...), or read it into a table and map that",
            )
        # A name may hold [ or * itself: what exists is meant as it stands.
        hits = [given] if os.path.exists(given) else glob.glob(given, recursive=True)
        files = [f for hit in hits for f in (_in_folder(Path(hit), wanted) if os.path.isdir(hit) else [hit])]
        if not files:
            raise _nothing_there(given, hits, wanted)
        found.update(os.path.abspath(f) for f in files)
    return sorted(found)


def _in_folder(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    return [str(f) for f in folder.rglob("*") if f.is_file() and f.name[0] not in "._" and has_suffix(f.name, suffixes)]


def _nothing_there(given: str, hits: list[str], suffixes: tuple[str, ...]) -> DataError:
    wanted = f"files named *{', *'.join(suffixes)} (or .gz of them)"
    if hits:
        names = sorted(p.name for hit in hits for p in Path(hit).iterdir())
        found = f"it holds {len(names)} entries: {', '.join(names[:5])}{', ...' if names[5:] else ''}" if names else ""
        return DataError(
            f"no records in folder {given}: looked for {wanted}; {found or 'it is empty'}",
            hint="name the files themselves if they are called otherwise",
        )
    parent = next(p for p in Path(given).absolute().parents if p.is_dir())
    near = sorted(p.name for p in parent.iterdir())[:5]
    return DataError(
        f"{given} does not exist; the nearest folder there is {parent} ({', '.join(near) or 'empty'})",
        hint="check the path; quote a glob so that it reaches procnet as it is",
    )
