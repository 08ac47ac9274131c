"""The detections of a folder: loaded together, all errors at once; chosen by id, name or file; held to their lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from procnet.detections.detection import Detection, parse_sides, resolve
from procnet.detections.file import DetectionFile
from procnet.errors import ConfigError, DetectionError

LOCK = "detections.lock"
_LOCKED = {"name", "version", "fingerprint"}


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
    found: list[Detection] = []
    problems: list[str] = []
    for path in files:
        detection, more = _read(path)
        problems += more
        if detection is not None:
            found.append(detection)
    for what in ("id", "name"):
        seen: dict[str, Path] = {}
        for d in found:
            value = str(getattr(d, what)).lower()
            if value in seen:
                problems.append(f"{d.path}: {what} {getattr(d, what)} is that of {seen[value]} too")
            seen.setdefault(value, d.path)
    if problems:
        raise DetectionError(problems, hint="procnet detections lint shows all of them again")
    return tuple(sorted(found, key=lambda d: d.id))


def select(detections: Sequence[Detection], wanted: Sequence[str]) -> tuple[Detection, ...]:
    """Those that are wanted, each by its id (or the first 8 characters or more of it), its name, or a file to try out.

    A file stands in for the catalogue's detection of the same id. Raises DetectionError for what is not known.
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
        elif found:
            problems.append(f"{want!r} may mean {', '.join(d.id for d in found)}")
        else:
            near = get_close_matches(low, [n for d in detections for n in (d.id, d.name.lower())], n=2, cutoff=0.5)
            known = (
                f"near: {', '.join(near)}" if near else f"there are {', '.join(f'{d.id} {d.name}' for d in detections)}"
            )
            problems.append(f"no detection {want!r} among {len(detections)}; {known}")
    if problems:
        raise DetectionError(problems, hint="procnet detections list shows ids and names")
    return tuple(sorted(chosen.values(), key=lambda d: d.id))


def read_lock(folder: Path) -> Mapping[str, Any]:
    """The lock beside the detections: id -> name, version, fingerprint; empty where there is none.

    Raises ConfigError where the file holds something else, as a merge may leave it.
    """
    file = folder / LOCK
    if not file.is_file():
        return {}
    try:
        lock, why = yaml.safe_load(file.read_text(encoding="utf-8")) or {}, ""
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        lock, why = None, f": {' '.join(str(e).split())}"
    if not isinstance(lock, dict) or not all(isinstance(v, dict) and v.keys() >= _LOCKED for v in lock.values()):
        raise ConfigError(
            f"{file} is no lock of id -> {', '.join(sorted(_LOCKED))}{why}",
            hint="take back the one that was released, or write it anew: procnet detections lint --lock",
        )
    return lock


def lock_of(detections: Sequence[Detection]) -> dict[str, dict[str, Any]]:
    """What the lock should say of them."""
    return {d.id: {"name": d.name, "version": d.version, "fingerprint": d.fingerprint} for d in detections}


def check_lock(detections: Sequence[Detection], lock: Mapping[str, Any]) -> list[str]:
    """What was edited without a new version, is not locked, or is locked and gone."""
    problems = []
    for id_, now in lock_of(detections).items():
        name, version, then = now["name"], now["version"], lock.get(id_)
        if then is None:
            problems.append(f"{name}: not in the lock; lint --lock releases it")
        elif version < then["version"]:
            problems.append(f"{name}: version {version} is below {then['version']}, which is locked; raise its version")
        elif version > then["version"]:
            problems.append(
                f"{name}: version {version} is not locked yet, {then['version']} is; lint --lock releases it"
            )
        elif now["fingerprint"] != then["fingerprint"]:
            problems.append(f"{name}: asks something else than version {version} did; raise its version")
    problems += [
        f"{lock[i]['name']}: locked, and gone; deprecate it instead" for i in lock if i not in lock_of(detections)
    ]
    return problems


def write_lock(folder: Path, detections: Sequence[Detection]) -> Path:
    """Write the lock anew; returns its path."""
    file = folder / LOCK
    head = "# id -> what was released. Written by: procnet detections lint --lock\n"
    file.write_text(head + yaml.safe_dump(lock_of(detections), sort_keys=True), encoding="utf-8")
    return file


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
