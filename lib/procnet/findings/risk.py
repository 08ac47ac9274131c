"""Risk of findings: repeats thrown together on a fixed grid of time, and incidents where risk adds up (2-semantics, 7).

Both are pure functions of the findings, written as SQL, so that the views of a catalog and the frames of the command
line are one definition. Nothing of them is stored: no rerun, late event or new exclusion can leave them behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import INCIDENTS, RISK_EVENTS
from procnet.settings import RiskSettings
from procnet.spark.sql import literal, one_of

_MICROS = timedelta(microseconds=1)
# What makes findings repeats of one another.
_ABOUT = ("detection_id", "risk_object_type", "risk_object", "host", "process_id", "process_guid", "process_time",
          "process_name", "destination", "bucket")  # fmt: skip
_TIMES = ("process_time", "bucket")


def risk_events(findings: DataFrame, settings: RiskSettings, tactics: Mapping[str, Sequence[str]]) -> DataFrame:
    """One row for each (detection, risk object, process identity, destination, bucket of `risk.throttle`).

    In: `contract.FINDINGS`. Out: `contract.RISK_EVENTS`. Excluded findings take no part. Buckets are cut on a grid from
    1970, so whole buckets of findings give whole events, however the findings came to be there.
    """
    sql = risk_events_sql("{findings}", settings, tactics)
    return findings.sparkSession.sql(sql, findings=findings)


def incidents(events: DataFrame, settings: RiskSettings) -> DataFrame:
    """One row for each moment at which a risk object comes to pass a threshold: see `contract.INCIDENTS`.

    In: `contract.RISK_EVENTS`. Whether one begins depends on the events of `risk.score_over` and `risk.tactics_over`
    before it alone: read that much further back than the period asked for.
    """
    return events.sparkSession.sql(incidents_sql("{events}", settings), events=events)


def by_object(events: DataFrame) -> DataFrame:
    """Who bears how much: one row for each risk object, the greatest sum first.

    In: `contract.RISK_EVENTS`. Out: `risk_object_type`, `risk_object`, `score` (sum), `risk_events`, `findings`
    (counts), `detections`, `tactics` (distinct, in order), `last_time`.
    """
    told = events.groupBy("risk_object_type", "risk_object").agg(
        F.sum("risk_score").alias("score"),
        F.count("*").alias("risk_events"),
        F.sum("findings").alias("findings"),
        F.array_sort(F.collect_set("detection_name")).alias("detections"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("tactics")))).alias("tactics"),
        F.max("last_time").alias("last_time"),
    )
    return told.orderBy(F.desc("score"), "risk_object_type", "risk_object")


def risk_events_sql(findings: str, settings: RiskSettings, tactics: Mapping[str, Sequence[str]]) -> str:
    """The query of `risk_events` over a table's name in SQL."""
    serves = ", ".join(f"'{t}', array({', '.join(map(literal, names))})" for t, names in tactics.items())
    # A shared account is one of every host: its sum would be the fleet's, and say nothing of anyone.
    shared = one_of("lower(risk_object)", [a.lower() for a in settings.shared_accounts] or [None])
    not_shared = f"NOT coalesce(risk_object_type = 'user' AND {shared}, false)"
    bucket, about = settings.throttle // _MICROS, ", ".join(_ABOUT)
    return f"""
WITH objects AS (
  SELECT *, explode(risk_objects) AS object, coalesce(dest_host, dest_ip) AS destination,
    timestamp_micros(unix_micros(event_time) - pmod(unix_micros(event_time), {bucket})) AS bucket
  FROM {findings} WHERE excluded_by IS NULL
), live AS (
  SELECT *, object.type AS risk_object_type, object.value AS risk_object, struct(event_time, finding_id) AS at
  FROM objects
), thrown_together AS (
  SELECT {about}, min_by(detection_name, at) AS detection_name, min_by(detection_version, at) AS detection_version,
    min(event_time) AS first_time, max(event_time) AS last_time, count(*) AS findings,
    sum(bytes_in) AS bytes_in, sum(bytes_out) AS bytes_out,
    max(risk_score) AS risk_score, max_by(severity, risk_score) AS severity,
    array_sort(array_distinct(flatten(collect_list(mitre_attack)))) AS mitre_attack,
    array_sort(array_distinct(flatten(collect_list(threat_objects)))) AS threat_objects,
    min_by(message, at) AS message, min_by(finding_id, at) AS finding_id
  FROM live WHERE {not_shared} GROUP BY {about}
), served AS (
  SELECT *, sha2(to_json(array({", ".join(map(_text, _ABOUT))})), 256) AS risk_event_id,
    transform(mitre_attack, t -> serves[substring_index(t, '.', 1)]) AS tactics_each
  FROM thrown_together CROSS JOIN (SELECT map({serves}) AS serves)
), told AS (
  SELECT *, array_sort(array_distinct(flatten(filter(tactics_each, t -> t IS NOT NULL)))) AS tactics FROM served
)
SELECT {", ".join(RISK_EVENTS.names)} FROM told"""


