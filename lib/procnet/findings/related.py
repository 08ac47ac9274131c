"""Other processes that belong to a finding's story: its parent and grandparent, its clients, its children that connect.

Windows Installer does its work in a service, `msiexec /V`, and in servers for custom actions, `msiexec -Embedding`.
They make the connection, and their own command line says nothing. The URL stands with the msiexec that a person or a
program started on the same host within a minute before: the client.

Few findings ask, so their hosts and keys go to the starts, which are read once for all roles. What is told depends on
each finding's own times and on no window.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.contract import FINDINGS

REACH = timedelta(seconds=60)  # clients before a connection; children around it, and from their start to their own
PARENT_AGE = timedelta(hours=24)  # how long before its child a parent may have started
AHEAD = 2 * REACH  # how far behind a finding's connection events are asked for
_MOST = 5  # clients, and children, told of one finding
_INSTALLER = "msiexec.exe"
_SERVER_LINE = r"(?i)msiexec(\.exe)?\"?\s+([/-]v\b|[/-]embedding\b)"
_ROLES = ("client", "parent", "grandparent", "child")  # the order in which they are told
_TOLD = ("process_id", "process_guid", "process_time", "process_name", "process")
_ABOVE = ("parent_process_id", "parent_process_guid", "parent_process_name", "parent_command_line")


def near_starts(findings: DataFrame, processes: DataFrame, host_key: str) -> DataFrame:
    """Starts that may belong to findings: of each finding its best parent, its clients, children that could connect.

    In: `contract.FINDINGS`, few; `contract.PROCESS_EVENTS` from PARENT_AGE before the first process among them to AHEAD
    of the last connection; `host_key`, SQL by which hosts are joined. Out: `finding_id`, `at` (that of its host),
    `role`, `start` (struct of _TOLD and of what the start says of its own parent). Two sensors' records of one client
    or child are one, the fuller.
    """
    asked = findings.select(
        "finding_id", F.expr(host_key).alias("at"), F.col("event_time").alias("time"),
        F.coalesce("process_time", "event_time").alias("began"), F.explode(_questions()).alias("asks"),
    ).select("*", "asks.*")  # fmt: skip
    start = F.struct(
        "process_id", "process_guid", F.col("event_time").alias("process_time"), "process_name",
        F.col("command_line").alias("process"), *_ABOVE,
    )  # fmt: skip
    starts = processes.where(F.col("event_kind") == "start").select(
        F.expr(host_key).alias("start_at"), start.alias("start")
    )
    # A fleet's starts are cut to the hosts that are asked for before each is laid under its keys.
    on_hosts = starts.join(F.broadcast(asked.select("at").distinct()), F.col("start_at") == F.col("at"), "left_semi")
    keyed = on_hosts.select("*", F.explode(_answers()).alias("start_key"))
    same_key = (F.col("start_at") == F.col("at")) & (F.col("start_key") == F.col("key"))
    met = keyed.join(F.broadcast(asked), same_key).where(_belongs())
    # A parent is the last start on its key; of the others, each process id is one.
    one = F.when(F.col("role") != "parent", F.col("start.process_id"))
    best = met.groupBy("finding_id", "at", "role", one.alias("of")).agg(
        F.max_by("start", _rank()).alias("start"), F.first("name").alias("name")
    )
    # Judged of the last start alone: an older one of the right name was gone before another took its id.
    is_named = F.coalesce(F.col("start.process_name") == F.col("name"), F.lit(True))
    return best.where((F.col("role") != "parent") | is_named).select("finding_id", "at", "role", "start")


def _questions() -> Column:
    """What a finding asks of starts: role, key, and the ids and the name that an answer must agree with."""
    parent = ("parent_process_id", "parent_process_guid", "parent_process_name")
    own = ("process_id", "process_guid", "process_name")
    installer = F.when(_is_server(F.col("process_name"), F.col("process")), F.lit("installer"))
    questions = [
        _ask("parent", _key("p", parent[0]), parent),
        _ask("parent", _key("g", parent[1]), parent),
        _ask("child", _key("c", own[0]), own),
        _ask("child", _key("d", own[1]), own),
        _ask("client", installer, own),
    ]
    return F.filter(F.array(*questions), F.isnotnull)


def _ask(role: str, key: Column, who: tuple[str, str, str]) -> Column:
    agrees = [F.col(column).alias(n) for n, column in zip(("pid", "guid", "name"), who, strict=True)]
    return F.when(key.isNotNull(), F.struct(F.lit(role).alias("role"), key.alias("key"), *agrees))


def _answers() -> Column:
    """The keys under which a start may be asked for."""
    start = F.col("start")
    is_client = (start["process_name"] == _INSTALLER) & start["process_id"].isNotNull()
    client = F.when(is_client & ~_is_server(start["process_name"], start["process"]), F.lit("installer"))
    keys = [_key("p", "start.process_id"), _key("g", "start.process_guid"), _key("c", "start.parent_process_id"),
            _key("d", "start.parent_process_guid"), client]  # fmt: skip
    return F.filter(F.array(*keys), F.isnotnull)


def _key(kind: str, column: str) -> Column:
    return F.concat(F.lit(kind), F.col(column).cast("string"))


def _is_server(name: Column, line: Column) -> Column:
    return F.coalesce((name == _INSTALLER) & line.rlike(_SERVER_LINE), F.lit(False))


def _belongs() -> Column:
    """Whether a start that answers by its key is near enough in time and contradicts nothing."""
    start, time, began = F.col("start"), F.col("time"), F.col("began")
    at, reach = start["process_time"], F.lit(REACH)

    def agree(a: Column, b: str) -> Column:
        return F.coalesce(a == F.col(b), F.lit(True))

    parent = (at <= began) & (at >= began - F.lit(PARENT_AGE)) & agree(start["process_id"], "pid")
    parent = parent & agree(start["process_guid"], "guid")
    client = (at <= time) & (at >= time - reach) & ~F.coalesce(start["process_id"] == F.col("pid"), F.lit(False))
    child = (at >= F.greatest(began, time - reach)) & (at <= time + reach) & agree(start["parent_process_id"], "pid")
    child = child & agree(start["parent_process_guid"], "guid") & agree(start["parent_process_name"], "name")
    role = F.col("role")
    return F.when(role == "parent", parent).when(role == "client", client).otherwise(child)


def _rank() -> Column:
    """Which start answers best: a parent known by its unique key, then the latest; of two sensors' records the fuller,
    then the earlier, then any fixed one."""
    start, is_parent = F.col("start"), F.col("role") == "parent"
    by_guid = F.coalesce(start["process_guid"] == F.col("guid"), F.lit(False))
    time = F.unix_micros(start["process_time"])
    return F.struct(
        F.when(is_parent, by_guid).alias("by_guid"), F.when(is_parent, time).alias("latest"),
        start["process"].isNotNull().alias("line"), start["process_guid"].isNotNull().alias("has_guid"),
        (-time).alias("earliest"), start["process"].alias("process"), start["process_guid"].alias("a_guid"),
    )  # fmt: skip


def connecting(near: DataFrame, connections: DataFrame, host_key: str) -> DataFrame:
    """Of `near_starts`, the children that connect within REACH of their start: `finding_id`, `process_id`.

    In: `contract.NETWORK_EVENTS` to AHEAD of the last finding's connection. It is the shape of Elastic's rule "MsiExec
    Service Child Process With Network Connection": a process and its connection within a minute.
    """
    children = near.where((F.col("role") == "child") & F.col("start.process_id").isNotNull()).select(
        "finding_id", "at", "start"
    )
    same = (
        (F.expr(host_key) == F.col("at"))
        & (F.col("process_id") == F.col("start.process_id"))
        & (F.col("event_time") >= F.col("start.process_time"))
        & (F.col("event_time") <= F.col("start.process_time") + F.lit(REACH))
        & F.coalesce(F.col("process_guid") == F.col("start.process_guid"), F.lit(True))
        & F.coalesce(F.col("process_name") == F.col("start.process_name"), F.lit(True))
    )
    met = connections.select("host", "process_id", "process_guid", "process_name", "event_time").join(
        F.broadcast(children), same
    )
    return met.select("finding_id", F.col("start.process_id").alias("process_id")).distinct()


def with_related(findings: DataFrame, near: DataFrame, connects: DataFrame) -> DataFrame:
    """Findings with `related`: the latest clients first to last, parent, grandparent, and the first children.

    In: `contract.FINDINGS`; `near_starts` and `connecting` of them. Out: FINDINGS, row for row. The grandparent is what
    the parent's own record says of its parent, so its start is not told.
    """
    parent, child = (near.where(F.col("role") == role) for role in ("parent", "child"))
    is_one = (child["finding_id"] == connects["finding_id"]) & (F.col("start.process_id") == connects["process_id"])
    known = reduce(or_, [F.col(f"start.{n}").isNotNull() for n in _ABOVE])
    told = [
        _of_role("client", near.where(F.col("role") == "client"), _TOLD),
        _of_role("parent", parent, _TOLD),
        _of_role("grandparent", parent.where(known), (*_ABOVE[:2], None, *_ABOVE[2:])),
        _of_role("child", child.join(F.broadcast(connects), is_one, "left_semi"), _TOLD),
    ]
    in_role = reduce(DataFrame.unionAll, told).groupBy("finding_id", "place")
    them = in_role.agg(F.array_sort(F.collect_list("it")).alias("them"))
    first = F.when(F.col("place") == 0, F.greatest(F.lit(1), F.size("them") - (_MOST - 1))).otherwise(1)
    few = them.select("finding_id", F.struct("place", F.slice("them", first, F.lit(_MOST)).alias("them")).alias("of"))
    whole = few.groupBy("finding_id").agg(F.array_sort(F.collect_list("of")).alias("of"))
    flat = F.transform(F.flatten(F.transform("of", lambda o: o["them"])), lambda it: it["who"])
    found = whole.select("finding_id", flat.cast(FINDINGS["related"].dataType).alias("found"))
    return (
        findings.join(F.broadcast(found), "finding_id", "left")
        .withColumn("related", F.coalesce("related", "found"))
        .select(*findings.columns)
    )


def _of_role(role: str, starts: DataFrame, names: Sequence[str | None]) -> DataFrame:
    """`finding_id`, `place` of the role, and `it`: who is told, in the order of time."""
    values = [F.lit(None).cast("timestamp") if n is None else F.col(f"start.{n}") for n in names]
    who = F.struct(F.lit(role).alias("role"), *[v.alias(n) for n, v in zip(_TOLD, values, strict=True)])
    it = F.struct(values[2].alias("time"), values[0].alias("id"), who.alias("who"))
    return starts.select("finding_id", F.lit(_ROLES.index(role)).alias("place"), it.alias("it"))
