"""Matches -> rows of the findings table, and the ten columns of the original search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import FINDINGS, PROCESS_FIELDS
from procnet.findings.identity import finding_id, one_per_event

_MISSING = "(unknown)"
# The output of the Splunk search, in its order: its `_time`, `dest` are our event_time and host.
CIM_COLUMNS = {
    "_time": "event_time", "user": "user", "dest": "host", "parent_process_name": "parent_process_name",
    "process_name": "process_name", "process_path": "process_path", "process": "process", "process_id": "process_id",
    "dest_port": "dest_port", "dest_ip": "dest_ip",
}  # fmt: skip


@dataclass(frozen=True)
class Says:
    """What a detection says of its findings: a message with `{column}`s, and whose risk it is and what it came by, as
    pairs of a column of the findings and what it holds."""

    message: str
    risk_objects: tuple[tuple[str, str], ...] = ()
    threat_objects: tuple[tuple[str, str], ...] = ()


def to_findings(hits: DataFrame, says: Mapping[str, Says]) -> DataFrame:
    """Findings of the matches: one for each (detection, connection, instance).

    In: NETWORK_EVENTS, `attribution`, `instance`, `detection`; `says`: what each detection, by id, says of them.
    Out: `contract.FINDINGS`, without wall clock and window, so that any run over the same data gives the same bytes.
    What the instance does not know, the connection's own record may: `user` of Sysmon 3 where 4688 was the start.
    """
    of_process = {n: F.coalesce(F.col(f"instance.{n}"), F.col(n)) for n in PROCESS_FIELDS}
    columns: dict[str, Column] = {
        **{n: F.col(n) for n in FINDINGS.names if n in hits.columns},
        **of_process,
        **{n: F.col(f"detection.{n}") for n in ("fingerprint", "risk_score", "severity", "mitre_attack")},
        **{f"detection_{n}": F.col(f"detection.{n}") for n in ("id", "name", "version")},
        "finding_id": finding_id(),
        "process_time": F.col("instance.process_time"),
        "process_end_time": F.col("instance.process_end_time"),
        "process": of_process["command_line"],
        "process_record_id": F.col("instance.record_id"),
        "connection_record_id": F.col("record_id"),
        "related": F.lit(None).cast(FINDINGS["related"].dataType),
        "excluded_by": F.lit(None).cast("string"),
        **{n: F.lit(None) for n in ("message", "risk_objects", "threat_objects")},
        "finding_date": F.col("event_date"),
    }
    flat = one_per_event(hits).select(*[columns[n].cast(FINDINGS[n].dataType).alias(n) for n in FINDINGS.names])
    told = {
        "message": _message({d: s.message for d, s in says.items()}),
        "risk_objects": _objects({d: s.risk_objects for d, s in says.items()}),
        "threat_objects": _objects({d: s.threat_objects for d, s in says.items()}),
    }
    return flat.withColumns(told).select(*FINDINGS.names)


def findings_cim(findings: DataFrame) -> DataFrame:
    """The ten columns of the original search, by its names and in its order. In: `contract.FINDINGS`."""
    return findings.select(*[F.col(ours).alias(theirs) for theirs, ours in CIM_COLUMNS.items()])


def _objects(objects: Mapping[str, Sequence[tuple[str, str]]]) -> Column:
    """The known ones of each detection, in one order whichever detections run: by column. Detections that name the same
    share one expression, since each is some ten calls to the JVM."""
    named = sorted({pair for pairs in objects.values() for pair in pairs})
    found = []
    for column, kind in named:
        by = sorted(d for d, pairs in objects.items() if (column, kind) in pairs)
        holds = F.col(column).isNotNull()
        if len(by) < len(objects):
            holds = holds & F.col("detection_id").isin(by)
        value = F.struct(F.col(column).cast("string").alias("value"), F.lit(kind).alias("type"))
        found.append(F.when(holds, value))
    told = F.filter(F.array(*found), F.isnotnull) if found else F.array()
    return told.cast(FINDINGS["risk_objects"].dataType)


def _message(messages: Mapping[str, str]) -> Column:
    """Each detection's template as one concatenation: a value that looks like a placeholder stays a value."""
    message = F.lit(None).cast("string")
    for detection, template in messages.items():
        message = F.when(F.col("detection_id") == detection, _filled(template)).otherwise(message)
    return message


def _filled(template: str) -> Column:
    parts: list[Column] = []
    for literal, field in _pieces(template):
        parts.append(F.lit(literal))
        if field:
            value = F.col(field)
            text = F.date_format(value, "yyyy-MM-dd HH:mm:ss") if _is_time(field) else value.cast("string")
            parts.append(F.coalesce(text, F.lit(_MISSING)))
    return F.concat(*parts)


def _is_time(field: str) -> bool:
    return isinstance(FINDINGS[field].dataType, T.TimestampType)


def _pieces(template: str) -> list[tuple[str, str | None]]:
    return [(literal, field) for literal, field, _, _ in Formatter().parse(template)]