def incidents_sql(events: str, settings: RiskSettings) -> str:
    """The query of `incidents` over a table's name in SQL."""
    score, tactics = settings.score_over // _MICROS, settings.tactics_over // _MICROS
    before_of = "RANGE BETWEEN {0} PRECEDING AND 1 PRECEDING"
    # An event that is exactly one period old counts no more; just before this moment it still did.
    now_of = "RANGE BETWEEN {0} PRECEDING AND CURRENT ROW"
    by = "(PARTITION BY risk_object_type, risk_object ORDER BY unix_micros(first_time)"
    return f"""
WITH sums AS (
  SELECT *, sum(risk_score) OVER {by} {now_of.format(score - 1)}) AS score,
    coalesce(sum(risk_score) OVER {by} {before_of.format(score)}), 0) AS score_before,
    array_distinct(flatten(collect_list(tactics) OVER {by} {now_of.format(tactics - 1)}))) AS served,
    array_distinct(flatten(collect_list(tactics) OVER {by} {before_of.format(tactics)}))) AS served_before
  FROM {events}
), passed AS (
  SELECT DISTINCT risk_object_type, risk_object, first_time AS incident_time, explode(filter(array(
    IF(score >= {settings.score} AND score_before < {settings.score}, 'score', NULL),
    IF(size(served) >= {settings.tactics} AND size(served_before) < {settings.tactics}, 'tactics', NULL)),
    r -> r IS NOT NULL)) AS reason FROM sums
), gathered AS (
  SELECT p.*, array_sort(collect_list(
    struct(e.first_time, e.risk_event_id, e.detection_id, e.risk_score, e.tactics))) AS events
  FROM passed p JOIN {events} e ON p.risk_object_type = e.risk_object_type AND p.risk_object = e.risk_object
    AND e.first_time <= p.incident_time
    AND unix_micros(e.first_time) > unix_micros(p.incident_time) - IF(p.reason = 'score', {score}, {tactics})
  GROUP BY ALL
), told AS (
  SELECT *, sha2(to_json(array(risk_object_type, risk_object, reason, CAST(unix_micros(incident_time) AS STRING))), 256)
      AS incident_id,
    aggregate(events, CAST(0 AS BIGINT), (sum, e) -> sum + e.risk_score) AS score,
    array_sort(array_distinct(flatten(transform(events, e -> e.tactics)))) AS tactics,
    array_sort(array_distinct(transform(events, e -> e.detection_id))) AS detections,
    events[0].first_time AS first_time, transform(events, e -> e.risk_event_id) AS risk_events
  FROM gathered
)
SELECT {", ".join(INCIDENTS.names)} FROM told"""


def _text(column: str) -> str:
    return f"CAST({f'unix_micros({column})' if column in _TIMES else column} AS STRING)"
