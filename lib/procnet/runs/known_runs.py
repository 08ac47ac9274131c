"""All that is known of the runs over a lake: the ledger's rows, and commits of findings whose run has no row yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from procnet.contract import EVENT_TABLES
from procnet.engine.events import versions_of
from procnet.lake.coverage import RunAttempt, TableState
from procnet.lake.findings_history import FindingsHistory, findings_history
from procnet.lake.ledger import run_attempts
from procnet.lake.tables import Lake
from procnet.spark.concurrent import run_concurrently


@dataclass(frozen=True)
class KnownRuns:
    """The runs over windows, and the state of the tables, read after them. `findings_version` is the version of the
    findings table before them: no run that is missing among `attempts` has committed earlier than it.
    `unversioned` are the tables of events without Delta versions."""

    attempts: Sequence[RunAttempt]
    findings_version: int
    now: TableState
    unversioned: Sequence[str]


def known_runs(lake: Lake) -> KnownRuns:
    """Reads the ledger, the history of the findings table and the versions of the tables of events.

    A commit of findings whose run has no row in the ledger is of a run that is still working, or was killed.
    """
    before = lake.version("findings")
    recorded = run_attempts(lake)
    history = FindingsHistory(-1) if before is None else findings_history(lake)
    versions = versions_of(lake)
    ids = {a.run_id for a in recorded if a.status != "failed"}
    return KnownRuns(
        [*recorded, *(c for c in history.commits if c.run_id not in ids)],
        -1 if before is None else before,
        TableState(
            {t: v for t, v in versions.items() if v is not None}, history.version, history.restores, table_ids(lake)
        ),
        [t for t, v in versions.items() if v is None],
    )


def table_ids(lake: Lake) -> dict[str, str]:
    """Returns the id of each own table of events and of the findings table: a table that was dropped and made anew has
    another one, while its versions may grow past those that a run has read."""
    names = (*EVENT_TABLES, "findings")
    ids = run_concurrently(lake.spark, *(partial(_table_id, lake, t) for t in names))
    return {t: table_id for t, table_id in zip(names, ids, strict=True) if table_id is not None}


def _table_id(lake: Lake, table: str) -> str | None:
    return lake.identity(table) if lake.exists(table) else None
