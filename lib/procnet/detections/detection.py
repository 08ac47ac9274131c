"""A detection that may run: checked, frozen, its blocks parsed. What a person wrote stands in file.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from string import Formatter

from pyspark.sql import types as T

from procnet.contract import FINDINGS, NETWORK_EVENTS, NETWORK_FIELDS, PROCESS_EVENTS, PROCESS_FIELDS
from procnet.detections.file import Annotations, Case, DetectionFile, Risk
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
    process, problems = parse_side(file.process, PROCESS_TYPES, "process") if file.process else (None, [])
    network, more = parse_side(file.network, NETWORK_TYPES, "network") if file.network else (None, [])
    problems = [*problems, *more, *_risk_problems(file.risk)]
    if not file.process and not file.network:
        problems.append("neither a process nor a network block: it would match every connection")
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


def _risk_problems(risk: Risk) -> list[str]:
    problems = []
    try:
        asked = [
            (f"risk.message: {{{field}}}", field)
            for _, field, _, _ in Formatter().parse(risk.message)
            if field is not None
        ]
    except ValueError as e:
        return [f"risk.message: {e}; a plain brace is written twice"]
    asked += [("risk.objects", o.field) for o in risk.objects] + [
        ("risk.threat_objects", o.field) for o in risk.threat_objects
    ]
    for where, field in asked:
        if field not in FINDINGS.names or field in ("message", "finding_id"):
            problems.append(f"{where}: findings have no column {field!r}")
        elif isinstance(FINDINGS[field].dataType, T.ArrayType):
            problems.append(f"{where}: {field} holds several values")
    return problems
