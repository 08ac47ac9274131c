"""A lake of the model's tables: what `procnet.lake.tables.Lake` does, every read and commit a step of the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from procnet.lake.ledger import Run
from procnet.settings import AttributionSettings, MaintenanceSettings, Settings
from simulation.frames import Collected, Condition, Frame
from simulation.scheduler import Scheduler, StorageError
from simulation.tables import Commit, Table

TABLES = ("process_events", "network_events", "quarantine", "findings", "runs", "open_processes")
KEEP_EVENTS = timedelta(days=30)  # the shortest that the settings allow
SETTINGS = Settings(
    lake="model",
    s3_commits="none",
    attribution=AttributionSettings(state_over=None),
    maintenance=MaintenanceSettings(keep_versions=timedelta(hours=1)),
)
WITH_RETENTION = SETTINGS.model_copy(
    update={"maintenance": SETTINGS.maintenance.model_copy(update={"keep_events": KEEP_EVENTS})}
)


@dataclass
class World:
    """What all commands share: the tables, the true time in minutes, and the scheduler."""

    scheduler: Scheduler
    tables: dict[str, Table] = field(default_factory=lambda: {name: Table(name) for name in TABLES})
    time: int = 0
    ids: int = 0
    settings: Settings = SETTINGS
    files: dict[str, tuple[Any, ...]] = field(default_factory=dict)  # name -> rows
    before_deletion: Callable[[], None] = lambda: None

    def pause(self, step: str) -> None:
        """A storage step, before it takes effect; each takes a minute."""
        self.scheduler.pause(step)
        self.time += 1

    def refuse_remade(self, table: Table) -> None:
        """A transaction ends with an error where its table was dropped since."""
        if self.tables[table.name] is not table:
            raise StorageError(f"the storage failed: {table.name} was dropped")


@dataclass(frozen=True)
class ModelLake:
    """The lake as one command sees it."""

    world: World
    settings: Settings

    @property
    def spark(self) -> ModelLake:
        return self

    def ref(self, name: str) -> str:
        return name

    def create(self) -> list[str]:
        return []

    def refuse_foreign(self, name: str) -> None:
        """Every table of the model is the project's own."""

    def exists(self, name: str) -> bool:
        return name in self.world.tables

    def identity(self, name: str) -> str:
        self.world.pause(f"read the id of {name}")
        return f"{name} {self.world.tables[name].generation}"

    def version(self, name: str) -> int | None:
        if not self.exists(name):
            return None
        self.world.pause(f"read the version of {name}")
        version = self.world.tables[name].version
        self.world.scheduler.note(f"version {version}")
        return version

    def read(self, name: str) -> Frame:
        return Frame(self, lambda: self.rows(name))

    def createDataFrame(self, rows: Any, schema: object = None) -> Frame:  # noqa: N802
        values = rows.rows if isinstance(rows, Collected) else tuple(rows)
        return Frame(self, lambda: values)

    def rows(self, name: str) -> tuple[Any, ...]:
        """The rows now: a storage step."""
        self.world.pause(f"read {name}")
        return self.world.tables[name].rows

    def append(self, name: str, rows: Iterable[Any]) -> None:
        self.world.pause(f"append to {name}")
        self.world.tables[name].append(rows, self.world.time)

    def append_runs(self, *runs: Run) -> None:
        for run in runs:
            self.world.scheduler.note(f"row of the ledger: {run.status} {run.window or ''} {dict(run.table_versions)}")
        self.append("runs", runs)

    def overwrite(self, name: str, rows: Frame, condition: Condition, metadata: str | None) -> None:
        """One transaction: it begins, computes its rows, and commits or conflicts."""
        world, table = self.world, self.world.tables[name]
        world.pause(f"begin a transaction on {name}")
        since = table.version
        new = tuple(rows.compute())
        assert all(condition(r) for r in new), "Delta refuses rows outside of the condition"
        world.pause(f"commit to {name}")
        world.refuse_remade(table)
        table.replace(since, set(condition.dates), condition, new, Commit(world.time, "WRITE", metadata=metadata))
        world.scheduler.note(f"version {table.version} of {name}, from version {since}")

    def properties(self, name: str) -> dict[str, str]:
        self.world.pause(f"read the properties of {name}")
        return dict(self.world.tables[name].properties)

    def unset_properties(self, name: str, keys: list[str]) -> None:
        if keys:
            self.world.pause(f"remove properties of {name}")
            self.world.tables[name].unset_properties(keys, self.world.time)

    def set_properties(self, name: str, wanted: dict[str, str]) -> None:
        self.world.pause(f"set properties of {name}")
        for key, value in wanted.items():
            if self.world.tables[name].properties.get(key) != value:
                self.world.before_deletion()
                self.world.tables[name].set_property(key, value, self.world.time)
