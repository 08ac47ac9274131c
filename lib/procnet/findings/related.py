"""Processes related to a finding: its parent and grandparent, its installer clients, its children that connect.

Windows Installer works in a service, `msiexec /V`, and in servers of custom actions, `msiexec -Embedding`. These make
the connection, but their command lines do not say for what. The URL is in the command line of the msiexec that a person
or a program started on the same host within a minute before: the client.

Few findings need a lookup, so their hosts and keys are broadcast to the starts, which are read once for all roles. The
result depends on each finding's own times and not on the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.contract import FINDINGS

# Longest time from a client's start to the finding's connection, from that to a child's start (before or after it), and
# from a child's start to the child's own connection.
REACH = timedelta(seconds=60)
PARENT_AGE = timedelta(hours=24)  # longest time from a parent's start to its child's
AHEAD = 2 * REACH  # events up to this long after a finding's connection are needed
_MAX_PER_ROLE = 5  # clients, and children, of one finding
_INSTALLER = "msiexec.exe"
_SERVER_COMMAND_LINE = r"(?i)msiexec(\.exe)?\"?\s+([/-]v\b|[/-]embedding\b)"
_ROLES = ("client", "parent", "grandparent", "child")  # in the order of the column `related`
_FIELDS = ("process_id", "process_guid", "process_time", "process_name", "process")
_PARENT_FIELDS = ("parent_process_id", "parent_process_guid", "parent_process_name", "parent_command_line")


def near_starts(findings: DataFrame, process_events: DataFrame, host_key: str) -> DataFrame:
    """Starts that may be related to findings: of each finding its best parent, its clients, and all its children.

    In: `contract.FINDINGS`, few; `contract.PROCESS_EVENTS` from PARENT_AGE before the first process of the findings to
    AHEAD after their last connection; `host_key`, the SQL of the key by which hosts are joined. Out: `finding_id`,
    `host_key`, `role`, `start` (struct of `_FIELDS` and `_PARENT_FIELDS`). Of two sensors' records of one client or
    child, the more complete one is taken.
    """
    lookups = findings.select(
        "finding_id", F.expr(host_key).alias("host_key"), F.col("event_time").alias("connection_time"),
        F.coalesce("process_time", "event_time").alias("start_time"), F.explode(_lookups()).alias("lookup"),
    ).select("finding_id", "host_key", "connection_time", "start_time", "lookup.*")  # fmt: skip
    start = F.struct(
        "process_id", "process_guid", F.col("event_time").alias("process_time"), "process_name",
        F.col("command_line").alias("process"), *_PARENT_FIELDS,
    )  # fmt: skip
    starts = process_events.where(F.col("event_kind") == "start").select(
        F.expr(host_key).alias("start_host_key"), start.alias("start")
    )
    # The starts of a fleet are cut to the hosts of the findings before each is exploded into its keys.
    same_host = F.col("start_host_key") == F.col("host_key")
    on_hosts = starts.join(F.broadcast(lookups.select("host_key").distinct()), same_host, "left_semi")
    keyed = on_hosts.select("*", F.explode(_start_keys()).alias("start_key"))
    same_key = same_host & (F.col("start_key") == F.col("key"))
    matches = keyed.join(F.broadcast(lookups), same_key).where(_is_near_and_consistent())
    # One parent for each finding; one start for each process id of its clients and children.
    process_id = F.when(F.col("role") != "parent", F.col("start.process_id"))
    best = matches.groupBy("finding_id", "host_key", "role", process_id.alias("process_id")).agg(
        F.max_by("start", _preference()).alias("start"), F.first("expected_name").alias("expected_name")
    )
    # The name is compared for the best parent only: an older start with the right name had ended before its process id
    # was used again.
    has_expected_name = F.coalesce(F.col("start.process_name") == F.col("expected_name"), F.lit(True))
    return best.where((F.col("role") != "parent") | has_expected_name).select("finding_id", "host_key", "role", "start")


def _lookups() -> Column:
    """Array of a finding's lookups: role, key, and the ids and the name that a start must not contradict."""
    parent = ("parent_process_id", "parent_process_guid", "parent_process_name")
    own = ("process_id", "process_guid", "process_name")
    installer = F.when(_is_installer_server(F.col("process_name"), F.col("process")), F.lit("installer"))
    lookups = [
        _lookup("parent", _key("p", parent[0]), parent),
        _lookup("parent", _key("g", parent[1]), parent),
        _lookup("child", _key("c", own[0]), own),
        _lookup("child", _key("d", own[1]), own),
        _lookup("client", installer, own),
    ]
    return F.filter(F.array(*lookups), F.isnotnull)


