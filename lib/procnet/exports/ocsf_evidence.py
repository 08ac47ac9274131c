"""Evidences and observables of a Detection Finding, and `unmapped`.

An event lacks only the microseconds of a finding's times: `unmapped` has what OCSF refuses or has no attribute for.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from procnet.exports.columns import (
    any_not_null,
    array_or_null,
    destination_name,
    struct_or_null,
    typed_null,
    unplaced_hashes,
    without_nulls,
)
from procnet.exports.ocsf_objects import (
    endpoint,
    parent_has_key,
    process_has_key,
    related_has_key,
    related_process_parts,
)

# type_id of observables
_HOST_NAME, _ADDRESS, _USER_NAME, _URL, _HASH, _PROCESS_NAME, _COMMAND_LINE = 1, 2, 4, 6, 8, 9, 13
_JA4 = 1  # type_id of fingerprints
_PROCESS = ("pid", "uid", "name", "cmd_line", "created_time", "terminated_time", "integrity", "integrity_id", "file",
            "user", "parent_process")  # fmt: skip
_UNMAPPED_COLUMNS = (
    "attribution",
    "fingerprint",
    "excluded_by",
    "original_file_name",
    "action",
    "bytes_in",
    "bytes_out",
    "dest_host",
    "dest_name_by",
    "duration",
    # OCSF has no TLS object without the version of TLS, which findings lack.
    "server_name",
    "ja3",
    "source",
)


def evidences() -> Column:
    """Array: the connection with its process, then the processes of `related` that OCSF accepts."""
    connection = {
        "uid": F.col("connection_record_id"),
        "name": F.lit(None).cast("string"),
        "process": F.when(process_has_key(), F.col("process_object")),
        "src_endpoint": endpoint({"ip": F.col("src_ip")}, "src_port"),
        "dst_endpoint": endpoint({"ip": F.col("dest_ip"), "hostname": destination_name()}, "dest_port"),
        "connection_info": F.col("connection_object"),
        "url": struct_or_null({"url_string": F.col("url")}),
        "ja4_fingerprint_list": F.when(F.col("ja4").isNotNull(), F.array(_ja4())),
    }

    def related_process(r: Column) -> Column:
        nulls = {c: typed_null(F.col("process_object")[c]) for c in _PROCESS}
        process = F.struct(*[related_process_parts(r).get(n, c).alias(n) for n, c in nulls.items()])
        parts = {"name": r["role"], "process": process}
        return F.struct(*[parts.get(n, typed_null(c)).alias(n) for n, c in connection.items()])

    first = F.array(F.struct(*[c.alias(n) for n, c in connection.items()]))
    others = F.transform(F.filter("related", related_has_key), related_process)
    return F.concat(first, F.coalesce(others, F.slice(first, 1, 0)))


def observables() -> Column:
    """Array of the values to search for in other data, each with its path in the event."""
    process = F.when(process_has_key(), "evidences[0].process").otherwise("unmapped.process")
    single = [
        _observable(F.lit("device.hostname"), _HOST_NAME, F.col("host")),
        _observable(F.lit("evidences[0].dst_endpoint.ip"), _ADDRESS, F.col("dest_ip")),
        _observable(F.lit("evidences[0].dst_endpoint.hostname"), _HOST_NAME, destination_name()),
        _observable(F.lit("evidences[0].src_endpoint.ip"), _ADDRESS, F.col("src_ip")),
        _observable(F.lit("evidences[0].url.url_string"), _URL, F.col("url")),
        _observable(F.concat(process, F.lit(".name")), _PROCESS_NAME, F.col("process_name")),
        _observable(F.concat(process, F.lit(".cmd_line")), _COMMAND_LINE, F.col("process")),
        _observable(F.concat(process, F.lit(".user.name")), _USER_NAME, F.col("user_object.name")),
    ]
    path = F.concat(process, F.lit(".file.hashes"))
    file_hashes = F.transform("parsed_hashes", lambda h: _observable(path, _HASH, h["value"]))
    return array_or_null(without_nulls(F.concat(F.array(*single), file_hashes)))


def unmapped() -> Column:
    """Struct of what has no attribute, by the names of our columns; `process` and `parent_process` are OCSF objects."""
    without_key = F.filter("related", lambda r: ~related_has_key(r))
    # OCSF has no attribute for texts that are no hash, nor for hashes of an image without a name.
    placed = F.when(F.col("file_object").isNotNull(), F.col("parsed_hashes")).otherwise(F.slice("parsed_hashes", 1, 0))
    parts = {
        "process": F.when(~process_has_key(), F.col("process_object")),
        "parent_process": F.when(~parent_has_key(), F.col("parent_object")),
        "process_hash": unplaced_hashes(F.col("process_hash"), placed),
        "src_port": F.when(F.col("src_ip").isNull(), F.col("src_port")),
        "dest_port": F.when(~any_not_null([F.col("dest_ip"), destination_name()]), F.col("dest_port")),
        "dest_names": array_or_null(F.col("dest_names")),
        "related": array_or_null(F.transform(without_key, _related_without_key)),
    }
    return struct_or_null({**{n: F.col(n) for n in _UNMAPPED_COLUMNS}, **parts})


def _ja4() -> Column:
    return F.struct(F.lit(_JA4).alias("type_id"), F.col("ja4").alias("value"))


def _related_without_key(r: Column) -> Column:
    return F.struct(r["role"].alias("role"), struct_or_null(related_process_parts(r)).alias("process"))


def _observable(path: Column, kind: int, value: Column) -> Column:
    observable = F.struct(path.alias("name"), F.lit(kind).alias("type_id"), value.alias("value"))
    return F.when(value.isNotNull(), observable)
