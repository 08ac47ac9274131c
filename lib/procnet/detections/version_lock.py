"""The lock beside the detections: what was released of each, so that no edit goes out under an old version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from procnet.detections.detection import Detection
from procnet.errors import ConfigError

LOCK = "detections.lock"
_LOCKED = {"name", "version", "fingerprint"}


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
