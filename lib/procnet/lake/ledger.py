"""The ledger of runs: append-only, written after the commit, so that "done" is never said of what is not written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import RUNS
from procnet.lake.coverage import RunAttempt
from procnet.lake.tables import Lake
from procnet.periods import Window, from_micros


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
    seconds: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    noisy: Sequence[str] = ()
    broken: Sequence[str] = ()


def append_run(lake: Lake, run: Run) -> None:
    """Write one run to the ledger."""
    row = {
        **{n: getattr(run, n) for n in RUNS.names if hasattr(run, n)},
        "window_start": run.window.start if run.window else None,
        "window_end": run.window.end if run.window else None,
        "run_date": run.started_at.date(),
    }
    row |= {"health": [dict(source) for source in run.health], "noisy": list(run.noisy), "broken": list(run.broken)}
    rows = [tuple(dict(v) if isinstance(v := row[n], Mapping) else v for n in RUNS.names)]
    lake.append("runs", lake.spark.createDataFrame(rows, RUNS))


def run_attempts(lake: Lake) -> list[RunAttempt]:
    """Every run over a window, as coverage asks of it; none where there is no ledger yet."""
    if not lake.exists("runs"):
        return []
    runs = lake.read("runs").where(F.col("window_start").isNotNull() & F.col("kind").isin(*_OVER_WINDOWS))
    times = [F.unix_micros(c) for c in ("window_start", "window_end", "started_at")]
    rows = runs.select(*times, "status", "detections", "table_versions").collect()
    return [
        RunAttempt(Window(from_micros(a), from_micros(b)), from_micros(at), status, detections or {}, versions or {})
        for a, b, at, status, detections, versions in rows
    ]


def late_data_checks(lake: Lake) -> list[tuple[datetime, Mapping[str, str], Mapping[str, int]]]:
    """Looks for late rows that ended well: when, for which detections, and up to which table versions."""
    runs = lake.read("runs").where((F.col("kind") == "catch_up") & F.col("window_start").isNull())
    rows = runs.where(F.col("status") == "succeeded").select(
        F.unix_micros("started_at"), "detections", "table_versions"
    )
    return [(from_micros(at), detections or {}, versions or {}) for at, detections, versions in rows.collect()]


def ingested_before(lake: Lake, marks: Iterable[str]) -> set[str]:
    """Those of the marks of files (see `runs.inputs`) that an ingest has read to its end and written."""
    runs = lake.read("runs").where((F.col("kind") == "ingest") & (F.col("status") == "succeeded"))
    told = runs.select(F.explode(F.map_values("inputs")).alias("mark"))
    return {mark for (mark,) in told.where(F.col("mark").isin(*marks)).distinct().collect()}


def last_runs(lake: Lake, limit: int) -> DataFrame:
    """The newest runs first."""
    return lake.read("runs").orderBy(F.col("started_at").desc(), "run_id").limit(limit)


def sources_seen(lake: Lake) -> DataFrame:
    """Each source's health in the newest run that saw it: `source`, `seen` (that run's start) and `runs.health`."""
    told = lake.read("runs").select("started_at", F.explode("health").alias("h"))
    newest = told.groupBy("h.source").agg(F.max("started_at").alias("seen"), F.max_by("h", "started_at").alias("h"))
    return newest.select(F.col("source"), "seen", *(F.col(f"h.{c}") for c in _HEALTH)).orderBy("source")


_OVER_WINDOWS = ("detect", "backfill", "catch_up")
_HEALTH = ("connections", "without_host", "without_key", "without_process", "newest")
