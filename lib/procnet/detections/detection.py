"""A detection that can run: its file is checked and its blocks are parsed. The file's own model is in schema.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import types as T

from procnet.config_file import named
from procnet.contract import FINDINGS, JOINED_FIELDS, NETWORK_EVENTS, NETWORK_FIELDS, PROCESS_EVENTS, PROCESS_FIELDS
from procnet.detections.schema import Annotations, Case, DetectionFile, Risk
from procnet.predicates.model import Predicate, canonical, fields_of, finite_names
from procnet.predicates.parse import parse_side
from procnet.predicates.weaken import weakened

# The host is a field of both blocks: a detection may be limited to servers by either.
PROCESS_TYPES: Mapping[str, T.DataType] = {n: PROCESS_EVENTS[n].dataType for n in PROCESS_FIELDS}
NETWORK_TYPES: Mapping[str, T.DataType] = {
    **{n: NETWORK_EVENTS[n].dataType for n in ("host", *NETWORK_FIELDS)},
    **{n: FINDINGS[n].dataType for n in JOINED_FIELDS},
}


@dataclass(frozen=True)
class Detection:
    """One detection. `process` and `network` are its conditions; None where the file has no such block. `dest_name_by`:
    the kinds of names that count as the `dest_name` of its network block."""

    id: str
    name: str
    version: int
    status: str
    process: Predicate | None
    network: Predicate | None
    dest_name_by: tuple[str, ...]
    lookback: timedelta
    risk: Risk
    annotations: Annotations
    cases: tuple[Case, ...]
    written: DetectionFile
    path: Path

    @property
    def any_process(self) -> bool:
        """Whether processes of any name may match, so that no list of names limits which are read."""
        return self.process is None or finite_names(self.process) is None

    @property
    def network_of_record(self) -> Predicate | None:
        """What of `network` the connection's own record decides: every connection that can match satisfies it."""
        return None if self.network is None else weakened(self.network, frozenset(JOINED_FIELDS))

    @property
    def joined_fields(self) -> frozenset[str]:
        """The fields of `network` that only names and flows give."""
        return frozenset() if self.network is None else fields_of(self.network) & {*JOINED_FIELDS}

    @property
    def process_names(self) -> frozenset[str]:
        """The process names, in lower case, one of which a matching process has; empty for `any_process`."""
        return (finite_names(self.process) if self.process is not None else None) or frozenset()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the conditions and the lookback: it changes if findings can, and not with an edit of prose."""
        sides = [canonical(p) if p is not None else "" for p in (self.process, self.network)]
        kinds = [f"dest_name by {', '.join(self.dest_name_by)}"] if "dest_name" in self.joined_fields else []
        definition = "\n".join([*sides, str(self.lookback.total_seconds()), *kinds])
        return hashlib.sha256(definition.encode()).hexdigest()


def detection_of(file: DetectionFile, path: Path) -> tuple[Detection | None, list[str]]:
    """The detection of a checked file, or None and the problems of its blocks, each with the file's name."""
    process, network, problems = parse_sides(file.process, file.network)
    if problems:
        return None, named(path, problems)
    return (
        Detection(
            id=file.id,
            name=file.name,
            version=file.version,
            status=file.status,
            process=process,
            network=network,
            dest_name_by=file.dest_name_by,
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
    """The conditions of the process and the network block, None for a missing block, and the problems of both."""
    if not process and not network:
        return None, None, ["neither a process nor a network block: it would match every connection"]
    on_process, problems = parse_side(process, PROCESS_TYPES, "process") if process else (None, [])
    on_network, more = parse_side(network, NETWORK_TYPES, "network") if network else (None, [])
    return on_process, on_network, [*problems, *more]