def _lookup(role: str, key: Column, columns: tuple[str, str, str]) -> Column:
    names = ("expected_pid", "expected_guid", "expected_name")
    expected = [F.col(column).alias(name) for name, column in zip(names, columns, strict=True)]
    return F.when(key.isNotNull(), F.struct(F.lit(role).alias("role"), key.alias("key"), *expected))


def _start_keys() -> Column:
    """Array of the keys of a start: as a parent, by its own ids; as a child, by its parent's ids; as a client."""
    start = F.col("start")
    is_installer = (start["process_name"] == _INSTALLER) & start["process_id"].isNotNull()
    is_client = is_installer & ~_is_installer_server(start["process_name"], start["process"])
    keys = [_key("p", "start.process_id"), _key("g", "start.process_guid"), _key("c", "start.parent_process_id"),
            _key("d", "start.parent_process_guid"), F.when(is_client, F.lit("installer"))]  # fmt: skip
    return F.filter(F.array(*keys), F.isnotnull)


def _key(kind: str, column: str) -> Column:
    return F.concat(F.lit(kind), F.col(column).cast("string"))


def _is_installer_server(name: Column, command_line: Column) -> Column:
    return F.coalesce((name == _INSTALLER) & command_line.rlike(_SERVER_COMMAND_LINE), F.lit(False))


def _is_near_and_consistent() -> Column:
    """Whether a start with the key of a lookup is near enough in time, and no id or name that both have differs."""
    start, connection_time, start_time = F.col("start"), F.col("connection_time"), F.col("start_time")
    time, reach = start["process_time"], F.lit(REACH)

    def agrees(value: Column, expected: str) -> Column:
        return F.coalesce(value == F.col(expected), F.lit(True))

    parent = (time <= start_time) & (time >= start_time - F.lit(PARENT_AGE))
    parent = parent & agrees(start["process_id"], "expected_pid") & agrees(start["process_guid"], "expected_guid")
    is_same_process = F.coalesce(start["process_id"] == F.col("expected_pid"), F.lit(False))
    client = (time <= connection_time) & (time >= connection_time - reach) & ~is_same_process
    child = (time >= F.greatest(start_time, connection_time - reach)) & (time <= connection_time + reach)
    child = child & agrees(start["parent_process_id"], "expected_pid")
    child = child & agrees(start["parent_process_guid"], "expected_guid")
    child = child & agrees(start["parent_process_name"], "expected_name")
    role = F.col("role")
    return F.when(role == "parent", parent).when(role == "client", client).otherwise(child)


def _preference() -> Column:
    """Struct whose maximum is the best start. Of parents: the one with the expected guid, then the latest. Of several
    records of one process: the more complete one, then the earlier one, then by text, so that the choice is fixed."""
    start, is_parent = F.col("start"), F.col("role") == "parent"
    has_expected_guid = F.coalesce(start["process_guid"] == F.col("expected_guid"), F.lit(False))
    time = F.unix_micros(start["process_time"])
    return F.struct(
        F.when(is_parent, has_expected_guid).alias("has_expected_guid"), F.when(is_parent, time).alias("latest"),
        start["process"].isNotNull().alias("has_command_line"), start["process_guid"].isNotNull().alias("has_guid"),
        (-time).alias("earliest"), start["process"].alias("process"), start["process_guid"].alias("process_guid"),
    )  # fmt: skip


