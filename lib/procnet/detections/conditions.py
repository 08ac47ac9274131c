"""Cheap conditions of detections on single events, so that scans and the join stay small.

None of them decides a match: each keeps every row that `judge` could match, and a test checks it. They are SQL
(spark/sql.py says why).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from procnet.detections.detection import Detection
from procnet.predicates.compile import to_candidate_sql, to_sql
from procnet.predicates.model import Predicate, fields_of, finite_values
from procnet.spark.sql import one_of


@dataclass(frozen=True)
class Conditions:
    """The SQL conditions of a set of detections on single events, compiled once. A network block is what of it the
    connection's own record decides.

    `start_scans`: process starts that a detection could match, as conditions that no start satisfies twice, each worth
    a scan of its own; empty where no detection names a process. `network`: connections, by the network blocks. `ports`:
    the part of `network` pushed down to the files. `self_described`: connections that could match without a candidate:
    their own record names the process, or an any-process detection wants them. `may_be_self_described`: the cheap part
    of that. `any_process`: connections that an any-process detection wants, never null. `fields`: those of all blocks.
    """

    start_scans: tuple[str, ...]
    network: str
    ports: str
    self_described: str
    may_be_self_described: str
    any_process: str
    fields: frozenset[str]

    @property
    def starts(self) -> str | None:
        """Process starts that a detection could match, as one condition; None where no detection names a process.

        Evaluated on single records, before two sensors' records of one start are merged (docs/semantics.md, R1).
        """
        return _any(f"({scan})" for scan in self.start_scans) if self.start_scans else None


def conditions_of(detections: Sequence[Detection]) -> Conditions:
    """The conditions of detections that run together."""
    named, any_process = [d for d in detections if not d.any_process], [d for d in detections if d.any_process]
    any_process_network = [_block(d.network_of_record) for d in any_process]
    self_described, may_be_self_described = list(any_process_network), list(any_process_network)
    if named:
        names = sorted(_names(named))
        by_name = f"({one_of('process_name', names)} OR {_by_original_name(names)})"
        blocks = _any(f"{_block(d.network_of_record)} AND {_block(d.process)}" for d in named)
        self_described.append(f"{by_name} AND {blocks}")
        may_be_self_described.insert(0, by_name)
    return Conditions(
        start_scans=tuple(_start_scans(named)),
        network=_any(_block(d.network_of_record) for d in detections),
        ports=_ports(detections),
        self_described=_any(self_described),
        may_be_self_described=_any(may_be_self_described),
        any_process=f"coalesce({_any(any_process_network)}, false)" if any_process_network else "false",
        fields=_fields(detections),
    )


def by_lookback(detections: Iterable[Detection]) -> dict[timedelta, list[Detection]]:
    """The detections of each lookback, shortest first."""
    groups: dict[timedelta, list[Detection]] = defaultdict(list)
    for detection in detections:
        groups[detection.lookback].append(detection)
    return dict(sorted(groups.items()))


def self_described_lookback_us(conditions: Mapping[timedelta, Conditions]) -> str:
    """SQL: the longest lookback, in microseconds, of the detections for which a connection is self-described; else
    null."""
    longest_first = sorted(conditions, reverse=True)
    whens = [f"WHEN {conditions[age].self_described} THEN {age // timedelta(microseconds=1)}L" for age in longest_first]
    return f"CASE {' '.join(whens)} END"


def _start_scans(named: Sequence[Detection]) -> list[str]:
    """One scan by name and one by original name. The condition by name is pushed down to the files, so text columns are
    read only where the names are (4 million starts sorted by name: 0.3 s, where one scan for both takes 0.6 s; for all
    detections 0.8 against 2.2 s). The scan by original name reads no other text."""
    if not named:
        return []
    by_name = one_of("process_name", sorted(_names(named)))
    scans = [f"{by_name} AND {_any(map(_start_could_match, named))}"]
    renamed = [d for d in named if _uses_original_name(d)]
    if renamed:
        scans.append(f"NOT coalesce({by_name}, false) AND {_by_original_name(sorted(_names(renamed)))}")
    return scans


def _start_could_match(detection: Detection) -> str:
    """SQL: whether the detection could match the start of a single record. An unknown field rejects no start, since
    another sensor's record may have it. Merged records only agree in process_name: a record with one of the original
    file names stays whatever its other fields are, since the merged start may differ in them."""
    names = sorted(detection.process_names)
    by_name, others = one_of("process_name", names), "true"
    if detection.process is not None:
        others = to_candidate_sql(detection.process, frozenset({"process_name"}))
    if not _uses_original_name(detection):
        return f"{by_name} AND {others}"
    return f"CASE WHEN {by_name} THEN {others} ELSE {_by_original_name(names)} END"


def _ports(detections: Sequence[Detection]) -> str:
    blocks = [d.network_of_record for d in detections]
    found = [None if block is None else finite_values(block, "dest_port") for block in blocks]
    ports = [p for p in found if p is not None]
    return one_of("dest_port", sorted(frozenset[Any]().union(*ports), key=str)) if len(ports) == len(found) else "true"


def _names(detections: Iterable[Detection]) -> frozenset[str]:
    return frozenset[str]().union(*[d.process_names for d in detections])


def _fields(detections: Iterable[Detection]) -> frozenset[str]:
    blocks = [b for d in detections for b in (d.process, d.network_of_record) if b is not None]
    return frozenset[str]().union(*map(fields_of, blocks))


def _uses_original_name(detection: Detection) -> bool:
    return detection.process is not None and "original_file_name" in fields_of(detection.process)


def _by_original_name(names: Sequence[str]) -> str:
    return one_of("lower(original_file_name)", names)


def _block(block: Predicate | None) -> str:
    return "true" if block is None else to_sql(block)


def _any(conditions: Iterable[str]) -> str:
    return f"({' OR '.join(conditions)})"
