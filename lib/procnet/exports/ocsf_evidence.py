"""What a Detection Finding was found on: its evidences and observables, and what OCSF has no place for.

Nothing of a finding is lost but the microseconds of its times: what OCSF refuses or has no place for is kept under
`unmapped`, by its own name.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from procnet.exports.columns import any_of, filled, known, left_over, null_like, some
from procnet.exports.ocsf_objects import endpoint, of_related, parent_has_key, process_has_key, related_has_key

_HOST_NAME, _ADDRESS, _USER_NAME, _HASH, _PROCESS_NAME, _COMMAND_LINE = 1, 2, 4, 8, 9, 13  # kinds of observables
_PROCESS = ("pid", "uid", "name", "cmd_line", "created_time", "terminated_time", "integrity", "integrity_id", "file",
            "user", "parent_process")  # fmt: skip
_OWN = ("attribution", "fingerprint", "excluded_by", "original_file_name", "action", "bytes_in", "bytes_out", "source")


def evidences() -> Column:
    """The connection with its process, then the processes of `related`."""
    ours = {
        "uid": F.col("connection_record_id"),
        "name": F.lit(None).cast("string"),
        "process": F.when(process_has_key(), F.col("of_process")),
        "src_endpoint": endpoint({"ip": F.col("src_ip")}, "src_port"),
        "dst_endpoint": endpoint({"ip": F.col("dest_ip"), "hostname": F.col("dest_host")}, "dest_port"),
        "connection_info": F.col("of_connection"),
    }

    def theirs(r: Column) -> Column:
        none = {c: null_like(F.col("of_process")[c]) for c in _PROCESS}
        process = F.struct(*[of_related(r).get(n, c).alias(n) for n, c in none.items()])
        own = {"name": r["role"], "process": process}
        return F.struct(*[own.get(n, null_like(c)).alias(n) for n, c in ours.items()])

    first = F.array(F.struct(*[c.alias(n) for n, c in ours.items()]))
    others = F.transform(F.filter("related", related_has_key), theirs)
    return F.concat(first, F.coalesce(others, F.slice(first, 1, 0)))


def observables() -> Column:
    """What to look for elsewhere, each with the place that it stands at."""
    process = F.when(process_has_key(), "evidences[0].process").otherwise("unmapped.process")
    seen = [
        _observable(F.lit("device.hostname"), _HOST_NAME, F.col("host")),
        _observable(F.lit("evidences[0].dst_endpoint.ip"), _ADDRESS, F.col("dest_ip")),
        _observable(F.lit("evidences[0].dst_endpoint.hostname"), _HOST_NAME, F.col("dest_host")),
        _observable(F.lit("evidences[0].src_endpoint.ip"), _ADDRESS, F.col("src_ip")),
        _observable(F.concat(process, F.lit(".name")), _PROCESS_NAME, F.col("process_name")),
        _observable(F.concat(process, F.lit(".cmd_line")), _COMMAND_LINE, F.col("process")),
        _observable(F.concat(process, F.lit(".user.name")), _USER_NAME, F.col("of_user.name")),
    ]
    place = F.concat(process, F.lit(".file.hashes"))
    digests = F.transform("of_hashes", lambda h: _observable(place, _HASH, h["value"]))
    return filled(known(F.concat(F.array(*seen), digests)))


def unmapped() -> Column:
    """By procnet's own names, but for `process` and `parent_process`, which are objects as OCSF has them."""
    lost = F.filter("related", lambda r: ~related_has_key(r))
    # OCSF has no place for hashes that are none, nor for those of an image without a name.
    placed = F.when(F.col("of_file").isNotNull(), F.col("of_hashes")).otherwise(F.slice("of_hashes", 1, 0))
    told = {
        "process": F.when(~process_has_key(), F.col("of_process")),
        "parent_process": F.when(~parent_has_key(), F.col("of_parent")),
        "process_hash": left_over(F.col("process_hash"), placed),
        "src_port": F.when(F.col("src_ip").isNull(), F.col("src_port")),
        "dest_port": F.when(~any_of([F.col("dest_ip"), F.col("dest_host")]), F.col("dest_port")),
        "related": filled(F.transform(lost, _lost)),
    }
    return some({**{n: F.col(n) for n in _OWN}, **told})


def _lost(r: Column) -> Column:
    return F.struct(r["role"].alias("role"), some(of_related(r)).alias("process"))


def _observable(place: Column, kind: int, value: Column) -> Column:
    found = F.struct(place.alias("name"), F.lit(kind).alias("type_id"), value.alias("value"))
    return F.when(value.isNotNull(), found)
