"""Risk of findings: risk events (repeated findings in a bucket of time are one), and incidents where risk adds up.

The rule is docs/semantics.md, R7. Both are pure functions of the findings, in SQL, so that a catalog's views and the
command line's frames have one definition. Neither is stored: reruns, late events and new exclusions cannot make them
stale.
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
# Findings that agree in these are one risk event.
_EVENT_KEY = ("detection_id", "risk_object_type", "risk_object", "host", "process_id", "process_guid", "process_time",
              "process_name", "destination", "bucket")  # fmt: skip
_TIMES = ("process_time", "bucket")


def risk_events(findings: DataFrame, settings: RiskSettings, tactics: Mapping[str, Sequence[str]]) -> DataFrame:
    """One row for each (detection, risk object, process identity, destination, bucket of `risk.throttle`).

    In: `contract.FINDINGS`, of which excluded ones are left out; `tactics` by ATT&CK technique. Out:
    `contract.RISK_EVENTS`. Buckets are cut on a grid from 1970, so findings of whole buckets give whole events,
    however the findings were computed.
    """
    sql = risk_events_sql("{findings}", settings, tactics)
    return findings.sparkSession.sql(sql, findings=findings)


def incidents(events: DataFrame, settings: RiskSettings) -> DataFrame:
    """One row for each moment at which a risk object passes a threshold: see `contract.INCIDENTS`.

    In: `contract.RISK_EVENTS`. Whether an incident begins depends on the events of up to `risk.score_over` and
    `risk.tactics_over` before it: the events must start that much earlier than the period of interest.
    """
    return events.sparkSession.sql(incidents_sql("{events}", settings), events=events)


def by_object(events: DataFrame) -> DataFrame:
    """One row for each risk object with its total risk, the highest first.

    In: `contract.RISK_EVENTS`. Out: `risk_object_type`, `risk_object`, `score` (sum), `risk_events`, `findings`
    (counts), `detections`, `tactics` (distinct, sorted), `last_time`.
    """
    totals = events.groupBy("risk_object_type", "risk_object").agg(
        F.sum("risk_score").alias("score"),
        F.count("*").alias("risk_events"),
        F.sum("findings").alias("findings"),
        F.array_sort(F.collect_set("detection_name")).alias("detections"),
        F.array_sort(F.array_distinct(F.flatten(F.collect_list("tactics")))).alias("tactics"),
        F.max("last_time").alias("last_time"),
    )
    return totals.orderBy(F.desc("score"), "risk_object_type", "risk_object")


def risk_events_sql(findings: str, settings: RiskSettings, tactics: Mapping[str, Sequence[str]]) -> str:
    """SQL query of `risk_events`; `findings` is the table's name in SQL."""
    tactics_map = ", ".join(f"{literal(t)}, array({', '.join(map(literal, names))})" for t, names in tactics.items())
    # Every host has the shared accounts: the sum of such a user would be that of the whole fleet.
    is_shared = one_of("lower(risk_object)", [a.lower() for a in settings.shared_accounts] or [None])
    is_own = f"NOT coalesce(risk_object_type = 'user' AND {is_shared}, false)"
    bucket, key = settings.throttle // _MICROS, ", ".join(_EVENT_KEY)
    return f"""
WITH live AS (
  SELECT *, explode(risk_objects) AS object, coalesce(dest_name, dest_host, dest_ip) AS destination,
    timestamp_micros(unix_micros(event_time) - pmod(unix_micros(event_time), {bucket})) AS bucket
  FROM {findings} WHERE excluded_by IS NULL
), with_risk_object AS (
  SELECT *, object.type AS risk_object_type, object.value AS risk_object, struct(event_time, finding_id) AS position
  FROM live
), grouped AS (
  SELECT {key}, min_by(detection_name, position) AS detection_name,
    min_by(detection_version, position) AS detection_version,
    min(event_time) AS first_time, max(event_time) AS last_time, count(*) AS findings,
    sum(bytes_in) AS bytes_in, sum(bytes_out) AS bytes_out,
    max(risk_score) AS risk_score, max_by(severity, risk_score) AS severity,
    array_sort(array_distinct(flatten(collect_list(mitre_attack)))) AS mitre_attack,
    array_sort(array_distinct(flatten(collect_list(threat_objects)))) AS threat_objects,
    min_by(message, position) AS message, min_by(finding_id, position) AS finding_id
  FROM with_risk_object WHERE {is_own} GROUP BY {key}
), with_tactics_by_technique AS (
  SELECT *, sha2(to_json(array({", ".join(map(_text, _EVENT_KEY))})), 256) AS risk_event_id,
    transform(mitre_attack, t -> tactics_map[substring_index(t, '.', 1)]) AS tactics_by_technique
  FROM grouped CROSS JOIN (SELECT map({tactics_map}) AS tactics_map)
), with_tactics AS (
  SELECT *, array_sort(array_distinct(flatten(filter(tactics_by_technique, t -> t IS NOT NULL)))) AS tactics
  FROM with_tactics_by_technique
)
SELECT {", ".join(RISK_EVENTS.names)} FROM with_tactics"""


