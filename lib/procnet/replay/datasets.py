"""The raw files of each dataset of an expectations file, among those that the command line gives."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from procnet.errors import ConfigError, SourceError, UsageError
from procnet.readers.archives import has_suffix
from procnet.readers.discover import ARCHIVES
from procnet.readers.formats import SUFFIXES
from procnet.replay.expectations import DatasetEntry, Expectations
from procnet.sources.mapping import SourceMapping, read_mapping
from procnet.sources.read import file_format


@dataclass(frozen=True)
class Recording:
    """The files of one dataset, absolute and sorted, and how they are read."""

    files: tuple[str, ...]
    source: str
    host: str | None


@dataclass(frozen=True)
class GivenFile:
    """A file that the command line gives; `root` is the folder or file that was named there."""

    file: Path
    root: Path


def recordings_of(
    expectations: Expectations, given: Sequence[GivenFile], *, source: str | None, host: str | None
) -> tuple[Recording, ...]:
    """The recording of each dataset, in order. `source` and `host` take precedence over those of the file.

    Raises ConfigError with all problems: no source, an unknown source, files that are not given, equal datasets.
    """
    first_numbers: dict[Recording, int] = {}
    problems: list[str] = []
    for i, dataset in enumerate(expectations.file.datasets):
        name = source or (expectations.resolved(dataset.source) if dataset.source else None)
        if name is None:
            problems.append(f"datasets.{i}: no source is given for its files; write source: NAME, or give --source")
            continue
        try:
            mapping = read_mapping(name)
        except SourceError as e:
            problems.append(f"datasets.{i}.source: {e.message}")
            continue
        files, missing = _files_of(dataset, given, mapping)
        problems += [f"datasets.{i}.files: {p}" for p in missing]
        first = first_numbers.setdefault(Recording(files, name, host or dataset.host), i)
        if first != i and not missing:
            problems.append(f"datasets.{i}: the same files, source and host as datasets.{first}; make them one")
    if problems:
        hint = "page replay of the documentation has its keys"
        raise ConfigError("\n".join(f"{expectations.path}: {p}" for p in problems), hint=hint)
    return tuple(first_numbers)


def given_files(paths: Sequence[str]) -> tuple[GivenFile, ...]:
    """The files of paths, folders and globs, each once, without hidden ones of a folder.

    Raises UsageError for a path that does not exist.
    """
    found: dict[Path, GivenFile] = {}
    for path in paths:
        matches = [path] if os.path.exists(path) else sorted(glob.glob(path, recursive=True))
        if not matches:
            parent = next(p for p in Path(path).absolute().parents if p.is_dir())
            content = ", ".join(sorted(p.name for p in parent.iterdir())[:5]) or "empty"
            raise UsageError(
                f"{path} does not exist; the nearest folder there is {parent} ({content})",
                hint="name files or folders of raw records, as for procnet ingest",
            )
        for match in map(Path, matches):
            root = Path(os.path.abspath(match))
            files = sorted(root.rglob("*")) if root.is_dir() else [root]
            for file in (f for f in files if f.is_file() and (f == root or f.name[0] not in "._")):
                found.setdefault(file, GivenFile(file, root))
    return tuple(found.values())


def _files_of(
    dataset: DatasetEntry, given: Sequence[GivenFile], source: SourceMapping
) -> tuple[tuple[str, ...], list[str]]:
    """The files of a dataset, and a problem for each of its names that matches none.

    A name matches files by the last parts of their path (`*` within a part), or a folder by its own.
    """
    chosen: set[Path] = set()
    problems: list[str] = []
    for name in dataset.files:
        named = [g for g in given if g.file.match(name)]
        if named and not _is_glob(name):  # named in full: read whatever its suffix
            chosen.update(g.file for g in named)
            continue
        matching = named or [g for g in given if any(folder.match(name) for folder in _folders(g))]
        suffixes = (*SUFFIXES[file_format(source, [g.file for g in matching])], *ARCHIVES)
        readable = [g.file for g in matching if g.file == g.root or has_suffix(g.file.name, suffixes)]
        if not readable:
            names = ", ".join(g.file.name for g in given[:5]) + (", ..." if given[5:] else "")
            problems.append(f"{name!r} is none of the {len(given)} given files: {names or 'none'}")
        chosen.update(readable)
    return tuple(sorted(map(str, chosen))), problems


def _folders(g: GivenFile) -> list[Path]:
    """The folders of a file, up to the named one."""
    return [p for p in g.file.parents if p == g.root or g.root in p.parents]


def _is_glob(name: str) -> bool:
    return any(c in name for c in "*?[")
