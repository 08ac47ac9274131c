"""Which raw files each dataset of an expectations file means, of those that the command line gives."""

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
from procnet.replay.expectations import Expectations, WrittenDataset
from procnet.sources.mapping import SourceMapping, read_mapping
from procnet.sources.read import kind_of


@dataclass(frozen=True)
class Recording:
    """The files of one dataset, absolute and sorted, and how they are read."""

    files: tuple[str, ...]
    source: str
    host: str | None


@dataclass(frozen=True)
class Given:
    """A file that the command line gives, and the folder under which it was found: itself, where it was named."""

    file: Path
    under: Path


def recordings(
    expected: Expectations, given: Sequence[Given], *, source: str | None, host: str | None
) -> tuple[Recording, ...]:
    """The recording of every dataset, in their order; `source` and `host` go before what the file says.

    Raises ConfigError with every dataset that names no source, an unknown one, or files that are not given.
    """
    found: dict[Recording, int] = {}
    problems: list[str] = []
    for i, dataset in enumerate(expected.file.datasets):
        of_it: list[str] = []
        name = source or (expected.beside(dataset.source) if dataset.source else None)
        if name is None:
            problems.append(f"datasets.{i}: nobody said how its files are read; write source: NAME, or give --source")
            continue
        try:
            mapping = read_mapping(name)
        except SourceError as e:
            problems.append(f"datasets.{i}.source: {e.message}")
            continue
        files = _chosen(dataset, given, mapping, of_it)
        problems += [f"datasets.{i}.files: {p}" for p in of_it]
        first = found.setdefault(Recording(files, name, host or dataset.host), i)
        if first != i and not of_it:
            problems.append(f"datasets.{i}: the same files, read alike, as datasets.{first}; make them one")
    if problems:
        raise ConfigError("\n".join(f"{expected.path}: {p}" for p in problems), hint="docs/replay.md shows the keys")
    return tuple(found)


def files_given(paths: Sequence[str]) -> tuple[Given, ...]:
    """Every file that paths, folders and globs mean, each once. UsageError for a path that is not there."""
    found: dict[Path, Given] = {}
    for path in paths:
        hits = [path] if os.path.exists(path) else sorted(glob.glob(path, recursive=True))
        if not hits:
            parent = next(p for p in Path(path).absolute().parents if p.is_dir())
            near = ", ".join(sorted(p.name for p in parent.iterdir())[:5]) or "empty"
            raise UsageError(
                f"{path} does not exist; the nearest folder there is {parent} ({near})",
                hint="name files or folders of raw records, as for procnet ingest",
            )
        for hit in map(Path, hits):
            under = Path(os.path.abspath(hit))
            inside = sorted(under.rglob("*")) if under.is_dir() else [under]
            for file in (f for f in inside if f.is_file() and (f == under or f.name[0] not in "._")):
                found.setdefault(file, Given(file, under))
    return tuple(found.values())


def _chosen(
    dataset: WrittenDataset, given: Sequence[Given], source: SourceMapping, problems: list[str]
) -> tuple[str, ...]:
    """Files that the dataset's names mean: a file by its last parts (`*` within one), or a folder by its own."""
    chosen: set[Path] = set()
    for name in dataset.files:
        named = [g for g in given if g.file.match(name)]
        if named and not _is_glob(name):  # as it is called, whatever its suffix
            chosen.update(g.file for g in named)
            continue
        below = named or [g for g in given if any(folder.match(name) for folder in _folders(g))]
        suffixes = (*SUFFIXES[kind_of(source, [g.file for g in below])], *ARCHIVES)
        readable = [g.file for g in below if g.file == g.under or has_suffix(g.file.name, suffixes)]
        if not readable:
            there = ", ".join(g.file.name for g in given[:5]) + (", ..." if given[5:] else "")
            problems.append(f"{name!r} is none of the {len(given)} files that are given: {there or 'there is none'}")
        chosen.update(readable)
    return tuple(sorted(map(str, chosen)))


def _folders(g: Given) -> list[Path]:
    return [p for p in g.file.parents if p == g.under or g.under in p.parents]


def _is_glob(name: str) -> bool:
    return any(c in name for c in "*?[")
