"""The commits of the findings table: each has the run that made it in its metadata, beside the rows and as atomically.

So a run that was killed after its commit, before its ledger row, is known all the same, and the order of the commits is
the order in which runs replaced findings, whatever their clocks and the order of their ledger rows say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Row

from procnet.lake.coverage import UNRECORDED, Restored, RunAttempt
from procnet.lake.tables import Lake
from procnet.periods import Window, parse_time

_KEY = "procnet_run"  # of the JSON in a commit's `userMetadata`
_FEW = 20  # commits that are read at first: more are seldom made during a run


@dataclass(frozen=True)
class FindingsHistory:
    """Commits of the findings table, the newest first: its version, the runs that committed, and the restores."""

    version: int
    commits: Sequence[RunAttempt] = ()
    restores: Sequence[Restored] = ()

    def version_of(self, run_id: str) -> int | None:
        """The version that a run has committed; None where it committed nothing."""
        return next((c.findings_version for c in self.commits if c.run_id == run_id), None)


def findings_history(lake: Lake, *, since: int = -1) -> FindingsHistory:
    """Returns the commits after version `since`, as far back as Delta's log reaches (30 days by default)."""
    commits, restores = list[RunAttempt](), list[Restored]()
    rows = _commits(lake, since)
    for row in rows:
        restored_to = (row["operationParameters"] or {}).get("version")
        if row["operation"] == "RESTORE" and restored_to is not None:
            restores.append(Restored(row["version"], int(restored_to)))
        elif (run := _run(row["version"], row["userMetadata"])) is not None:
            commits.append(run)
    return FindingsHistory(rows[0]["version"] if rows else since, commits, restores)


def _commits(lake: Lake, since: int) -> list[Row]:
    """Returns the rows of DESCRIBE HISTORY after a version, the newest first."""
    history = f"DESCRIBE HISTORY {lake.ref('findings')}"
    for query in (f"{history} LIMIT {_FEW}", history):
        rows = lake.spark.sql(query).select("version", "operation", "operationParameters", "userMetadata").collect()
        if len(rows) < _FEW or rows[-1]["version"] <= since + 1:
            break
    return [row for row in rows if row["version"] > since]


def commit_metadata(run: RunAttempt) -> str:
    """Returns the `userMetadata` of a run's commit."""
    values = {
        "run_id": run.run_id,
        "window": [run.window.start.isoformat(), run.window.end.isoformat()],
        "started_at": run.started_at.isoformat(),
        "detections": dict(run.detections),
        "table_versions": dict(run.versions),
        "table_ids": dict(run.table_ids),
    }
    return json.dumps({_KEY: values})


def _run(version: int, metadata: str | None) -> RunAttempt | None:
    """Returns the run of a commit; None for a commit of others, or of an older procnet."""
    if metadata is None or _KEY not in metadata:
        return None
    try:
        values = json.loads(metadata)[_KEY]
        start, end, started_at = (parse_time(t) for t in (*values["window"], values["started_at"]))
        return RunAttempt(
            Window(start, end), started_at, UNRECORDED, values["detections"], values["table_versions"], version,
            values["run_id"], values["table_ids"],
        )  # fmt: skip
    except (ValueError, LookupError, TypeError, AttributeError):  # somebody else's text that has the word in it
        return None
