"""Findings as Elastic Security alerts: ECS fields, and `kibana.alert.*` of Elastic's alert schema.

Objects are nested: Elasticsearch reads `{"kibana": {"alert": ...}}` and `"kibana.alert": ...` as the same field. What
has a field in neither schema is under `procnet`.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.exports.columns import (
    account_domain,
    account_name,
    array_or_null,
    destination_name,
    iso_time,
    mapped,
    parse_hashes,
    struct_or_null,
    unplaced_hashes,
    without_nulls,
)

_ECS = "8.11.0"
_DIRECTION = {"inbound": "ingress", "outbound": "egress"}  # ECS's values for a host's own view
_HASHES = ("md5", "sha1", "sha256", "sha512")
_SCHEME = r"^[A-Za-z][A-Za-z0-9+.-]*://"
_OWN_NAMES = (
    "attribution", "fingerprint", "excluded_by", "integrity_level", "dest_host", "dest_name_by", "flow_uid", "ja4",
)  # fmt: skip


def to_elastic(findings: DataFrame) -> DataFrame:
    """One alert for each finding, in the same order.

    In: `contract.FINDINGS`. Out: the top-level objects of an alert as columns; times are ISO 8601 text in UTC. Alerts
    of excluded findings are closed. `@timestamp` is the connection's time: a finding has no time of its own.
    """
    time, user = iso_time(F.col("event_time")), F.col("user")
    columns = {
        "@timestamp": time,
        "ecs": F.struct(F.lit(_ECS).alias("version")),
        "event": _event(),
        "kibana": F.struct(_alert(time).alias("alert")),
        "host": struct_or_null({"name": F.col("host")}),
        "user": struct_or_null({"name": account_name(user), "domain": account_domain(user), "id": F.col("user_id")}),
        "process": _process(),
        "source": struct_or_null({
            "ip": F.col("src_ip"), "port": F.col("src_port"), "bytes": _bytes("bytes_out", "bytes_in"),
        }),
        "destination": struct_or_null({
            "ip": F.col("dest_ip"), "port": F.col("dest_port"), "domain": destination_name(),
            "bytes": _bytes("bytes_in", "bytes_out"),
        }),
        "network": struct_or_null({
            "transport": F.col("transport"), "direction": mapped(F.col("direction"), _DIRECTION),
            "community_id": F.col("community_id"),
        }),
        "tls": struct_or_null({"client": struct_or_null({
            "server_name": F.when(~_is_plain_http(), F.col("server_name")), "ja3": F.col("ja3"),
        })}),
        "url": struct_or_null({
            "original": F.col("url"), "full": F.when(F.col("url").rlike(_SCHEME), F.col("url")),
            "domain": F.when(_is_plain_http(), F.col("server_name")),
        }),
        "related": _related(),
        "procnet": _procnet(),
    }  # fmt: skip
    with_hashes = findings.withColumn("parsed_hashes", parse_hashes(F.col("process_hash")))
    return with_hashes.select(*[c.alias(n) for n, c in columns.items()])


def _event() -> Column:
    parts = {
        "kind": F.lit("signal"),
        "category": F.array(F.lit("network")),
        "type": F.array(F.lit("connection")),
        "action": F.col("action"),
        "module": F.col("source"),
        "provider": F.col("vendor_product"),
        "duration": F.round(F.col("duration") * 10**9).try_cast("bigint"),
    }
    return F.struct(*[c.alias(n) for n, c in parts.items()])


def _alert(time: Column) -> Column:
    # Elastic's lowest severity is low.
    severity = F.when(F.col("severity") == "informational", "low").otherwise(F.col("severity"))
    rule = {
        "rule_id": F.col("detection_id"),
        "name": F.col("detection_name"),
        "version": F.col("detection_version"),
        "threat": array_or_null(F.transform("mitre_attack", _threat)),
    }
    parts = {
        "uuid": F.col("finding_id"),
        "original_time": time,
        "status": F.lit("active"),
        "workflow_status": F.when(F.col("excluded_by").isNull(), "open").otherwise("closed"),
        "reason": F.col("message"),
        "risk_score": F.col("risk_score"),
        "severity": severity,
        "rule": struct_or_null(rule),
        "ancestors": array_or_null(
            without_nulls(F.array(_record("process_record_id"), _record("connection_record_id")))
        ),
    }
    return F.struct(*[c.alias(n) for n, c in parts.items()])


def _threat(technique: Column) -> Column:
    subtechnique = F.when(technique.contains("."), F.array(F.struct(technique.alias("id"))))
    parent = F.struct(F.substring_index(technique, ".", 1).alias("id"), subtechnique.alias("subtechnique"))
    return F.struct(F.lit("MITRE ATT&CK").alias("framework"), F.array(parent).alias("technique"))


def _record(column: str) -> Column:
    return struct_or_null({"id": F.col(column)}, {"type": F.lit("event")})


def _process() -> Column:
    parent = {"pid": "process_id", "entity_id": "process_guid", "name": "process_name", "executable": "process_path",
              "command_line": "command_line"}  # fmt: skip
    return struct_or_null({
        "pid": F.col("process_id"), "entity_id": F.col("process_guid"), "name": F.col("process_name"),
        "executable": F.col("process_path"), "command_line": F.col("process"),
        "start": iso_time(F.col("process_time")), "end": iso_time(F.col("process_end_time")),
        "hash": struct_or_null({n: _hash(n) for n in _HASHES}),
        "pe": struct_or_null({"original_file_name": F.col("original_file_name"), "imphash": _hash("imphash")}),
        "parent": struct_or_null({n: F.col(f"parent_{c}") for n, c in parent.items()}),
    })  # fmt: skip


def _hash(algorithm: str) -> Column:
    """Hash in lower case, as in Elastic's rules and indicators: the field is compared with case."""
    of_algorithm = F.filter("parsed_hashes", lambda h: h["algorithm"] == algorithm.upper())
    return F.lower(F.get(of_algorithm, F.lit(0))["value"])


