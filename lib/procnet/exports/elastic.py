"""Findings as Elastic Security alerts: ECS fields, and `kibana.alert.*` of Elastic's alert schema.

Objects are nested; Elasticsearch reads `{"kibana": {"alert": ...}}` and `"kibana.alert": ...` as the same field. What
neither schema has a place for stands under `procnet`.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.exports.columns import account_domain, account_name, filled, hashes, iso, known, left_over, looked_up, some

_ECS = "8.11.0"
_DIRECTION = {"inbound": "ingress", "outbound": "egress"}  # ECS's words for what a host sees of itself
_HASHES = ("md5", "sha1", "sha256", "sha512")


def to_elastic(findings: DataFrame) -> DataFrame:
    """One alert for each finding, in the same order.

    In: `contract.FINDINGS`. Out: an alert's top-level objects as columns; times as ISO 8601 text in UTC. An excluded
    finding is closed. `@timestamp` is the connection's time, since a finding knows no clock.
    """
    at, user = iso(F.col("event_time")), F.col("user")
    columns = {
        "@timestamp": at,
        "ecs": F.struct(F.lit(_ECS).alias("version")),
        "event": _event(),
        "kibana": F.struct(_alert(at).alias("alert")),
        "host": some({"name": F.col("host")}),
        "user": some({"name": account_name(user), "domain": account_domain(user), "id": F.col("user_id")}),
        "process": _process(),
        "source": some({"ip": F.col("src_ip"), "port": F.col("src_port"), "bytes": _bytes("bytes_out", "bytes_in")}),
        "destination": some({
            "ip": F.col("dest_ip"), "port": F.col("dest_port"), "domain": F.col("dest_host"),
            "bytes": _bytes("bytes_in", "bytes_out"),
        }),
        "network": some({"transport": F.col("transport"), "direction": looked_up(F.col("direction"), _DIRECTION)}),
        "related": _related(),
        "procnet": _own(),
    }  # fmt: skip
    told = findings.withColumn("of_hashes", hashes(F.col("process_hash")))
    return told.select(*[c.alias(n) for n, c in columns.items()])


def _event() -> Column:
    parts = {
        "kind": F.lit("signal"),
        "category": F.array(F.lit("network")),
        "type": F.array(F.lit("connection")),
        "action": F.col("action"),
        "module": F.col("source"),
        "provider": F.col("vendor_product"),
    }
    return F.struct(*[c.alias(n) for n, c in parts.items()])


def _alert(at: Column) -> Column:
    # Elastic has no severity below low.
    severity = F.when(F.col("severity") == "informational", "low").otherwise(F.col("severity"))
    rule = {
        "rule_id": F.col("detection_id"),
        "name": F.col("detection_name"),
        "version": F.col("detection_version"),
        "threat": filled(F.transform("mitre_attack", _threat)),
    }
    parts = {
        "uuid": F.col("finding_id"),
        "original_time": at,
        "status": F.lit("active"),
        "workflow_status": F.when(F.col("excluded_by").isNull(), "open").otherwise("closed"),
        "reason": F.col("message"),
        "risk_score": F.col("risk_score"),
        "severity": severity,
        "rule": some(rule),
        "ancestors": filled(known(F.array(_record("process_record_id"), _record("connection_record_id")))),
    }
    return F.struct(*[c.alias(n) for n, c in parts.items()])


def _threat(technique: Column) -> Column:
    part = F.when(technique.contains("."), F.array(F.struct(technique.alias("id"))))
    whole = F.struct(F.substring_index(technique, ".", 1).alias("id"), part.alias("subtechnique"))
    return F.struct(F.lit("MITRE ATT&CK").alias("framework"), F.array(whole).alias("technique"))


def _record(column: str) -> Column:
    return some({"id": F.col(column)}, {"type": F.lit("event")})


def _process() -> Column:
    parent = {"pid": "process_id", "entity_id": "process_guid", "name": "process_name", "executable": "process_path",
              "command_line": "command_line"}  # fmt: skip
    return some({
        "pid": F.col("process_id"), "entity_id": F.col("process_guid"), "name": F.col("process_name"),
        "executable": F.col("process_path"), "command_line": F.col("process"),
        "start": iso(F.col("process_time")), "end": iso(F.col("process_end_time")),
        "hash": some({n: _hash(n) for n in _HASHES}),
        "pe": some({"original_file_name": F.col("original_file_name"), "imphash": _hash("imphash")}),
        "parent": some({n: F.col(f"parent_{c}") for n, c in parent.items()}),
    })  # fmt: skip


def _hash(algorithm: str) -> Column:
    """In lower case, as Elastic's own rules and indicators spell it: the field is compared letter by letter."""
    of_kind = F.filter("of_hashes", lambda h: h["algorithm"] == algorithm.upper())
    return F.lower(F.get(of_kind, F.lit(0))["value"])


def _bytes(outbound: str, inbound: str) -> Column:
    """Bytes that a side sent: the source is the host, or the remote side where the connection came in."""
    return F.when(F.col("direction") == "inbound", F.col(inbound)).otherwise(F.col(outbound))


def _related() -> Column:
    digests = F.array(*[_hash(n) for n in (*_HASHES, "imphash")])
    lists = {
        "ip": F.array("src_ip", "dest_ip"),
        "hosts": F.array("host", "dest_host"),
        "user": F.array(account_name(F.col("user"))),
        "hash": digests,
    }
    return some({n: filled(known(c)) for n, c in lists.items()})


def _own() -> Column:
    placed = F.filter("of_hashes", lambda h: h["algorithm"].isin(*[n.upper() for n in (*_HASHES, "imphash")]))
    others = F.transform("related", lambda r: F.struct(
        r["role"].alias("role"), r["process_id"].alias("process_id"), r["process_guid"].alias("process_guid"),
        iso(r["process_time"]).alias("process_time"), r["process_name"].alias("process_name"),
        r["process"].alias("process"),
    ))  # fmt: skip
    return some({
        **{n: F.col(n) for n in ("attribution", "fingerprint", "excluded_by", "integrity_level")},
        "process_hash": left_over(F.col("process_hash"), placed),
        "related": filled(others),
    })  # fmt: skip
