"""The client of the installer's service: another process, whose command line says what was asked for.

Windows Installer does its work in a service, `msiexec /V`, and in servers for custom actions, `msiexec -Embedding`.
They make the connection, and their own command line says nothing. The URL stands with the msiexec that a person or a
program started on the same host within a minute before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.contract import FINDINGS

REACH = timedelta(seconds=60)
_MOST = 5  # clients told of one finding, the latest ones
_INSTALLER = "msiexec.exe"
_SERVER_LINE = r"(?i)msiexec(\.exe)?\"?\s+([/-]v\b|[/-]embedding\b)"


def wants_clients() -> Column:
    """Whether a finding is of the installer's service; on the columns of `contract.FINDINGS`."""
    return (F.col("process_name") == _INSTALLER) & F.coalesce(F.col("process").rlike(_SERVER_LINE), F.lit(False))


def with_clients(findings: DataFrame, processes: DataFrame, *, host_key: Callable[[Column], Column]) -> DataFrame:
    """Findings, those of the installer's service with its clients in `related` (role `client`), the earliest first.

    In: `contract.FINDINGS`, few; `contract.PROCESS_EVENTS` from REACH before the first of them. Out: FINDINGS, row for
    row. A client is an msiexec on the same host (`host_key` of both is equal) that is no server itself; two sensors'
    records of it are one.
    """
    clients = processes.where(
        (F.col("event_kind") == "start")
        & (F.col("process_name") == _INSTALLER)
        & F.col("process_id").isNotNull()
        & ~F.coalesce(F.col("command_line").rlike(_SERVER_LINE), F.lit(False))
    ).select(
        host_key(F.col("host")).alias("client_host"),
        F.struct(
            F.lit("client").alias("role"), "process_id", "process_guid", F.col("event_time").alias("process_time"),
            "process_name", F.col("command_line").alias("process"),
        ).alias("client"),
    )  # fmt: skip
    asked = findings.where(wants_clients()).select(
        "finding_id", "event_time", "process_id", host_key(F.col("host")).alias("at")
    )
    near = (
        (F.col("client_host") == F.col("at"))
        & (F.col("client.process_time") <= F.col("event_time"))
        & (F.col("client.process_time") >= F.col("event_time") - F.lit(REACH))
        & ~F.coalesce(F.col("client.process_id") == F.col("process_id"), F.lit(False))
    )
    # The fuller record of one start, then the earlier, then any fixed one.
    rank = F.struct(
        F.col("client.process").isNotNull(), F.col("client.process_guid").isNotNull(),
        -F.unix_micros("client.process_time"), F.col("client.process"), F.col("client.process_guid"),
    )  # fmt: skip
    told = (
        clients.join(F.broadcast(asked), near)
        .groupBy("finding_id", F.col("client.process_id").alias("id"))
        .agg(F.max_by("client", rank).alias("client"))
        .groupBy("finding_id")
        .agg(F.collect_list("client").alias("clients"))
        .select("finding_id", _last(F.col("clients")).alias("clients"))
    )
    few = F.col("clients").cast(FINDINGS["related"].dataType)
    return (
        findings.join(F.broadcast(told), "finding_id", "left")
        .withColumn("related", F.coalesce("related", few))
        .select(*findings.columns)
    )


def _last(clients: Column) -> Column:
    keyed = F.transform(clients, lambda c: F.struct(c["process_time"], c["process_id"], c.alias("it")))
    in_time = F.transform(F.array_sort(keyed), lambda p: p["it"])
    return F.slice(in_time, F.greatest(F.lit(1), F.size(clients) - (_MOST - 1)), F.lit(_MOST))
