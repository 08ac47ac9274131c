"""Findings as Splunk ES intermediate findings: the events of the index `risk`, one for each object that bears the risk.

Names of the risk framework are those that contentctl's model of a risk event asks for; of processes and connections,
the CIM's (Endpoint.Processes, Network_Traffic), with `dest` the endpoint; the rest are ours.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.exports.columns import filled

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


def to_splunk_es(findings: DataFrame) -> DataFrame:
    """One event for each live finding and each of its `risk_objects`, in the same order.

    In: `contract.FINDINGS`. Out: flat columns; `_time` and other times in seconds since 1970, to the microsecond.
    Excluded findings are left out: the index sums up scores and knows no status that would take one back.
    """
    live = findings.where(F.col("excluded_by").isNull())
    told = live.withColumn("risk_of", F.explode("risk_objects")).withColumn("threats", filled(F.col("threat_objects")))
    columns = {
        "_time": _seconds("event_time"),
        "search_name": F.concat("detection_name", F.lit(" - Rule")),
        "risk_object": F.col("risk_of.value"),
        "risk_object_type": F.col("risk_of.type"),
        # Two lists of one length and order, as ES has them.
        "threat_object": F.col("threats.value"),
        "threat_object_type": F.col("threats.type"),
        "annotations.mitre_attack": filled(F.col("mitre_attack")),
        **{n: F.col(n) for n in _SAME},
        **{theirs: F.col(ours) for theirs, ours in _RENAMED.items()},
        "process_time": _seconds("process_time"),
        "process_end_time": _seconds("process_end_time"),
        **{f"related_{n}": _of_related(n) for n in ("role", "process_id", "process_guid", "process_name", "process")},
    }
    return told.select(*[c.alias(n) for n, c in columns.items()])


def _seconds(time: str) -> Column:
    return (F.unix_micros(time).cast("decimal(20,0)") / 10**6).cast("decimal(16,6)")


def _of_related(name: str) -> Column:
    """Lists of one length, so a gap needs a word, since a multivalue field has no nulls: `unknown`, as in the CIM."""
    return filled(F.transform("related", lambda r: F.coalesce(r[name].cast("string"), F.lit("unknown"))))
