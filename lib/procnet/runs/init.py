"""A lake made ready: its tables, and in a catalog the view of findings in the original search's columns."""

from __future__ import annotations

from procnet.findings.rows import CIM_COLUMNS
from procnet.lake.tables import Lake


def init(lake: Lake) -> list[str]:
    """Create what is not there yet; returns the names of the new tables.

    The view `findings_cim` needs a catalog (`namespace`). A folder has none: there `findings.rows.findings_cim` gives
    the same columns.
    """
    new = lake.create()
    if lake.settings.lake is None and lake.settings.namespace is not None:
        lake.create_view("findings_cim", CIM_COLUMNS, of="findings")
    return new
