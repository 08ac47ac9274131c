"""The functions of the package that read and write tables, on the model; and where they replace the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

from procnet.contract import REQUIRED_EVENT_TABLES
from procnet.engine import events, late_data
from procnet.engine.evaluate import Evaluation
from procnet.engine.late_data import AffectedTimes, CoveredRange
from procnet.engine.source_health import SourceHealth
from procnet.lake import findings_history, ledger, retry, table_upkeep, write
from procnet.lake.coverage import RunAttempt
from procnet.lake.retry import retry_on_conflict
from procnet.periods import Window
from procnet.runs import (
    catch_up,
    detect,
    ingest,
    ingested_files,
    known_runs,
    maintain,
    recorder,
    resume,
    retention,
    windows,
)
from simulation import frames, pool
from simulation.frames import Frame
from simulation.lake import ModelLake, World
from simulation.rules import BASE, Connection, ProcessEvent, date_of, findings_of, in_window, minute_of

CLOCK_START = BASE + timedelta(days=10)  # after all events


class Current:
    """The world of the schedule that runs: for functions that get no lake."""

    world: World


@dataclass(frozen=True)
class ModelQuery:
    """As `procnet.engine.query.Query`."""

    process_events: Frame
    network_events: Frame
    detections: Sequence[Any]
    window: Window
    settings: Any
    carried: None = None

    @classmethod
    def of(cls, events: Any, detections: Sequence[Any], window: Window, settings: Any) -> ModelQuery:
        return cls(events.process_events, events.network_events, detections, window, settings)

    @property
    def longest_lookback(self) -> timedelta:
        return max(d.lookback for d in self.detections)

    @property
    def window_network_events(self) -> Frame:
        return Frame(self.network_events.lake, lambda: in_window(self.network_events.collect(), self.window))


def source_health(events: Any, window: Window) -> SourceHealth:
    count = len(in_window(events.network_events.collect(), window))
    return SourceHealth([{"source": "model", "connections": count, "without_key": 0}] if count else [], 0)


def evaluate(query: ModelQuery, exclusions: Sequence[Any] = ()) -> Evaluation:
    """Candidates are read at once; the rows of the candidates, and their processes, with each action on the result."""
    first = query.window_network_events.collect()
    found = findings_of(query.process_events.collect(), first, query.detections, exclusions)
    if not found:
        return Evaluation(None, "none", "nothing matches")
    minutes = {f.minute for f in found}
    candidates = {c for c in first if c.minute in minutes}

    def result() -> list[Any]:
        connections = [c for c in query.window_network_events.collect() if c in candidates]
        return findings_of(query.process_events.collect(), connections, query.detections, exclusions)

    return Evaluation(Frame(query.network_events.lake, result), "broadcast", "few candidates")


def commits(lake: ModelLake, since: int) -> list[dict[str, Any]]:
    lake.world.pause("read the history of findings")
    table = lake.world.tables["findings"]
    return [
        {
            "version": version,
            "operation": commit.operation,
            "operationParameters": {} if commit.restored_to is None else {"version": str(commit.restored_to)},
            "userMetadata": commit.metadata,
        }
        for version, commit in reversed(list(enumerate(table.commits)))
        if version > since
    ]


def run_attempts(lake: ModelLake) -> list[RunAttempt]:
    return [
        ledger.with_findings_version(
            RunAttempt(
                r.window, r.started_at, r.status, r.detections, r.table_versions, run_id=r.run_id, table_ids=r.inputs
            )
        )
        for r in lake.rows("runs")
        if r.window is not None and r.kind in ledger._WINDOW_KINDS
    ]


def last_check(lake: ModelLake) -> datetime | None:
    rows = lake.rows("runs")
    checks = [r.started_at for r in rows if (r.kind, r.window, r.status) == ("catch_up", None, "succeeded")]
    return max(checks, default=None)


def ingested_before(lake: ModelLake, digests: Sequence[str]) -> set[str]:
    rows = lake.rows("runs")
    return {d for r in rows if (r.kind, r.status) == ("ingest", "succeeded") for d in r.inputs.values()} & set(digests)


Changes = list[tuple[Any, int]]


def changed_events(lake: ModelLake, since: Mapping[str, int], now: Mapping[str, int]) -> dict[str, Changes]:
    found = {}
    for table in REQUIRED_EVENT_TABLES:
        lake.world.pause(f"read the changes of {table} from {since[table]} to {now[table]}")
        found[table] = list(lake.world.tables[table].changes(since[table], now[table]))
    return found


def affected(
    late: Mapping[str, Changes],
    events: Any,
    findings: Frame,
    ranges: Sequence[CoveredRange],
    detections: Sequence[Any],
    settings: Any,
) -> AffectedTimes:
    """A connection affects its own time; a start or end the connections on its key up to the longest lookback."""
    end = max(minute_of(r.window.end) for r in ranges)
    of_connections, of_processes = (
        [(r, v) for r, v in late[t] if r.minute < end] for t in reversed(REQUIRED_EVENT_TABLES)
    )
    found = [(c.minute, v, "network_events") for c, v in of_connections]
    if of_processes:
        longest = max(d.minutes for d in detections)
        connections = events.network_events.collect()
        for p, v in of_processes:
            near = {c.minute for c in connections if c.key == p.key and p.minute <= c.minute <= p.minute + longest}
            found += [(minute, v, "process_events") for minute in near]
    return AffectedTimes(found or None, 0)  # type: ignore[arg-type]


def unread_cells(
    times: Sequence[tuple[int, int, str]], ranges: Sequence[CoveredRange], size: timedelta
) -> list[tuple[int, int]]:
    first, minutes = minute_of(datetime(1970, 1, 1, tzinfo=timezone.utc)), size // timedelta(minutes=1)
    return [
        (i, (minute - first) // minutes)
        for i, r in enumerate(ranges)
        for minute, version, of in times
        if minute_of(r.window.start) <= minute < minute_of(r.window.end) and version > r.read[of]
    ]


def changed_dates(lake: ModelLake, table: str, since: int, now: int) -> dict[date, int]:
    lake.world.pause(f"read the changed dates of {table} from {since} to {now}")
    newest: dict[date, int] = {}
    for row, version in lake.world.tables[table].changes(since, now):
        newest[date_of(row.minute)] = version
    return newest


def add_rows(lake: ModelLake, table: str, rows: Sequence[Any], dates: object) -> int:
    """As `procnet.lake.insert.insert_missing`: one MERGE, repeated on a conflict."""

    def merge(_: int) -> int:
        lake.world.pause(f"begin to merge rows into {table}")
        target = lake.world.tables[table]
        stored, since = target.rows, target.version
        new = [r for r in dict.fromkeys(rows) if r not in stored]
        lake.world.pause(f"commit merged rows to {table}")
        lake.world.refuse_remade(target)
        target.merge(since, new, lake.world.time)
        return len(new)

    return retry_on_conflict(merge) if rows else 0


class Records(list[Any]):
    """Rows of files, as far as an ingest uses them as a DataFrame."""

    def withColumn(self, name: str, value: object) -> Records:  # noqa: N802
        return self


class Normalized:
    """As `procnet.sources.normalize.Normalized`, of rows that are events already."""

    def __init__(self, records: Sequence[Any], source: str, ingest_time: datetime) -> None:
        self.records, self.source, self.quarantine = records, source, ()
        self.rows = {
            "process_events": [r for r in records if isinstance(r, ProcessEvent)],
            "network_events": [r for r in records if isinstance(r, Connection)],
        }

    def table(self, name: str) -> list[Any]:
        return self.rows[name]


def count_records(records: Sequence[Any], now: datetime) -> SimpleNamespace:
    n = len(records)
    report = SimpleNamespace(read=n, usable=n, totals=lambda: {"records": n}, finished_files=dict)
    return SimpleNamespace(dates=lambda *kinds: None, quarantined=lambda: 0, report=lambda *args: report)


def read_files(lake: ModelLake, mapping: object, paths: Sequence[str], **options: object) -> Records:
    return Records(row for path in paths for row in lake.world.files[path])


def delete_before(lake: ModelLake, name: str, column: str, before: date) -> None:
    def statement(_: int) -> None:
        lake.world.pause(f"delete from {name} before {before}")
        lake.world.before_deletion()
        lake.world.tables[name].delete(lambda r: date_of(r.minute) < before, lake.world.time)

    retry_on_conflict(statement)


def rows_before(lake: ModelLake, name: str, column: str, before: date) -> int:
    return sum(date_of(r.minute) < before for r in lake.rows(name))


def optimize(lake: ModelLake, name: str, **options: object) -> int:
    def statement(_: int) -> int:
        lake.world.pause(f"begin to merge files of {name}")
        table = lake.world.tables[name]
        since = table.version
        lake.world.pause(f"commit merged files of {name}")
        lake.world.refuse_remade(table)
        if table.rows:
            table.rewrite(since, lake.world.time)
        return len(table.rows)

    return retry_on_conflict(statement)


def vacuum(lake: ModelLake, name: str, keep: timedelta, *, dry_run: bool) -> int:
    lake.world.pause(f"vacuum {name}")
    return lake.world.tables[name].vacuum(lake.world.time - keep // timedelta(minutes=1))


class Upkeep:
    """In place of the module `procnet.lake.table_upkeep`."""

    rows_before = staticmethod(rows_before)
    delete_before = staticmethod(delete_before)
    optimize = staticmethod(optimize)
    vacuum = staticmethod(vacuum)

    @staticmethod
    def table_detail(lake: ModelLake, name: str) -> table_upkeep.TableDetail:
        return table_upkeep.TableDetail("model", 1, 1, ("event_date",), ())

    @staticmethod
    def commits_since_checkpoint(lake: ModelLake, name: str, location: str) -> None:
        return None


class _Clock(datetime):
    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        """The time by the clock of the machine on which the running command works."""
        world = Current.world
        task = world.scheduler.running
        ahead = task.process.shared.get("clock", 0) if task is not None else 0
        return CLOCK_START + timedelta(minutes=world.time + ahead)


def _new_id() -> SimpleNamespace:
    Current.world.ids += 1
    return SimpleNamespace(hex=f"{Current.world.ids:04}")


def _in_order(spark: object, *actions: Callable[[], Any]) -> list[Any]:
    return [action() for action in actions]


_MAPPING = SimpleNamespace(
    name="model", model_dump_json=lambda **kw: "", shared=SimpleNamespace(model_dump_json=lambda: "")
)

REPLACED: dict[tuple[Any, str], Any] = {
    (detect, "Query"): ModelQuery,
    (detect, "source_health"): source_health,
    (detect, "evaluate"): evaluate,
    (detect, "enrich"): lambda findings, query: findings,
    (known_runs, "run_concurrently"): _in_order,
    (events, "run_concurrently"): _in_order,
    (retention, "run_concurrently"): _in_order,
    (events, "in_range"): lambda times: lambda row: True,
    (events, "in_period_or_out_of_range"): lambda window, times: frames.in_period(window.start, window.end),
    (findings_history, "_commits"): commits,
    (write, "F"): frames.Functions,
    (write, "in_period"): frames.in_period,
    (write, "collect_at_most"): frames.collect_at_most,
    (retry, "time"): SimpleNamespace(sleep=lambda seconds: Current.world.pause("pause after a conflict")),
    (recorder, "append_runs"): lambda lake, *runs: lake.append_runs(*runs),
    (recorder, "datetime"): _Clock,
    (recorder, "time"): SimpleNamespace(monotonic=lambda: 0.0),
    (recorder, "uuid"): SimpleNamespace(uuid4=_new_id),
    (recorder, "_user"): lambda: "model",
    (recorder, "package_version"): lambda: "0",
    (known_runs, "run_attempts"): run_attempts,
    (catch_up, "changed_events"): changed_events,
    (catch_up, "affected"): affected,
    (late_data, "_unread_cells"): unread_cells,
    (resume, "changed_dates"): changed_dates,
    (windows, "ThreadPoolExecutor"): lambda workers, name: pool.Pool(Current.world.scheduler, workers),
    (windows, "as_completed"): pool.as_completed,
    (maintain, "table_upkeep"): Upkeep,
    (maintain, "last_check"): last_check,
    (ingest, "read_mapping"): lambda source: _MAPPING,
    (ingest, "files_and_tables"): lambda mapping, paths: (list(paths), []),
    (ingest, "load_source"): lambda source: _MAPPING,
    (ingest, "read_raw"): read_files,
    (ingest, "normalize"): lambda rows, mapping, *, ingest_time, **options: Normalized(rows, "model", ingest_time),
    (ingest, "Normalized"): Normalized,
    (ingest, "count_records"): count_records,
    (ingest, "_cached"): nullcontext,
    (ingest, "F"): SimpleNamespace(lit=lambda value: value),
    (ingest, "_add"): add_rows,
    (ingest, "EVENT_TABLES"): REQUIRED_EVENT_TABLES,
    (ingested_files, "EVENT_TABLES"): REQUIRED_EVENT_TABLES,
    (ingested_files, "_digest"): lambda file, how: file,
    (ingested_files, "ingested_before"): ingested_before,
}


@contextmanager
def replaced(functions: Mapping[tuple[Any, str], Any]) -> Iterator[None]:
    """Replaces functions of modules, and puts the real ones back."""
    real = {(module, name): getattr(module, name) for module, name in functions}
    try:
        for (module, name), function in functions.items():
            setattr(module, name, function)
        yield
    finally:
        for (module, name), function in real.items():
            setattr(module, name, function)
