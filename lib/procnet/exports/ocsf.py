"""Findings as OCSF Detection Findings (class 2004). Evidence and observables are in ocsf_evidence.py.

Names and numbers are those of OCSF 1.5.0's schema; they are valid in 1.6 to 1.8 too.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.exports.columns import array_or_null, mapped, struct_or_null, without_nulls
from procnet.exports.ocsf_evidence import evidences, observables, unmapped
from procnet.exports.ocsf_objects import with_objects

VERSION = "1.5.0"
_CLASS = {"class_uid": 2004, "category_uid": 2, "activity_id": 1}
_CREATE = 200401  # class_uid * 100 + activity_id
_NEW, _SUPPRESSED = 1, 3
_SEVERITY = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_RISK_LEVEL = {name: number - 1 for name, number in _SEVERITY.items()}
_UNKNOWN, _RULE = 0, 1
_LAUNCH, _OPEN = 100701, 400101  # OCSF types of the two records: process launch, network connection open


def to_ocsf(findings: DataFrame) -> DataFrame:
    """One event for each finding, in the same order.

    In: `contract.FINDINGS`. Out: the attributes of a Detection Finding as columns, objects as structs; times in
    milliseconds since 1970, rounded down. An excluded finding is Suppressed (`status_id` 3) and no alert.
    """
    time, live = F.unix_millis("event_time"), F.col("excluded_by").isNull()
    columns = {
        **{n: F.lit(v) for n, v in _CLASS.items()},
        "type_uid": F.lit(_CREATE).cast("bigint"),
        "time": time,
        # The earlier of the two events: by the clocks, a process may start up to clock_skew after its connection.
        "start_time": F.unix_millis(F.least("process_time", "event_time")),
        "end_time": time,
        "severity_id": F.coalesce(mapped(F.col("severity"), _SEVERITY), F.lit(_UNKNOWN)),
        "risk_score": F.col("risk_score"),
        "risk_level_id": mapped(F.col("severity"), _RISK_LEVEL),
        "status_id": F.when(live, _NEW).otherwise(_SUPPRESSED),
        "is_alert": live,
        "message": F.col("message"),
        "metadata": _metadata(),
        "finding_info": _finding_info(time),
        "device": struct_or_null({"hostname": F.col("host")}, {"type_id": F.lit(_UNKNOWN)}),
        "resources": array_or_null(without_nulls(F.array(_resource("host"), _resource("user", F.col("user_id"))))),
        "observables": observables(),
        "evidences": evidences(),
        "unmapped": unmapped(),
    }
    return with_objects(findings).select(*[c.alias(n) for n, c in columns.items()])


def _metadata() -> Column:
    product = F.struct(F.lit("procnet").alias("name"))
    return F.struct(F.lit(VERSION).alias("version"), product.alias("product"), F.col("finding_id").alias("uid"))


def _finding_info(time: Column) -> Column:
    rule = {"uid": "detection_id", "name": "detection_name", "version": "detection_version"}
    records = F.array(_record("process_record_id", _LAUNCH), _record("connection_record_id", _OPEN))
    parts = {
        "uid": F.col("finding_id"),
        "title": F.col("detection_name"),
        "analytic": struct_or_null({n: F.col(c).cast("string") for n, c in rule.items()}, {"type_id": F.lit(_RULE)}),
        "attacks": array_or_null(F.transform("mitre_attack", _attack)),
        "first_seen_time": time,
        "last_seen_time": time,
        "data_sources": array_or_null(without_nulls(F.array("vendor_product"))),
        "related_events": array_or_null(without_nulls(records)),
    }
    return F.struct(*[c.alias(n) for n, c in parts.items()])


def _attack(technique: Column) -> Column:
    parent = F.struct(F.substring_index(technique, ".", 1).alias("uid"))
    sub_technique = F.when(technique.contains("."), F.struct(technique.alias("uid")))
    return F.struct(parent.alias("technique"), sub_technique.alias("sub_technique"))


def _record(column: str, type_uid: int) -> Column:
    return struct_or_null({"uid": F.col(column)}, {"type_uid": F.lit(type_uid).cast("bigint")})


def _resource(column: str, uid: Column | None = None) -> Column:
    parts = {"name": F.col(column), "uid": F.lit(None).cast("string") if uid is None else uid}
    return struct_or_null(parts, {"type": F.lit(column)})
