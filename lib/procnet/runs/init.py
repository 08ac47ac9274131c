"""A lake made ready: its tables, and in a catalog the views of its findings."""

from __future__ import annotations

from procnet.findings.attack_tactics import tactics_of
from procnet.findings.risk import incidents_sql, risk_events_sql
from procnet.findings.rows import CIM_COLUMNS
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.tables import Lake


def init(lake: Lake) -> list[str]:
    """Create what is not there yet; returns the names of the new tables.

    The views `findings_cim`, `risk_events` and `incidents` need a catalog (`namespace`) and are renewed: they carry the
    thresholds of the settings. A folder has none: there `findings.rows` and `findings.risk` give the same rows.
    """
    refuse_unsafe_commits(lake)
    new = lake.create()
    if lake.settings.lake is None and lake.settings.namespace is not None:
        told = ", ".join(f"`{ours}` AS `{theirs}`" for theirs, ours in CIM_COLUMNS.items())
        risk = lake.settings.risk
        lake.create_view("findings_cim", f"SELECT {told} FROM {lake.ref('findings')}")
        lake.create_view("risk_events", risk_events_sql(lake.ref("findings"), risk, tactics_of()))
        lake.create_view("incidents", incidents_sql(lake.ref("risk_events"), risk))
    return new
