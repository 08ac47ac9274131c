"""Findings as Splunk ES intermediate findings: events of the index `risk`, one for each risk object.

Field names of the risk framework are those of contentctl's model of a risk event. Fields of processes and connections
are the CIM's (Endpoint.Processes, Network_Traffic, Web), with the endpoint as `dest`. Other fields have our column
names.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.exports.columns import array_or_null

_OWN_NAMES = (
    "risk_score", "severity", "finding_id", "detection_id", "detection_version", "fingerprint", "attribution", "user",
    "user_id", "process_id", "process_guid", "process_name", "process_path", "process", "original_file_name",
    "process_hash", "parent_process_id", "parent_process_guid", "parent_process_name", "parent_process_path", "src_ip",
    "src_port", "dest_ip", "dest_port", "dest_host", "dest_name", "dest_name_by", "transport", "direction", "action",
    "bytes_in", "bytes_out", "vendor_product", "process_record_id", "connection_record_id", "flow_uid", "community_id",
    "duration", "server_name", "url", "ja3", "ja4",
)  # fmt: skip
# `source` is a default field of Splunk, which the text of an event cannot set.
_RENAMED = {"risk_message": "message", "dest": "host", "process_integrity_level": "integrity_level",
            "parent_process": "parent_command_line", "orig_source": "source"}  # fmt: skip


def to_splunk_es(findings: DataFrame) -> DataFrame:
    """One event for each live finding and each of its `risk_objects`, in the same order.

    In: `contract.FINDINGS`. Out: flat columns; `_time` and other times in seconds since 1970, with microseconds.
    Excluded findings are left out: Splunk ES sums the scores of the index and has no status that excludes an event.
    """
    live = findings.where(F.col("excluded_by").isNull())
    exploded = live.withColumn("bearer", F.explode("risk_objects")).withColumn(
        "threats", array_or_null(F.col("threat_objects"))
    )
    columns = {
        "_time": _seconds("event_time"),
        "search_name": F.concat("detection_name", F.lit(" - Rule")),
        "risk_object": F.col("bearer.value"),
        "risk_object_type": F.col("bearer.type"),
        # Two multivalue fields of the same length and order.
        "threat_object": F.col("threats.value"),
        "threat_object_type": F.col("threats.type"),
        "annotations.mitre_attack": array_or_null(F.col("mitre_attack")),
        "dest_names": array_or_null(F.col("dest_names")),
        **{n: F.col(n) for n in _OWN_NAMES},
        **{theirs: F.col(ours) for theirs, ours in _RENAMED.items()},
        "process_time": _seconds("process_time"),
        "process_end_time": _seconds("process_end_time"),
        **{
            f"related_{n}": _related_values(n)
            for n in ("role", "process_id", "process_guid", "process_name", "process")
        },
    }
    return exploded.select(*[c.alias(n) for n, c in columns.items()])


def _seconds(time: str) -> Column:
    # As many digits as a timestamp of any year has.
    return (F.unix_micros(time).cast("decimal(20,0)") / 10**6).cast("decimal(19,6)")


def _related_values(name: str) -> Column:
    """Values of `related`; `unknown`, as in the CIM, for null: multivalue fields of one length have no gaps."""
    return array_or_null(F.transform("related", lambda r: F.coalesce(r[name].cast("string"), F.lit("unknown"))))