def _bytes(outbound: str, inbound: str) -> Column:
    """Bytes that one side sent. The source is the host; of an inbound connection, the remote side."""
    return F.when(F.col("direction") == "inbound", F.col(inbound)).otherwise(F.col(outbound))


def _is_plain_http() -> Column:
    """Whether `server_name` is of HTTP's Host header: a sensor that reads a request sees no TLS around it."""
    return F.col("url").isNotNull() & ~F.lower("url").startswith("https:")


def _related() -> Column:
    digests = F.array(*[_hash(n) for n in (*_HASHES, "imphash")])
    names = F.coalesce("dest_names", F.array().cast("array<string>"))
    lists = {
        "ip": F.array("src_ip", "dest_ip"),
        "hosts": F.array_distinct(F.concat(F.array("host", "dest_name"), names, F.array("dest_host", "server_name"))),
        "user": F.array(account_name(F.col("user"))),
        "hash": digests,
    }
    return struct_or_null({n: array_or_null(without_nulls(c)) for n, c in lists.items()})


def _procnet() -> Column:
    placed = F.filter("parsed_hashes", lambda h: h["algorithm"].isin(*[n.upper() for n in (*_HASHES, "imphash")]))
    related = F.transform("related", lambda r: F.struct(
        r["role"].alias("role"), r["process_id"].alias("process_id"), r["process_guid"].alias("process_guid"),
        iso_time(r["process_time"]).alias("process_time"), r["process_name"].alias("process_name"),
        r["process"].alias("process"),
    ))  # fmt: skip
    return struct_or_null({
        **{n: F.col(n) for n in _OWN_NAMES},
        "dest_names": array_or_null(F.col("dest_names")),
        "process_hash": unplaced_hashes(F.col("process_hash"), placed),
        "related": array_or_null(related),
    })  # fmt: skip
