"""The OCSF objects that a finding's columns make: processes, images, accounts, endpoints, the connection.

OCSF refuses a process without id and unique key, an endpoint without address and name, and an image without a name.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.exports.columns import account_domain, account_name, any_of, file_name, filled, hashes, looked_up, some
from procnet.vocabulary import PROTOCOLS

_INTEGRITY = {"untrusted": 1, "low": 2, "medium": 3, "high": 4, "system": 5, "protected": 6}
_DIRECTION = {"inbound": 1, "outbound": 2}
# Without 41: as a word, `ipv6` may be the version of the addresses.
_PROTOCOL = {name: int(number) for number, name in PROTOCOLS.items() if name != "ipv6"}
_ALGORITHM = {"MD5": 1, "SHA1": 2, "SHA256": 3, "SHA512": 4}
_UNKNOWN, _OTHER, _REGULAR_FILE = 0, 99, 1


def with_objects(findings: DataFrame) -> DataFrame:
    """The findings with `of_hashes`, `of_file`, `of_user`, `of_parent`, `of_process`, `of_connection`."""
    # Step by step, so that what others are built of is computed once and not wherever it is named.
    of = findings.withColumn("of_hashes", hashes(F.col("process_hash")))
    of = of.withColumns({
        "of_file": _file("process_name", "process_path", {"hashes": filled(F.transform("of_hashes", _fingerprint))}),
        "of_user": _user(), "of_parent": _parent(), "of_connection": _connection(),
    })  # fmt: skip
    return of.withColumn("of_process", _process())


def process_has_key() -> Column:
    """Whether OCSF lets the process stand."""
    return any_of([F.col("process_id"), F.col("process_guid")])


def parent_has_key() -> Column:
    return any_of([F.col("parent_process_id"), F.col("parent_process_guid")])


def related_has_key(r: Column) -> Column:
    return any_of([r["process_id"], r["process_guid"]])


def endpoint(names: dict[str, Column], port: str) -> Column:
    """A side of the connection, null without a name of it."""
    parts = {**names, "port": F.col(port)}
    return F.when(any_of(names.values()), F.struct(*[c.alias(n) for n, c in parts.items()]))


def of_related(r: Column) -> dict[str, Column]:
    """An element of `related` as parts of a process."""
    return {"pid": r["process_id"], "uid": r["process_guid"], "name": r["process_name"], "cmd_line": r["process"],
            "created_time": F.unix_millis(r["process_time"])}  # fmt: skip


def _process() -> Column:
    level = F.col("integrity_level")
    return some({
        "pid": F.col("process_id"), "uid": F.col("process_guid"), "name": F.col("process_name"),
        "cmd_line": F.col("process"), "created_time": F.unix_millis("process_time"),
        "terminated_time": F.unix_millis("process_end_time"), "integrity": level,
        "integrity_id": F.coalesce(looked_up(level, _INTEGRITY), F.when(level.isNotNull(), _OTHER)),
        "file": F.col("of_file"), "user": F.col("of_user"),
        "parent_process": F.when(parent_has_key(), F.col("of_parent")),
    })  # fmt: skip


def _parent() -> Column:
    parts = {"pid": "process_id", "uid": "process_guid", "name": "process_name", "cmd_line": "command_line"}
    image = _file("parent_process_name", "parent_process_path")
    return some({**{n: F.col(f"parent_{c}") for n, c in parts.items()}, "file": image})


def _user() -> Column:
    user = F.col("user")
    return some({"name": account_name(user), "domain": account_domain(user), "uid": F.col("user_id")})


def _file(name: str, path: str, more: dict[str, Column] | None = None) -> Column:
    """An image. OCSF wants a file's name."""
    called = F.coalesce(file_name(F.col(path)), F.col(name))
    parts = {"name": called, "path": F.col(path), "type_id": F.lit(_REGULAR_FILE), **(more or {})}
    return F.when(called.isNotNull(), F.struct(*[c.alias(n) for n, c in parts.items()]))


def _fingerprint(h: Column) -> Column:
    number = F.coalesce(
        looked_up(h["algorithm"], _ALGORITHM), F.when(h["algorithm"].isNull(), _UNKNOWN).otherwise(_OTHER)
    )
    return F.struct(number.alias("algorithm_id"), h["algorithm"].alias("algorithm"), h["value"].alias("value"))


def _connection() -> Column:
    direction = F.coalesce(looked_up(F.col("direction"), _DIRECTION), F.lit(_UNKNOWN))
    number = looked_up(F.col("transport"), _PROTOCOL)
    return F.struct(
        direction.alias("direction_id"), F.col("transport").alias("protocol_name"), number.alias("protocol_num")
    )
