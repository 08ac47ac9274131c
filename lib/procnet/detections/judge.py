"""Detections judge pairs of connection and process (docs/semantics.md, R3): the only place that decides a match.

`judge` finds the pairs that match as far as the two records say; `judge_joined` decides on those whose detection tests
what names and flows say, once these are joined to the few pairs that are left.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.detections.detection import Detection
from procnet.predicates.compile import to_column, to_sql
from procnet.spark.sql import literal, one_of
from procnet.vocabulary import severity


def judge(attributed: DataFrame, detections: Sequence[Detection]) -> DataFrame:
    """The pairs that match, once for each detection that they match; tests of joined fields count as satisfied.

    In: NETWORK_EVENTS, `attribution`, `instance` and `max_age` (as `attribute` gives them). Out: the same columns
    without `max_age`, and `detection`, a struct of id, name, version, fingerprint, risk_score, severity, mitre_attack.
    A process block is evaluated on the instance's columns, or on the connection's own record where there is no instance
    and the record names the process (`attribution` is event).
    """
    matches = ", ".join(f"CASE WHEN {_matches(d, detections)} THEN {_described(d)} END" for d in detections)
    judged = attributed.selectExpr("*", f"explode(filter(array({matches}), d -> d IS NOT NULL)) AS detection")
    return judged.drop("max_age")


def judge_joined(matches: DataFrame, detections: Sequence[Detection]) -> DataFrame:
    """The matches that still match with their joined fields. In: matches of `judge` with `contract.JOINED_FIELDS` and
    `dest_name_by`. Out: the same columns."""
    testing = [d for d in detections if d.joined_fields]
    if not testing:
        return matches
    holds = F.lit(True)
    for d in testing:
        is_of = F.col("detection.id") == F.lit(d.id)
        holds = F.when(is_of, F.coalesce(_with_joined_fields(d), F.lit(False))).otherwise(holds)
    return matches.where(holds)


def _with_joined_fields(detection: Detection) -> Column:
    assert detection.network is not None, "a detection with joined fields has a network block"
    accepted = f"CASE WHEN {one_of('dest_name_by', detection.dest_name_by)} THEN dest_name END"
    return to_column(detection.network, lambda n: F.expr(accepted) if n == "dest_name" else F.col(n))


def _matches(detection: Detection, detections: Sequence[Detection]) -> str:
    network = "true" if detection.network_of_record is None else to_sql(detection.network_of_record)
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
