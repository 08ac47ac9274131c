"""Findings as Splunk ES intermediate findings: the events of the index `risk`, one for each object that bears the risk.

Names of the risk framework are those that contentctl's model of a risk event asks for; of processes and connections,
the CIM's (Endpoint.Processes, Network_Traffic), with `dest` the endpoint; the rest are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.findings.render import filled, known

# Whom the risk falls on, where its detection is not known any more: a finding does not keep the `risk.objects`.
_RISK_OBJECTS = {"host": "system", "user": "user"}
_THREAT_OBJECTS = {
    "dest_ip": "ip_address", "dest_host": "domain", "process_name": "process_name",
    "parent_process_name": "parent_process_name",
}  # fmt: skip
_SAME = (
    "risk_score", "severity", "finding_id", "detection_id", "detection_version", "fingerprint", "attribution", "user",
    "user_id", "process_id", "process_guid", "process_name", "process_path", "process", "original_file_name",
    "process_hash", "parent_process_id", "parent_process_guid", "parent_process_name", "parent_process_path", "src_ip",
    "src_port", "dest_ip", "dest_port", "dest_host", "transport", "direction", "action", "bytes_in", "bytes_out",
    "vendor_product", "process_record_id", "connection_record_id",
)  # fmt: skip
# `source` is Splunk's own field, which an event cannot set by its text.
_RENAMED = {"risk_message": "message", "dest": "host", "process_integrity_level": "integrity_level",
            "parent_process": "parent_command_line", "orig_source": "source"}  # fmt: skip


def to_splunk_es(findings: DataFrame, bearers: Mapping[str, Collection[str]] | None = None) -> DataFrame:
    """One event for each live finding and each risk object of it, in the same order, the host before the user.

    In: `contract.FINDINGS`; `bearers`: detection id -> columns that its risk falls on (its `risk.objects`), of host and
    user; a detection that is not there has both. Out: flat columns; `_time` and other times in seconds since 1970, to
    the microsecond. Excluded findings are left out: the index sums up scores and knows no status that would take one
    back.
    """
    objects = []
    for column, kind in _RISK_OBJECTS.items():
        spared = sorted(d for d, columns in (bearers or {}).items() if column not in columns)
        bears = ~F.col("detection_id").isin(spared) if spared else F.lit(True)
        objects.append(F.when(bears, _typed(F.col(column), kind)))
    live = findings.where(F.col("excluded_by").isNull()).withColumn("risk_of", F.explode(known(F.array(*objects))))
    threats = filled(known(F.array(*[_typed(F.col(c), kind) for c, kind in _THREAT_OBJECTS.items()])))
    told = live.withColumn("threats", threats)
    columns = {
        "_time": _seconds("event_time"),
        "search_name": F.concat("detection_name", F.lit(" - Rule")),
        "risk_object": F.col("risk_of.value"),
        "risk_object_type": F.col("risk_of.kind"),
        # Two lists of one length and order, as ES has them.
        "threat_object": F.col("threats.value"),
        "threat_object_type": F.col("threats.kind"),
        "annotations.mitre_attack": filled(F.col("mitre_attack")),
        **{n: F.col(n) for n in _SAME},
        **{theirs: F.col(ours) for theirs, ours in _RENAMED.items()},
        "process_time": _seconds("process_time"),
        "process_end_time": _seconds("process_end_time"),
        **{f"related_{n}": _of_related(n) for n in ("role", "process_id", "process_guid", "process_name", "process")},
    }
    return told.select(*[c.alias(n) for n, c in columns.items()])


def _typed(value: Column, kind: str) -> Column:
    return F.when(value.isNotNull(), F.struct(value.alias("value"), F.lit(kind).alias("kind")))


def _seconds(time: str) -> Column:
    return (F.unix_micros(time).cast("decimal(20,0)") / 10**6).cast("decimal(16,6)")


def _of_related(name: str) -> Column:
    """Lists of one length, so a gap needs a word, since a multivalue field has no nulls: `unknown`, as in the CIM."""
    return filled(F.transform("related", lambda r: F.coalesce(r[name].cast("string"), F.lit("unknown"))))
