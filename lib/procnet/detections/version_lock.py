"""The lock file of a detections folder: version and fingerprint of each release, so that no edit keeps its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from procnet.config_file import load_yaml
from procnet.detections.detection import Detection

LOCK = "detections.lock"


class LockedVersion(BaseModel):
    """The released version of one detection."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    fingerprint: str


def read_lock(folder: Path) -> Mapping[str, LockedVersion]:
    """The released version of each detection by its id, from the lock file of the folder; empty without a file.

    Raises ConfigError if the file contains something else, for example the markers of a merge conflict.
    """
    file = folder / LOCK
    if not file.is_file():
        return {}
    hint = "take back the one that was released, or write it anew: procnet detections lint --lock"
    return load_yaml(file, dict[str, LockedVersion], empty={}, hint=hint)


def lock_of(detections: Sequence[Detection]) -> dict[str, LockedVersion]:
    """What the lock file of these detections must contain."""
    return {d.id: LockedVersion(name=d.name, version=d.version, fingerprint=d.fingerprint) for d in detections}


def check_lock(detections: Sequence[Detection], lock: Mapping[str, LockedVersion]) -> list[str]:
    """A problem for each detection that was edited under its old version, is not locked, or is locked but missing."""
    now = lock_of(detections)
    problems = [p for id_, current in now.items() if (p := _difference(current, lock.get(id_)))]
    return problems + [f"{lock[i].name}: locked, and gone; deprecate it instead" for i in lock if i not in now]


def _difference(current: LockedVersion, locked: LockedVersion | None) -> str:
    """The problem of a detection compared with its locked version; "" if there is none."""
    name, version = current.name, current.version
    if locked is None:
        return f"{name}: not in the lock; lint --lock releases it"
    if version < locked.version:
        return f"{name}: version {version} is below {locked.version}, which is locked; raise its version"
    if version > locked.version:
        return f"{name}: version {version} is not locked yet, {locked.version} is; lint --lock releases it"
    if current.fingerprint != locked.fingerprint:
        return (
            f"{name}: its conditions or its lookback are not those of the locked version {version}; raise its version"
        )
    return ""


def write_lock(folder: Path, detections: Sequence[Detection]) -> Path:
    """Writes the lock file of these detections; returns its path."""
    file = folder / LOCK
    head = "# id -> what was released. Written by: procnet detections lint --lock\n"
    values = {id_: locked.model_dump() for id_, locked in lock_of(detections).items()}
    file.write_text(head + yaml.safe_dump(values, sort_keys=True), encoding="utf-8")
    return file
