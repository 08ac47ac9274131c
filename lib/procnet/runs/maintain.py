"""The upkeep of a lake: deletes expired rows, merges small files, and deletes files that no needed version has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from procnet.contract import EVENT_TABLES, TABLES
from procnet.errors import DataError, PartlyDone, ProcnetError, cause
from procnet.lake import table_upkeep
from procnet.lake.commit_safety import refuse_unsafe_commits
from procnet.lake.ledger import last_check
from procnet.lake.tables import Lake
from procnet.runs.recorder import RunRecorder
from procnet.runs.retention import record_deletion
from procnet.settings import MaintenanceSettings

_STATE_RETENTION = timedelta(days=2)  # a window reads the state of the one before it; an older one is computed anew


@dataclass(frozen=True)
class TableUpkeep:
    """What maintain did to one table: expired rows deleted, files merged, files deleted; then its files and their bytes
    now. `behind` is the number of commits since the last checkpoint, where that slows every read."""

    table: str
    rows: int
    compacted: int
    vacuumed: int
    files: int
    size: int
    behind: int | None = None


def maintain(lake: Lake, now: datetime, *, dry_run: bool = False) -> list[TableUpkeep]:
    """Maintains every table that exists; one that fails does not stop the others. With `dry_run` nothing is changed,
    and merged files are not counted.

    Safe beside other runs: no row is changed, and files of versions younger than `maintenance.keep_versions` stay.
    Raises DataError where there is no table; ConfigError where commits could be lost; PartlyDone where tables failed.
    """
    attempt = RunRecorder(lake, "maintain").attempt()
    refuse_unsafe_commits(lake)
    names = [t for t in TABLES if lake.exists(t)]
    if not names:
        raise DataError(
            f"there is no table to maintain: looked for {lake.ref('findings')}", hint="procnet init creates the tables"
        )
    version_age = _version_retention(lake, now, has_ledger="runs" in names)
    done, failed = list[TableUpkeep](), list[str]()
    for name in names:
        try:
            done.append(_maintain_table(lake, name, version_age[name], now, dry_run=dry_run))
        except ProcnetError as e:
            failed.append(f"{name}: {e.message}")
        except Exception as e:
            failed.append(f"{name}: {cause(e)[:300]}")
        attempt.stage(name)
    counts = {f"{t.table}_{what}": getattr(t, what) for t in done for what in ("rows", "compacted", "vacuumed")}
    if "runs" in names and not dry_run:
        if failed:
            attempt.failed("\n".join(failed), counts=counts)
        else:
            attempt.succeeded(counts=counts)
    if failed:
        raise PartlyDone("\n".join(failed), hint="mend that, then procnet maintain again: it is safe to repeat")
    return done


def _version_retention(lake: Lake, now: datetime, *, has_ledger: bool) -> dict[str, timedelta]:
    """Returns the age up to which a table's versions must stay readable.

    Of event tables at least until the last check for late rows: the next one reads the changes since, however long ago
    that was.
    """
    shortest = lake.settings.maintenance.keep_versions
    checked = (last_check(lake) if has_ledger else None) or now
    since_check = max(shortest, now - checked + timedelta(hours=1))
    return {name: since_check if name in EVENT_TABLES else shortest for name in TABLES}


def _maintain_table(lake: Lake, name: str, version_age: timedelta, now: datetime, *, dry_run: bool) -> TableUpkeep:
    lake.refuse_foreign(name)
    settings, found = lake.settings.maintenance, table_upkeep.table_detail(lake, name)
    if settings.layout == "liquid" and name in settings.order and found.partitions:
        raise DataError(
            f"{lake.ref(name)} is partitioned by {', '.join(found.partitions)}: it cannot be clustered",
            hint="maintenance.layout: liquid is for tables that init makes anew; use zorder here",
        )
    rows = _delete_expired_rows(lake, name, now, dry_run=dry_run)
    compacted = 0 if dry_run else _merge_files(lake, name, found, now)
    vacuumed = table_upkeep.vacuum(lake, name, version_age, dry_run=dry_run)
    if not dry_run:
        found = table_upkeep.table_detail(lake, name)
    behind = table_upkeep.commits_since_checkpoint(lake, name, found.location)
    if behind is not None and behind <= table_upkeep.TOLERATED_INTERVALS * table_upkeep.checkpoint_interval(lake, name):
        behind = None
    return TableUpkeep(name, rows, compacted, vacuumed, found.files, found.size, behind)


def _delete_expired_rows(lake: Lake, name: str, now: datetime, *, dry_run: bool) -> int:
    """Deletes the rows older than the table's retention and returns their number; `dry_run` only counts them."""
    column, duration = _retention(name, lake.settings.maintenance)
    if duration is None:
        return 0
    before = (now - duration).date()
    rows = table_upkeep.rows_before(lake, name, column, before)
    if rows and not dry_run:
        if name in EVENT_TABLES:
            record_deletion(lake, name, before)
        table_upkeep.delete_before(lake, name, column, before)
    return rows


def _retention(name: str, settings: MaintenanceSettings) -> tuple[str, timedelta | None]:
    """Returns the date column of a table and how long its rows stay; None: for ever."""
    return {
        **dict.fromkeys(EVENT_TABLES, ("event_date", settings.keep_events)),
        "quarantine": ("event_date", settings.keep_quarantine),
        "findings": ("finding_date", settings.keep_findings),
        "runs": ("run_date", settings.keep_runs),
        "open_processes": ("state_date", _STATE_RETENTION),
    }[name]


def _merge_files(lake: Lake, name: str, found: table_upkeep.TableDetail, now: datetime) -> int:
    """Merges the table's small files and returns their number. Only the last days are Z-ordered, since Z-order writes
    every file of a date anew."""
    settings = lake.settings.maintenance
    order: Sequence[str] = settings.order.get(name, ()) if settings.layout == "zorder" else ()  # type: ignore[call-overload]
    if order and not found.clustering:
        first: date = (now - settings.zorder_over).date()
        return table_upkeep.optimize(lake, name) + table_upkeep.optimize(
            lake, name, order=order, dates=("event_date", first)
        )
    return table_upkeep.optimize(lake, name)
