"""Detections judge pairs of connection and process (docs/semantics.md, R3): the only place that decides a match."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame

from procnet.detections.detection import Detection
from procnet.predicates.compile import to_sql
from procnet.spark.sql import literal
from procnet.vocabulary import severity


def judge(attributed: DataFrame, detections: Sequence[Detection]) -> DataFrame:
    """The pairs that match, once for each detection that they match.

    In: NETWORK_EVENTS, `attribution`, `instance` and `max_age` (as `attribute` gives them). Out: the same columns
    without `max_age`, and `detection`, a struct of id, name, version, fingerprint, risk_score, severity, mitre_attack.
    A process block is evaluated on the instance's columns, or on the connection's own record where there is no instance
    and the record names the process (`attribution` is event).
    """
    matches = ", ".join(f"CASE WHEN {_matches(d, detections)} THEN {_described(d)} END" for d in detections)
    judged = attributed.selectExpr("*", f"explode(filter(array({matches}), d -> d IS NOT NULL)) AS detection")
    return judged.drop("max_age")


def _matches(detection: Detection, detections: Sequence[Detection]) -> str:
    network = "true" if detection.network is None else to_sql(detection.network)
    condition = network
    if detection.process is not None:
        by_instance, by_record = (to_sql(detection.process, struct) for struct in ("instance", ""))
        by_record = f"({by_record} AND attribution = 'event')"
        condition = f"{network} AND CASE WHEN instance IS NOT NULL THEN {by_instance} ELSE {by_record} END"
    if len({d.lookback for d in detections}) > 1:  # there is one row for each lookback, and each detection has its own
        return f"max_age = {literal(detection.lookback)} AND {condition}"
    return condition


def _described(detection: Detection) -> str:
    fields: dict[str, str | int] = {
        "id": detection.id,
        "name": detection.name,
        "version": detection.version,
        "fingerprint": detection.fingerprint,
        "risk_score": detection.risk.score,
        "severity": severity(detection.risk.score),
    }
    values = ", ".join(f"'{name}', {literal(value)}" for name, value in fields.items())
    techniques = ", ".join(map(literal, detection.annotations.mitre_attack))
    return f"named_struct({values}, 'mitre_attack', CAST(array({techniques}) AS array<string>))"
