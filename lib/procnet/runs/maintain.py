"""The upkeep of a lake: what is past its time goes, small files are put together, files that no version needs go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from procnet.contract import TABLES
from procnet.engine.events import OWN
from procnet.errors import DataError, PartlyDone, ProcnetError, cause
from procnet.lake import maintain as upkeep
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.ledger import late_data_checks
from procnet.lake.tables import Lake
from procnet.runs.recorder import Clock, record
from procnet.runs.retention import record_deletion
from procnet.settings import MaintenanceSettings

_STATE_KEPT = timedelta(days=2)  # a window asks the one before it; whoever runs an older one again makes it anew


@dataclass(frozen=True)
class TableUpkeep:
    """What became of one table: rows that were past their time, files put together, files deleted, what is there now;
    `behind` is told where reads replay too many commits."""

    table: str
    rows: int
    compacted: int
    vacuumed: int
    files: int
    size: int
    behind: int | None = None


def maintain(lake: Lake, now: datetime, *, dry_run: bool = False) -> list[TableUpkeep]:
    """Keep the tables that are there, each for itself; with `dry_run` nothing is changed, and nothing put together is
    counted. DataError where there is none; ConfigError where commits could be lost; PartlyDone where some failed: the
    others are done then.

    Safe beside runs at work: no row is changed, and what a version of the last `maintenance.keep_versions` needs stays.
    """
    clock, settings = Clock(), lake.settings.maintenance
    refuse_unsafe_commits(lake)
    names = [t for t in TABLES if lake.exists(t)]
    if not names:
        raise DataError(
            f"there is no table to keep: looked for {lake.ref('findings')}", hint="procnet init creates the tables"
        )
    # Changes that no look for late rows has read yet must stay readable, however long ago the last look was.
    looked = max((at for at, _, _ in late_data_checks(lake)), default=now) if "runs" in names else now
    kept, failed = list[TableUpkeep](), list[str]()
    for name in names:
        keep = max(settings.keep_versions, now - looked + timedelta(hours=1)) if name in OWN else settings.keep_versions
        try:
            kept.append(_one(lake, name, keep, now, dry_run=dry_run))
        except ProcnetError as e:
            failed.append(f"{name}: {e.message}")
        except Exception as e:
            failed.append(f"{name}: {cause(e)[:300]}")
        clock.lap(name)
    counts = {f"{k.table}_{what}": getattr(k, what) for k in kept for what in ("rows", "compacted", "vacuumed")}
    if not dry_run and "runs" in names:
        status = "failed" if failed else "succeeded"
        record(lake, clock, "maintain", status, counts=counts, error="\n".join(failed) or None)
    if failed:
        raise PartlyDone("\n".join(failed), hint="mend that, then procnet maintain again: it is safe to repeat")
    return kept


def _one(lake: Lake, name: str, keep: timedelta, now: datetime, *, dry_run: bool) -> TableUpkeep:
    settings, found = lake.settings.maintenance, upkeep.detail(lake, name)
    if settings.layout == "liquid" and name in settings.order and found.partitions:
        raise DataError(
            f"{lake.ref(name)} is partitioned by {', '.join(found.partitions)}: it cannot be clustered",
            hint="maintenance.layout: liquid is for tables that init makes anew; use zorder here",
        )
    rows = _past(lake, name, now, dry_run=dry_run)
    compacted = 0 if dry_run else _laid_out(lake, name, found, now)
    vacuumed = upkeep.vacuum(lake, name, keep, dry_run=dry_run)
    if not dry_run:
        found = upkeep.detail(lake, name)
    behind = upkeep.commits_since_checkpoint(lake, name, found.location)
    if behind is not None and behind <= upkeep.BEHIND * upkeep.checkpoint_interval(lake, name):
        behind = None
    return TableUpkeep(name, rows, compacted, vacuumed, found.files, found.size, behind)


def _past(lake: Lake, name: str, now: datetime, *, dry_run: bool) -> int:
    """Rows past their time, deleted."""
    column, duration = _retention(name, lake.settings.maintenance)
    if duration is None:
        return 0
    before = (now - duration).date()
    rows = upkeep.rows_before(lake, name, column, before)
    if rows and not dry_run:
        if name in OWN:
            record_deletion(lake, name, before)
        upkeep.delete_before(lake, name, column, before)
    return rows


def _retention(name: str, settings: MaintenanceSettings) -> tuple[str, timedelta | None]:
    of = {
        "process_events": ("event_date", settings.keep_events),
        "network_events": ("event_date", settings.keep_events),
        "quarantine": ("event_date", settings.keep_quarantine),
        "findings": ("finding_date", settings.keep_findings),
        "runs": ("run_date", settings.keep_runs),
        "open_processes": ("state_date", _STATE_KEPT),
    }
    return of[name]


def _laid_out(lake: Lake, name: str, found: upkeep.Detail, now: datetime) -> int:
    """Small files of the whole table; the Z-order of the last days alone, since it writes every file of a date anew."""
    settings = lake.settings.maintenance
    order: Sequence[str] = settings.order.get(name, ()) if settings.layout == "zorder" else ()  # type: ignore[call-overload]
    if order and not found.clustering:
        first: date = (now - settings.zorder_over).date()
        return upkeep.optimize(lake, name) + upkeep.optimize(lake, name, order=order, dates=("event_date", first))
    return upkeep.optimize(lake, name)
