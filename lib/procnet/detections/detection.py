"""A detection that may run: checked, frozen, its blocks parsed. What a person wrote stands in file.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import types as T

from procnet.contract import NETWORK_EVENTS, NETWORK_FIELDS, PROCESS_EVENTS, PROCESS_FIELDS
from procnet.detections.schema import Annotations, Case, DetectionFile, Risk
from procnet.predicates.model import Predicate, canonical, finite_names
from procnet.predicates.parse import parse_side

# Both sides may ask for the host: a detection for servers only.
PROCESS_TYPES: Mapping[str, T.DataType] = {n: PROCESS_EVENTS[n].dataType for n in PROCESS_FIELDS}
NETWORK_TYPES: Mapping[str, T.DataType] = {n: NETWORK_EVENTS[n].dataType for n in ("host", *NETWORK_FIELDS)}


@dataclass(frozen=True)
class Detection:
    """One detection, resolved. `names`: the process names one of which it asks for, None if it may want any process."""

    id: str
    name: str
    version: int
    status: str
    process: Predicate | None
    network: Predicate | None
    lookback: timedelta
    risk: Risk
    annotations: Annotations
    cases: tuple[Case, ...]
    written: DetectionFile
    path: Path

    @property
    def names(self) -> frozenset[str] | None:
        return None if self.process is None else finite_names(self.process)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what it asks, not of its prose: an edit that can change findings changes it, and no other does."""
        sides = [canonical(p) if p is not None else "" for p in (self.process, self.network)]
        asks = "\n".join([*sides, str(self.lookback.total_seconds())])
        return hashlib.sha256(asks.encode()).hexdigest()


def resolve(file: DetectionFile, path: Path) -> tuple[Detection | None, list[str]]:
    """The detection of a file, or its problems, each one with the file's name."""
    process, network, problems = parse_sides(file.process, file.network)
    if problems:
        return None, [f"{path}: {p}" for p in problems]
    return (
        Detection(
            id=file.id,
            name=file.name,
            version=file.version,
            status=file.status,
            process=process,
            network=network,
            lookback=file.lookback,
            risk=file.risk,
            annotations=file.annotations,
            cases=file.cases,
            written=file,
            path=path,
        ),
        [],
    )


def parse_sides(
    process: Mapping[str, Any] | None, network: Mapping[str, Any] | None
) -> tuple[Predicate | None, Predicate | None, list[str]]:
    """Both blocks as written -> their trees, None where a block is not there, and what is wrong with the two."""
    if not process and not network:
        return None, None, ["neither a process nor a network block: it would match every connection"]
    on_process, problems = parse_side(process, PROCESS_TYPES, "process") if process else (None, [])
    on_network, more = parse_side(network, NETWORK_TYPES, "network") if network else (None, [])
    return on_process, on_network, [*problems, *more]
