"""The detections of a folder: loaded together, all errors at once; chosen by id, name or file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import ValidationError

from procnet.config_file import Unusable
from procnet.detections.detection import Detection, parse_sides, resolve
from procnet.detections.schema import DetectionFile
from procnet.errors import DetectionError


def load_detections(place: Path | str | Iterable[Path]) -> tuple[Detection, ...]:
    """Detections of a folder (its *.yml) or of single files, by id.

    Raises DetectionError with every problem of every file, ids and names used twice among them.
    """
    if isinstance(place, str | Path):
        folder = Path(place)
        if not folder.is_dir():
            raise DetectionError(
                [f"no folder of detections at {folder}"], hint="set detections.folder, or leave it out"
            )
        files = sorted(folder.glob("*.yml"))
    else:
        files = list(place)
    found, unusable = _read_all(files)
    if unusable:
        raise DetectionError(
            [p for u in unusable for p in u.problems], hint="procnet detections lint shows all of them again"
        )
    return found


def read_catalogue(folder: Path) -> tuple[tuple[Detection, ...], tuple[Unusable, ...]]:
    """What of a folder can run, by id, and what cannot: a broken file, and every file of an id or name used twice.

    So one file that somebody broke does not stop all the others. DetectionError where the folder is not there.
    """
    if not folder.is_dir():
        load_detections(folder)
    return _read_all(sorted(folder.glob("*.yml")))


def _read_all(files: Iterable[Path]) -> tuple[tuple[Detection, ...], tuple[Unusable, ...]]:
    found: dict[Path, Detection] = {}
    unusable: list[Unusable] = []
    for path in files:
        detection, problems = _read(path)
        if detection is not None:
            found[path] = detection
        else:
            unusable.append(Unusable(_names(path), tuple(problems)))
    doubtful: set[Path] = set()
    for what in ("id", "name"):
        seen: dict[str, Path] = {}
        for path, d in found.items():
            value = str(getattr(d, what)).lower()
            first = seen.setdefault(value, path)
            if first != path:
                told = f"{path}: {what} {getattr(d, what)} is that of {first} too"
                unusable.append(Unusable(frozenset({d.id, d.name.lower(), path.stem}), (told,)))
                doubtful |= {path, first}
    usable = [d for path, d in found.items() if path not in doubtful]
    return tuple(sorted(usable, key=lambda d: d.id)), tuple(unusable)


def _names(path: Path) -> frozenset[str]:
    """By what a broken file may be meant: its stem, and the id and name that it has, if it can be read so far."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return frozenset({path.stem})
    told = [values.get(n) for n in ("id", "name")] if isinstance(values, dict) else []
    return frozenset({path.stem, *(str(v).lower() for v in told if v is not None)})


def select(
    detections: Sequence[Detection], wanted: Sequence[str], unusable: Sequence[Unusable] = ()
) -> tuple[Detection, ...]:
    """Those that are wanted, each by its id (or the first 8 characters or more of it), its name, or a file to try out.

    A file stands in for the catalogue's detection of the same id. Raises DetectionError for what is not known, and for
    what is known to be `unusable`, with its problems.
    """
    chosen: dict[str, Detection] = {}
    problems: list[str] = []
    for want in wanted:
        if want.endswith((".yml", ".yaml")):
            detection, more = _read(Path(want))
            problems += more
            chosen |= {detection.id: detection} if detection is not None else {}
            continue
        low = want.lower()
        found = [
            d
            for d in detections
            if low in (d.id, d.name.lower(), d.path.stem) or (len(low) >= 8 and d.id.startswith(low))
        ]
        if len(found) == 1:
            chosen[found[0].id] = found[0]
        elif of_it := [p for u in unusable if low in u.names for p in u.problems]:
            problems += of_it
        elif found:
            problems.append(f"{want!r} may mean {', '.join(d.id for d in found)}")
        else:
            near = get_close_matches(low, [n for d in detections for n in (d.id, d.name.lower())], n=2, cutoff=0.5)
            known = (
                f"near: {', '.join(near)}" if near else f"there are {', '.join(f'{d.id} {d.name}' for d in detections)}"
            )
            problems.append(f"no detection {want!r} among {len(detections)}; {known}")
            # It may be one of those that cannot be read.
            problems += [p for u in unusable for p in u.problems]
    if problems:
        hint = (
            "procnet detections lint shows what is wrong" if unusable else "procnet detections list shows ids and names"
        )
        raise DetectionError(dict.fromkeys(problems), hint=hint)
    return tuple(sorted(chosen.values(), key=lambda d: d.id))


def _read(path: Path) -> tuple[Detection | None, list[str]]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as e:
        return None, [f"{path}: cannot be read: {e.strerror}"]
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        return None, [f"{path}: not readable as YAML: {' '.join(str(e).split())}"]
    if not isinstance(values, dict):
        return None, [f"{path}: holds no detection, but {type(values).__name__}"]
    try:
        file = DetectionFile.model_validate(values)
    except ValidationError as e:
        problems = [
            f"{'.'.join(map(str, p['loc']))}: {p['msg'].removeprefix('Value error, ')} (found {_short(p['input'])})"
            for p in e.errors()
        ]
        blocks = {side: block for side in ("process", "network") if isinstance(block := values.get(side), dict)}
        if blocks:
            problems += parse_sides(blocks.get("process"), blocks.get("network"))[2]
        return None, [f"{path}: {p}" for p in problems]
    return resolve(file, path)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
