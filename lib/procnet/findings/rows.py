"""Matches -> rows of the findings table, and the ten columns of the original search."""

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
    of_process = {n: f"coalesce(instance.{n}, {n})" for n in PROCESS_FIELDS}
    columns = {
        **{n: n for n in FINDINGS.names if n in hits.columns},
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
    told = {
        "message": _message({d: s.message for d, s in says.items()}),
        "risk_objects": _objects({d: s.risk_objects for d, s in says.items()}),
        "threat_objects": _objects({d: s.threat_objects for d, s in says.items()}),
    }
    flat = one_per_event(hits).selectExpr(*[_typed(n, columns.get(n, "NULL")) for n in FINDINGS.names])
    return flat.selectExpr(*[_typed(n, told[n]) if n in told else n for n in FINDINGS.names])


def _typed(name: str, value: str) -> str:
    return f"CAST({value} AS {FINDINGS[name].dataType.simpleString()}) AS {name}"


def findings_cim(findings: DataFrame) -> DataFrame:
    """The ten columns of the original search, by its names and in its order. In: `contract.FINDINGS`."""
    return findings.select(*[F.col(ours).alias(theirs) for theirs, ours in CIM_COLUMNS.items()])


def _objects(objects: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """The known ones of each detection, in one order whichever detections run: by column."""
    found = []
    for name, kind in sorted({pair for pairs in objects.values() for pair in pairs}):
        by = [d for d, pairs in sorted(objects.items()) if (name, kind) in pairs]
        holds = f"{column('detection_id')} IN ({', '.join(map(literal, by))}) AND {column(name)} IS NOT NULL"
        value = f"named_struct('value', CAST({column(name)} AS STRING), 'type', {literal(kind)})"
        found.append(f"CASE WHEN {holds} THEN {value} END")
    return f"filter(array({', '.join(found)}), o -> o IS NOT NULL)" if found else "array()"


def _message(messages: Mapping[str, str]) -> str:
    """Each detection's template as one concatenation: a value that looks like a placeholder stays a value."""
    told = [f"WHEN {literal(d)} THEN concat({', '.join(_parts(m))})" for d, m in messages.items()]
    return f"CASE {column('detection_id')} {' '.join(told)} END" if told else "NULL"


def _parts(template: str) -> Iterator[str]:
    for text, field, _, _ in Formatter().parse(template):
        yield literal(text)
        if field:
            is_time = isinstance(FINDINGS[field].dataType, T.TimestampType)
            said = (
                f"date_format({column(field)}, 'yyyy-MM-dd HH:mm:ss')"
                if is_time
                else f"CAST({column(field)} AS STRING)"
            )
            yield f"coalesce({said}, {literal(_MISSING)})"