def incidents_sql(events: str, settings: RiskSettings) -> str:
    """SQL query of `incidents`; `events` is the name in SQL of the table or view of risk events."""
    score, tactics = settings.score_over // _MICROS, settings.tactics_over // _MICROS
    rows_before = "RANGE BETWEEN {0} PRECEDING AND 1 PRECEDING"
    # An event that is exactly one period old counts no more; just before this moment it still did.
    rows_now = "RANGE BETWEEN {0} PRECEDING AND CURRENT ROW"
    window = "(PARTITION BY risk_object_type, risk_object ORDER BY unix_micros(first_time)"
    # One detection may have techniques of three tactics: its single finding is no chain of steps.
    sources = "size(collect_set(CASE WHEN size(tactics) > 0 THEN detection_id END)"
    passes = f"(size(tactics_{{0}}) >= {settings.tactics} AND sources_{{0}} >= {settings.tactics_detections})"
    return f"""
WITH running AS (
  SELECT *, sum(risk_score) OVER {window} {rows_now.format(score - 1)}) AS score,
    coalesce(sum(risk_score) OVER {window} {rows_before.format(score)}), 0) AS score_before,
    array_distinct(flatten(collect_list(tactics) OVER {window} {rows_now.format(tactics - 1)}))) AS tactics_now,
    array_distinct(flatten(collect_list(tactics) OVER {window} {rows_before.format(tactics)}))) AS tactics_before,
    {sources} OVER {window} {rows_now.format(tactics - 1)})) AS sources_now,
    {sources} OVER {window} {rows_before.format(tactics)})) AS sources_before
  FROM {events}
), passed AS (
  SELECT DISTINCT risk_object_type, risk_object, first_time AS incident_time, explode(filter(array(
    IF(score >= {settings.score} AND score_before < {settings.score}, 'score', NULL),
    IF({passes.format("now")} AND NOT {passes.format("before")}, 'tactics', NULL)),
    r -> r IS NOT NULL)) AS reason FROM running
), with_events AS (
  SELECT p.*, array_sort(collect_list(
    struct(e.first_time, e.risk_event_id, e.detection_id, e.risk_score, e.tactics))) AS events
  FROM passed p JOIN {events} e ON p.risk_object_type = e.risk_object_type AND p.risk_object = e.risk_object
    AND e.first_time <= p.incident_time
    AND unix_micros(e.first_time) > unix_micros(p.incident_time) - IF(p.reason = 'score', {score}, {tactics})
  GROUP BY ALL
), with_totals AS (
  SELECT *, sha2(to_json(array(risk_object_type, risk_object, reason, CAST(unix_micros(incident_time) AS STRING))), 256)
      AS incident_id,
    aggregate(events, CAST(0 AS BIGINT), (sum, e) -> sum + e.risk_score) AS score,
    array_sort(array_distinct(flatten(transform(events, e -> e.tactics)))) AS tactics,
    array_sort(array_distinct(transform(events, e -> e.detection_id))) AS detections,
    events[0].first_time AS first_time, transform(events, e -> e.risk_event_id) AS risk_events
  FROM with_events
)
SELECT {", ".join(INCIDENTS.names)} FROM with_totals"""


def _text(column: str) -> str:
    return f"CAST({f'unix_micros({column})' if column in _TIMES else column} AS STRING)"
