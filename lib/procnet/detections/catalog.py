"""The detections of a folder: loaded together with all problems of all files, and selected by id, name or file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from procnet.config_file import UnusableFile, check, named, printable_line, read_yaml
from procnet.detections.detection import Detection, detection_of, parse_sides
from procnet.detections.schema import DetectionFile
from procnet.errors import DetectionError

ALL = "all"  # in place of a name: every usable detection of the folder
_MOST_MEANT = 10  # detections that one ambiguous name lists
_MOST_PROBLEMS = 20  # of names: each is compared with those of all detections


def load_detections(place: Path | str | Iterable[Path]) -> tuple[Detection, ...]:
    """The detections of a folder (its *.yml) or of single files, sorted by id.

    Raises DetectionError with every problem of every file, including ids and names that are used twice.
    """
    found, unusable = _read_all(_files(Path(place)) if isinstance(place, str | Path) else place)
    if unusable:
        raise DetectionError(
            [p for u in unusable for p in u.problems], hint="procnet detections lint shows all of them again"
        )
    return found


def read_catalogue(folder: Path) -> tuple[tuple[Detection, ...], tuple[UnusableFile, ...]]:
    """The usable detections of a folder, sorted by id, and its unusable files, so that one of these stops no other.

    Unusable are files with errors and all files that share an id or a name. Raises DetectionError without the folder.
    """
    return _read_all(_files(folder))


def select(
    detections: Sequence[Detection], wanted: Sequence[str], unusable: Sequence[UnusableFile] = ()
) -> tuple[Detection, ...]:
    """The detections that are wanted, sorted by id.

    Each is given by its id, its name, its file's name, the beginning of one of these, `all`, or the path of a file,
    which replaces the catalogue's detection of the same id. Raises DetectionError with every name that is not known or
    not unique, and with the problems of the files that are wanted but unusable.
    """
    selected: dict[str, Detection] = {}
    problems: list[str] = []
    for want in sorted(wanted, key=lambda w: w.lower() != ALL):  # a file that is named replaces one of all
        if want.lower() == ALL:
            selected |= {d.id: d for d in detections}
            continue
        found = _look_up(want, detections, unusable)
        if isinstance(found, Detection):
            selected[found.id] = found
        else:
            problems += found
        if len(problems) > _MOST_PROBLEMS:
            break
    if problems:
        hint = (
            "procnet detections lint shows what is wrong" if unusable else "procnet detections list shows ids and names"
        )
        raise DetectionError(dict.fromkeys(problems), hint=hint)
    return tuple(sorted(selected.values(), key=lambda d: d.id))


def _files(folder: Path) -> list[Path]:
    if not os.path.isdir(folder):  # also for a name that is too long, where Path.is_dir raises
        raise DetectionError([f"no folder of detections at {folder}"], hint="set detections.folder, or leave it out")
    return sorted(folder.glob("*.yml"))


def _read_all(files: Iterable[Path]) -> tuple[tuple[Detection, ...], tuple[UnusableFile, ...]]:
    read = [_read(path) for path in dict.fromkeys(files)]
    detections = [d for d in read if isinstance(d, Detection)]
    unusable = [u for u in read if isinstance(u, UnusableFile)]
    ambiguous, duplicates = _duplicates(detections)
    usable = [d for d in detections if d.path not in ambiguous]
    return tuple(sorted(usable, key=lambda d: d.id)), (*unusable, *duplicates)


def _duplicates(detections: Sequence[Detection]) -> tuple[set[Path], list[UnusableFile]]:
    """All files that share an id or a name with another, and the problem of each one after the first."""
    ambiguous: set[Path] = set()
    duplicates: list[UnusableFile] = []
    for what in ("id", "name"):
        first_with: dict[str, Detection] = {}
        for d in detections:
            value = str(getattr(d, what))
            first = first_with.setdefault(value.lower(), d)
            if first.path != d.path:
                problems = named(d.path, [f"{what} {value} is that of {first.path} too"])
                duplicates.append(UnusableFile(_names_of(d) | _names_of(first), tuple(problems)))
                ambiguous |= {d.path, first.path}
    return ambiguous, duplicates


def _names_of(detection: Detection) -> frozenset[str]:
    return frozenset({detection.id, detection.name.lower(), detection.path.stem.lower()})


def _read(path: Path) -> Detection | UnusableFile:
    values, problems = read_yaml(path)
    if not problems:
        file, problems = check(values, DetectionFile, path)
        if file is None:
            problems += named(path, _block_problems(values))
        else:
            detection, problems = detection_of(file, path)
            if detection is not None:
                return detection
    # An unreadable file is known by its stem only, any other by its id and name too.
    names = [values.get(key) for key in ("id", "name")] if isinstance(values, dict) else []
    return UnusableFile(
        frozenset({path.stem.lower(), *(str(n).lower() for n in names if n is not None)}), tuple(problems)
    )


def _block_problems(values: Any) -> list[str]:
    """The problems of the blocks of a file whose other keys are wrong, so that all are reported at once."""
    blocks = values if isinstance(values, dict) else {}
    process, network = (b if isinstance(b := blocks.get(side), dict) else None for side in ("process", "network"))
    return [] if process is None and network is None else parse_sides(process, network)[2]


def is_named(detection: Detection, name: str) -> bool:
    """Whether a name means the detection: its id or the first 8 characters or more of it, its name, or its file's
    stem; in any case."""
    low = name.lower()
    by_prefix = len(low) >= 8 and detection.id.startswith(low)
    return by_prefix or low in _names_of(detection)


def named_by(
    detections: Sequence[Detection], name: str, unusable: Sequence[UnusableFile] = ()
) -> tuple[Detection, ...]:
    """The detections that a name means (`is_named`); without one, those whose id, name or file's stem begins with it.

    None where the name is exactly that of an unusable file: another detection that begins so must not run in its place.
    """
    low = name.strip().lower()
    found = tuple(d for d in detections if is_named(d, low))
    if found or not low or any(low in u.names for u in unusable):
        return found
    return tuple(d for d in detections if any(n.startswith(low) for n in _names_of(d)))


def _look_up(
    name: str, detections: Sequence[Detection], unusable: Sequence[UnusableFile]
) -> Detection | tuple[str, ...]:
    """The detection of a name as `select` takes it, or the problems: why there is not exactly one that is usable."""
    if name.endswith((".yml", ".yaml")):
        read = _read(Path(name))
        return read if isinstance(read, Detection) else read.problems
    low = name.lower()
    found = named_by(detections, name, unusable)
    if len(found) == 1:
        return found[0]
    if problems := tuple(p for u in unusable if low in u.names for p in u.problems):
        return problems
    if found:
        return (f"{name!r} may mean {', '.join(f'{d.id} {d.name}' for d in found[:_MOST_MEANT])}",)
    near = get_close_matches(low, [n for d in detections for n in (d.id, d.name.lower())], n=2, cutoff=0.5)
    known = f"near: {', '.join(near)}" if near else f"there are {', '.join(f'{d.id} {d.name}' for d in detections)}"
    # The name may be that of one of the unusable files.
    shown = printable_line(repr(name[:200]), 200)
    return (f"no detection {shown} among {len(detections)}; {known}", *(p for u in unusable for p in u.problems))
