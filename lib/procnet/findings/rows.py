"""Rows of the findings table, made of matches; and the ten columns of the original Splunk search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import FINDINGS, PROCESS_FIELDS
from procnet.findings.identity import finding_id, one_per_event
from procnet.spark.sql import column, literal

_UNKNOWN = "(unknown)"
# Output of the Splunk search, in its order -> our columns.
CIM_COLUMNS = {
    "_time": "event_time", "user": "user", "dest": "host", "parent_process_name": "parent_process_name",
    "process_name": "process_name", "process_path": "process_path", "process": "process", "process_id": "process_id",
    "dest_port": "dest_port", "dest_ip": "dest_ip",
}  # fmt: skip


@dataclass(frozen=True)
class FindingTemplate:
    """How a detection fills message, risk objects and threat objects of its findings.

    `message` has `{column}` placeholders. Objects are pairs of a column of the findings and the type of its value.
    """

    message: str
    risk_objects: tuple[tuple[str, str], ...] = ()
    threat_objects: tuple[tuple[str, str], ...] = ()


def to_findings(matches: DataFrame, templates: Mapping[str, FindingTemplate]) -> DataFrame:
    """Findings of the matches, one for each (detection, connection, process instance).

    In: NETWORK_EVENTS, `attribution`, `instance`, `detection`; `templates` by detection id. Out: `contract.FINDINGS`.
    No column depends on the clock or the window, so that any run over the same data gives the same bytes. A process
    field that the instance lacks is taken from the connection's own record, such as `user` of Sysmon event 3 where the
    start is a Windows event 4688.
    """
    of_process = {n: f"coalesce(instance.{n}, {n})" for n in PROCESS_FIELDS}
    columns = {
        **{n: n for n in FINDINGS.names if n in matches.columns},
        **of_process,
        **{n: f"detection.{n}" for n in ("fingerprint", "risk_score", "severity", "mitre_attack")},
        **{f"detection_{n}": f"detection.{n}" for n in ("id", "name", "version")},
        "finding_id": finding_id(),
        "process_time": "instance.process_time",
        "process_end_time": "instance.process_end_time",
        "process": of_process["command_line"],
        "process_record_id": "instance.record_id",
        "connection_record_id": "record_id",
        "finding_date": "event_date",
    }
    # Computed in a second step, from columns of the findings.
    from_template = {
        "message": _message_sql({d: t.message for d, t in templates.items()}),
        "risk_objects": _objects_sql({d: t.risk_objects for d, t in templates.items()}),
        "threat_objects": _objects_sql({d: t.threat_objects for d, t in templates.items()}),
    }
    flat = one_per_event(matches).selectExpr(*[_typed(n, columns.get(n, "NULL")) for n in FINDINGS.names])
    return flat.selectExpr(*[_typed(n, from_template[n]) if n in from_template else n for n in FINDINGS.names])


def findings_cim(findings: DataFrame) -> DataFrame:
    """The ten columns of the original search, with its names and in its order. In: `contract.FINDINGS`."""
    return findings.select(*[F.col(ours).alias(theirs) for theirs, ours in CIM_COLUMNS.items()])


def _typed(name: str, value: str) -> str:
    return f"CAST({value} AS {FINDINGS[name].dataType.simpleString()}) AS {name}"


def _objects_sql(objects: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Array of the non-null objects of each detection, ordered by column, whichever detections run."""
    elements = []
    for name, kind in sorted({pair for pairs in objects.values() for pair in pairs}):
        detections = [d for d, pairs in sorted(objects.items()) if (name, kind) in pairs]
        applies = f"{column('detection_id')} IN ({', '.join(map(literal, detections))}) AND {column(name)} IS NOT NULL"
        value = f"named_struct('value', CAST({column(name)} AS STRING), 'type', {literal(kind)})"
        elements.append(f"CASE WHEN {applies} THEN {value} END")
    return f"filter(array({', '.join(elements)}), o -> o IS NOT NULL)" if elements else "array()"


def _message_sql(messages: Mapping[str, str]) -> str:
    """The message of each detection as one concatenation, so that values with braces are not read as placeholders."""
    cases = [f"WHEN {literal(d)} THEN concat({', '.join(_message_parts(m))})" for d, m in messages.items()]
    return f"CASE {column('detection_id')} {' '.join(cases)} END" if cases else "NULL"


def _message_parts(template: str) -> Iterator[str]:
    for text, field, _, _ in Formatter().parse(template):
        yield literal(text)
        if field:
            is_time = isinstance(FINDINGS[field].dataType, T.TimestampType)
            value = (
                f"date_format({column(field)}, 'yyyy-MM-dd HH:mm:ss')"
                if is_time
                else f"CAST({column(field)} AS STRING)"
            )
            yield f"coalesce({value}, {literal(_UNKNOWN)})"
