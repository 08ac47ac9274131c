"""Detections on pairs of connection and process: one exact judgement, and the cheaper questions that go before it.

Only `evaluate` decides. The others say which rows could matter, so that the scans and the join stay small; each keeps
every row that `evaluate` could want, and a test holds them to it. Questions are SQL (predicates/sql.py says why).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import DataFrame

from procnet.detections.detection import Detection
from procnet.predicates.column import to_candidate_sql, to_sql
from procnet.predicates.model import Predicate, fields_of
from procnet.predicates.sql import literal, one_of
from procnet.types import severity


def starts_wanted(detections: Sequence[Detection]) -> str | None:
    """Which process starts any of the detections could want; None if none of them can be told by a process's name.

    Asked of single records, before two sensors' records of one start are merged (2-semantics, 1). The names of all
    detections stand first: they are cheap, and reach the files.
    """
    selective = [d for d in detections if d.names is not None]
    if not selective:
        return None
    names = sorted(set().union(*[d.names or () for d in selective]))
    named = one_of("process_name", names)
    if any(map(_asks_original, selective)):
        # No file can be told by a `lower`. These bounds can reach it, and spare the files whose sensor (Security 4688)
        # has no original file name, where they are sorted by process name: of 4 million rows 20,000 were read.
        within = f"process_name >= {literal(names[0])} AND process_name <= {literal(names[-1])}"
        named = f"({within} OR original_file_name IS NOT NULL) AND ({named} OR {_originally(names)})"
    return f"{named} AND {_any(map(_start_wanted, selective))}"


def _start_wanted(detection: Detection) -> str:
    """What one record lacks the other may tell, so an unknown field drops none. Merged records agree in process_name
    alone: one that is wanted for its original file name stays whatever it says, since the start may say otherwise."""
    by_name = one_of("process_name", names := sorted(detection.names or ()))
    rest = "true"
    if detection.process is not None:
        rest = to_candidate_sql(detection.process, frozenset({"process_name"}))
    if not _asks_original(detection):
        return f"{by_name} AND {rest}"
    return f"CASE WHEN {by_name} THEN {rest} ELSE {_originally(names)} END"


def _asks_original(detection: Detection) -> bool:
    return detection.process is not None and "original_file_name" in fields_of(detection.process)


def _originally(names: Sequence[str]) -> str:
    return one_of("lower(original_file_name)", names)


def connections_wanted(detections: Sequence[Detection]) -> str:
    """Which connections any of the detections could want, by their network blocks."""
    return _any(_asked(d.network) for d in detections)


def stands_alone(detections: Sequence[Detection]) -> str:
    """Which connections could match without an instance that `starts_wanted` keeps: their own record is enough, or the
    detection asks for no process by name (the wide ones: few connections then name few keys)."""
    return _any(f"{_asked(d.network)} AND {_asked(d.process if d.names is not None else None)}" for d in detections)


def evaluate(pairs: DataFrame, detections: Sequence[Detection]) -> DataFrame:
    """The pairs that match, once for each detection they match.

    In: NETWORK_EVENTS, `attribution`, `instance` (as `attribute_connections` gives them) and, where the detections'
    lookbacks differ, `max_age` (as `answers` gives it). Out: the same columns without it and `detection`, a struct of
    id, name, version, fingerprint, risk_score, severity, mitre_attack. A process block sees the instance's fields, or
    the connection's own record where there is no instance (2-semantics, 3).
    """
    several = len({d.lookback for d in detections}) > 1
    holds = [f"max_age = {literal(d.lookback)} AND {_holds(d)}" if several else _holds(d) for d in detections]
    matches = ", ".join(f"CASE WHEN {h} THEN {_told(d)} END" for h, d in zip(holds, detections, strict=True))
    return pairs.selectExpr("*", f"explode(filter(array({matches}), d -> d IS NOT NULL)) AS detection").drop("max_age")


def _holds(detection: Detection) -> str:
    network = _asked(detection.network)
    if detection.process is None:
        return network
    by_instance, by_record = (to_sql(detection.process, of) for of in ("instance", ""))
    by_record = f"({by_record} AND attribution = 'event')"
    return f"{network} AND CASE WHEN instance IS NOT NULL THEN {by_instance} ELSE {by_record} END"


def _asked(block: Predicate | None) -> str:
    return "true" if block is None else to_sql(block)


def _told(detection: Detection) -> str:
    told: dict[str, str | int] = {
        "id": detection.id,
        "name": detection.name,
        "version": detection.version,
        "fingerprint": detection.fingerprint,
        "risk_score": detection.risk.score,
        "severity": severity(detection.risk.score),
    }
    fields = ", ".join(f"'{name}', {literal(value)}" for name, value in told.items())
    techniques = ", ".join(map(literal, detection.annotations.mitre_attack))
    return f"named_struct({fields}, 'mitre_attack', CAST(array({techniques}) AS array<string>))"


def _any(conditions: Iterable[str]) -> str:
    return f"({' OR '.join(conditions)})"
