"""Creates the tables of a lake and, in a catalog, the views of its findings."""

from __future__ import annotations

from procnet.findings.risk import incidents_sql, risk_events_sql
from procnet.findings.rows import CIM_COLUMNS
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.tables import Lake
from procnet.runs.risk import attack_tactics
from procnet.spark.sql import column


def init(lake: Lake) -> list[str]:
    """Creates the tables that are missing, brings older ones up to date, and returns the names of the new ones.

    In a catalog (`namespace`) the views `findings_cim`, `risk_events` and `incidents` are created, or replaced since
    they contain the thresholds of the settings. A folder has no views: `findings.rows` and `findings.risk` compute the
    same rows. Raises ConfigError where commits could be lost, DataError where a newer procnet has made a table.
    """
    refuse_unsafe_commits(lake)
    new = lake.create()
    if lake.settings.lake is None and lake.settings.namespace is not None:
        columns = ", ".join(f"{column(ours)} AS {column(theirs)}" for theirs, ours in CIM_COLUMNS.items())
        risk = lake.settings.risk
        lake.create_view("findings_cim", f"SELECT {columns} FROM {lake.ref('findings')}")
        lake.create_view("risk_events", risk_events_sql(lake.ref("findings"), risk, attack_tactics()))
        lake.create_view("incidents", incidents_sql(lake.ref("risk_events"), risk))
    return new
