"""OCSF objects of a finding: processes, files, users, endpoints, the connection.

OCSF refuses a process without pid and uid, an endpoint without ip and hostname, and a file without a name.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.exports.columns import (
    account_domain,
    account_name,
    any_not_null,
    array_or_null,
    file_name,
    mapped,
    parse_hashes,
    struct_or_null,
)
from procnet.vocabulary import PROTOCOLS

_INTEGRITY = {"untrusted": 1, "low": 2, "medium": 3, "high": 4, "system": 5, "protected": 6}
_DIRECTION = {"inbound": 1, "outbound": 2}
# Without protocol 41: a sensor's `ipv6` may also mean the version of the addresses.
_PROTOCOL = {name: int(number) for number, name in PROTOCOLS.items() if name != "ipv6"}
_ALGORITHM = {"MD5": 1, "SHA1": 2, "SHA256": 3, "SHA512": 4}
_UNKNOWN, _OTHER, _REGULAR_FILE = 0, 99, 1


def with_objects(findings: DataFrame) -> DataFrame:
    """Findings with `parsed_hashes`, `file_object`, `user_object`, `parent_object`, `process_object` and
    `connection_object`."""
    # In steps, so that a column that others use is computed once and not at each use.
    frame = findings.withColumn("parsed_hashes", parse_hashes(F.col("process_hash")))
    file_hashes = array_or_null(F.transform("parsed_hashes", _hash))
    frame = frame.withColumns({
        "file_object": _file("process_name", "process_path", {"hashes": file_hashes}),
        "user_object": _user(), "parent_object": _parent(), "connection_object": _connection(),
    })  # fmt: skip
    return frame.withColumn("process_object", _process())


def process_has_key() -> Column:
    """Whether the process has a pid or uid, as OCSF requires."""
    return any_not_null([F.col("process_id"), F.col("process_guid")])


def parent_has_key() -> Column:
    """Whether the parent process has a pid or uid."""
    return any_not_null([F.col("parent_process_id"), F.col("parent_process_guid")])


def related_has_key(r: Column) -> Column:
    """Whether an element of `related` has a pid or uid."""
    return any_not_null([r["process_id"], r["process_guid"]])


def endpoint(names: dict[str, Column], port: str) -> Column:
    """One side of the connection: `names` (ip, hostname) and port; null if all of `names` are."""
    parts = {**names, "port": F.col(port)}
    return F.when(any_not_null(names.values()), F.struct(*[c.alias(n) for n, c in parts.items()]))


def related_process_parts(r: Column) -> dict[str, Column]:
    """Parts of an OCSF process, from an element of `related`."""
    return {"pid": r["process_id"], "uid": r["process_guid"], "name": r["process_name"], "cmd_line": r["process"],
            "created_time": F.unix_millis(r["process_time"])}  # fmt: skip


def _process() -> Column:
    level = F.col("integrity_level")
    return struct_or_null({
        "pid": F.col("process_id"), "uid": F.col("process_guid"), "name": F.col("process_name"),
        "cmd_line": F.col("process"), "created_time": F.unix_millis("process_time"),
        "terminated_time": F.unix_millis("process_end_time"), "integrity": level,
        "integrity_id": F.coalesce(mapped(level, _INTEGRITY), F.when(level.isNotNull(), _OTHER)),
        "file": F.col("file_object"), "user": F.col("user_object"),
        "parent_process": F.when(parent_has_key(), F.col("parent_object")),
    })  # fmt: skip


def _parent() -> Column:
    parts = {"pid": "process_id", "uid": "process_guid", "name": "process_name", "cmd_line": "command_line"}
    image = _file("parent_process_name", "parent_process_path")
    return struct_or_null({**{n: F.col(f"parent_{c}") for n, c in parts.items()}, "file": image})


def _user() -> Column:
    user = F.col("user")
    return struct_or_null({"name": account_name(user), "domain": account_domain(user), "uid": F.col("user_id")})


def _file(name: str, path: str, more: dict[str, Column] | None = None) -> Column:
    """OCSF file of an image, null without a name."""
    base_name = F.coalesce(file_name(F.col(path)), F.col(name))
    parts = {"name": base_name, "path": F.col(path), "type_id": F.lit(_REGULAR_FILE), **(more or {})}
    return F.when(base_name.isNotNull(), F.struct(*[c.alias(n) for n, c in parts.items()]))


def _hash(h: Column) -> Column:
    number = F.coalesce(mapped(h["algorithm"], _ALGORITHM), F.when(h["algorithm"].isNull(), _UNKNOWN).otherwise(_OTHER))
    return F.struct(number.alias("algorithm_id"), h["algorithm"].alias("algorithm"), h["value"].alias("value"))


def _connection() -> Column:
    direction = F.coalesce(mapped(F.col("direction"), _DIRECTION), F.lit(_UNKNOWN))
    number = mapped(F.col("transport"), _PROTOCOL)
    return F.struct(
        direction.alias("direction_id"), F.col("transport").alias("protocol_name"), number.alias("protocol_num"),
        F.col("flow_uid").alias("uid"), F.col("community_id").alias("community_uid"),
    )  # fmt: skip