def connecting_children(near: DataFrame, network_events: DataFrame, host_key: str) -> DataFrame:
    """Children in `near_starts` that connect within REACH of their start: `finding_id`, `process_id`.

    In: `contract.NETWORK_EVENTS` to AHEAD after the last finding's connection. The condition is that of Elastic's rule
    "MsiExec Service Child Process With Network Connection": a process start and its connection within a minute.
    """
    children = near.where((F.col("role") == "child") & F.col("start.process_id").isNotNull()).select(
        "finding_id", "host_key", "start"
    )
    connects = (
        (F.expr(host_key) == F.col("host_key"))
        & (F.col("process_id") == F.col("start.process_id"))
        & (F.col("event_time") >= F.col("start.process_time"))
        & (F.col("event_time") <= F.col("start.process_time") + F.lit(REACH))
        & F.coalesce(F.col("process_guid") == F.col("start.process_guid"), F.lit(True))
        & F.coalesce(F.col("process_name") == F.col("start.process_name"), F.lit(True))
    )
    events = network_events.select("host", "process_id", "process_guid", "process_name", "event_time")
    matches = events.join(F.broadcast(children), connects)
    return matches.select("finding_id", F.col("start.process_id").alias("process_id")).distinct()


def with_related(findings: DataFrame, near: DataFrame, connecting: DataFrame) -> DataFrame:
    """Findings with `related`: the latest clients, the parent, the grandparent, the first children that connect.

    In: `contract.FINDINGS`; `near_starts` and `connecting_children` of them. Out: `contract.FINDINGS`, the same rows.
    Within a role, processes are ordered by time. The grandparent is known only from the parent's own record, so its
    start time is null.
    """
    clients, parents, children = (near.where(F.col("role") == role) for role in ("client", "parent", "child"))
    is_connecting = (children["finding_id"] == connecting["finding_id"]) & (
        F.col("start.process_id") == connecting["process_id"]
    )
    has_parent = reduce(or_, [F.col(f"start.{n}").isNotNull() for n in _PARENT_FIELDS])
    processes = [
        _in_role("client", clients, _FIELDS),
        _in_role("parent", parents, _FIELDS),
        _in_role("grandparent", parents.where(has_parent), (*_PARENT_FIELDS[:2], None, *_PARENT_FIELDS[2:])),
        _in_role("child", children.join(F.broadcast(connecting), is_connecting, "left_semi"), _FIELDS),
    ]
    by_role = reduce(DataFrame.unionAll, processes).groupBy("finding_id", "role_number")
    ordered = by_role.agg(F.array_sort(F.collect_list("process")).alias("processes"))
    is_client = F.col("role_number") == _ROLES.index("client")
    first = F.when(is_client, F.greatest(F.lit(1), F.size("processes") - (_MAX_PER_ROLE - 1))).otherwise(1)
    limited = F.slice("processes", first, F.lit(_MAX_PER_ROLE))
    in_role = F.struct("role_number", limited.alias("processes"))
    by_finding = ordered.select("finding_id", in_role.alias("in_role")).groupBy("finding_id")
    roles = by_finding.agg(F.array_sort(F.collect_list("in_role")).alias("roles"))
    entries = F.transform(F.flatten(F.transform("roles", lambda r: r["processes"])), lambda p: p["entry"])
    related = roles.select("finding_id", entries.cast(FINDINGS["related"].dataType).alias("new_related"))
    return (
        findings.join(F.broadcast(related), "finding_id", "left")
        .withColumn("related", F.coalesce("related", "new_related"))
        .select(*findings.columns)
    )


def _in_role(role: str, starts: DataFrame, columns: Sequence[str | None]) -> DataFrame:
    """`finding_id`, `role_number` and `process`: struct of time, id (which give the order) and the entry of `related`.

    `columns` of the struct `start` become `_FIELDS`; None stands for the time, where it is unknown.
    """
    values = [F.lit(None).cast("timestamp") if c is None else F.col(f"start.{c}") for c in columns]
    entry = F.struct(F.lit(role).alias("role"), *[v.alias(n) for n, v in zip(_FIELDS, values, strict=True)])
    process = F.struct(values[2].alias("time"), values[0].alias("id"), entry.alias("entry"))
    return starts.select("finding_id", F.lit(_ROLES.index(role)).alias("role_number"), process.alias("process"))
