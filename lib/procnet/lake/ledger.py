"""The ledger of runs (`contract.RUNS`). Append-only; a row is written after the commit of what the run wrote, so a run
that is recorded as succeeded has its rows in the lake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import RUNS
from procnet.lake.coverage import CHECKED, CHECKED_NO_ROWS, RunAttempt
from procnet.lake.tables import Lake
from procnet.periods import Window, from_micros

# In `table_versions`: the version of the findings table that has the result of the run (`RunAttempt`).
FINDINGS_KEY = "findings"
_WINDOW_KINDS = ("detect", "backfill", "catch_up")
_HEALTH_COLUMNS = ("connections", "without_host", "without_key", "without_process", "newest")


@dataclass(frozen=True)
class Run:
    """One row of the ledger; see `contract.RUNS`."""

    run_id: str
    kind: str
    status: str
    started_at: datetime
    ended_at: datetime
    started_by: str
    procnet_version: str
    window: Window | None = None
    detections: Mapping[str, str] = field(default_factory=dict)
    table_versions: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    health: Sequence[Mapping[str, Any]] = ()
    plan: str | None = None
    plan_reason: str | None = None
    rows_collected: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    noisy: Sequence[str] = ()
    broken: Sequence[str] = ()


def append_runs(lake: Lake, *runs: Run) -> None:
    """Appends rows to the ledger, in one commit."""
    rows = []
    for run in runs:
        row = {
            **{n: getattr(run, n) for n in RUNS.names if hasattr(run, n)},
            "window_start": run.window.start if run.window else None,
            "window_end": run.window.end if run.window else None,
            "run_date": run.started_at.date(),
            "health": [dict(source) for source in run.health],
            "noisy": list(run.noisy),
            "broken": list(run.broken),
        }
        rows.append(tuple(dict(v) if isinstance(v := row[n], Mapping) else v for n in RUNS.names))
    lake.append("runs", lake.spark.createDataFrame(rows, RUNS))


def run_attempts(lake: Lake) -> list[RunAttempt]:
    """Returns every run over a window, for `lake.coverage`; an empty list where there is no ledger yet."""
    if not lake.exists("runs"):
        return []
    runs = lake.read("runs").where(F.col("kind").isin(*_WINDOW_KINDS))
    times = [F.unix_micros(c) for c in ("window_start", "window_end", "started_at")]
    rows = runs.select(*times, "status", "detections", "table_versions", "inputs", "run_id").collect()
    attempts, checks = list[RunAttempt](), list[_OlderCheck]()
    for start, end, started, status, *maps, run_id in rows:
        detections, versions, inputs = (m or {} for m in maps)
        if start is not None:
            window = Window(from_micros(start), from_micros(end))
            run = RunAttempt(
                window, from_micros(started), status, detections, versions, run_id=run_id, table_ids=inputs
            )
            attempts.append(with_findings_version(run))
        elif status == "succeeded" and FINDINGS_KEY not in versions:
            checks.append(_OlderCheck(from_micros(started), detections, versions))
    return [_with_older_checks(a, checks) for a in attempts] if checks else attempts


def with_findings_version(row: RunAttempt) -> RunAttempt:
    """Returns a run whose `versions` are a row's `table_versions`, with the version of the findings table apart."""
    versions = dict(row.versions)
    findings_version = versions.pop(FINDINGS_KEY, -1)
    return replace(row, versions=versions, findings_version=findings_version)


def last_check(lake: Lake) -> datetime | None:
    """Returns the start of the last catch-up that succeeded."""
    is_check = (F.col("kind") == "catch_up") & F.col("window_start").isNull() & (F.col("status") == "succeeded")
    (newest,) = lake.read("runs").where(is_check).agg(F.max(F.unix_micros("started_at"))).collect()[0]
    return None if newest is None else from_micros(newest)


@dataclass(frozen=True)
class _OlderCheck:
    """A catch-up that an older procnet recorded: for all runs that had started before it."""

    time: datetime
    detections: Mapping[str, str]
    versions: Mapping[str, int]


def _with_older_checks(attempt: RunAttempt, checks: Sequence[_OlderCheck]) -> RunAttempt:
    """Returns a run of an older procnet with the versions up to which its checks have looked for late rows."""
    if attempt.findings_version >= 0:
        return attempt
    later = [c for c in checks if c.time >= attempt.started_at and c.detections.items() >= attempt.detections.items()]
    versions = {t: max([v, *(c.versions[t] for c in later if t in c.versions)]) for t, v in attempt.versions.items()}
    return replace(attempt, versions=versions)


def ingested_before(lake: Lake, digests: Iterable[str]) -> set[str]:
    """Returns those of the file digests (see `runs.ingested_files`) that an ingest has read to its end and written."""
    ingests = lake.read("runs").where((F.col("kind") == "ingest") & (F.col("status") == "succeeded"))
    inputs = ingests.select(F.explode(F.map_values("inputs")).alias("digest"))
    return {digest for (digest,) in inputs.where(F.col("digest").isin(*digests)).distinct().collect()}


def last_runs(lake: Lake, limit: int) -> DataFrame:
    """Returns the newest `limit` rows of the ledger (`contract.RUNS`), without checks of windows, the newest first."""
    return (
        lake.read("runs")
        .where(~F.col("status").isin(CHECKED, CHECKED_NO_ROWS))
        .orderBy(F.col("started_at").desc(), "run_id")
        .limit(limit)
    )


def sources_seen(lake: Lake) -> DataFrame:
    """Returns each source's health in the newest run that read it: `source`, `seen` (the run's start) and the other
    fields of `runs.health`."""
    by_source = lake.read("runs").select("started_at", F.explode("health").alias("health"))
    newest = by_source.groupBy("health.source").agg(
        F.max("started_at").alias("seen"), F.max_by("health", "started_at").alias("health")
    )
    columns = (F.col(f"health.{c}") for c in _HEALTH_COLUMNS)
    return newest.select(F.col("source"), "seen", *columns).orderBy("source")
