"""A source as a person writes it: conf/sources/NAME.yml -> a frozen, checked SourceMapping.

A source is a container of records. It says how a record is read (`reader`, `record` or `table`), what the container
calls the things that events are told apart by (`given`), and which canonical column comes from where (`columns`, per
kind of event in `events`), all as Spark SQL expressions. `use` names a shared file of events (conf/sources/shared), so
that what Sysmon and Windows Security records hold is written once for all the containers that carry them; `like` names
another source of which this one says only what differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from procnet.config_file import check, load_yaml
from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.errors import SourceError
from procnet.settings import default_conf_dir

# Columns that the loader makes itself.
MADE = ("event_kind", "source", "ingest_time", "event_date")
COLUMNS: tuple[str, ...] = tuple(
    dict.fromkeys(n for table in (PROCESS_EVENTS, NETWORK_EVENTS) for n in table.names if n not in MADE)
)
# Names that every expression may use beside the record's own: where the record was read, and the host that was asked.
FILE, ASKED_HOST = "file", "asked_host"


def _alternatives(value: object) -> object:
    return (value,) if isinstance(value, str) else value


# One expression, or several of which the first that gives a usable value counts.
Expressions = Annotated[tuple[str, ...], BeforeValidator(_alternatives), Field(min_length=1)]
Columns = dict[str, Expressions]
_Model = TypeVar("_Model", bound="_Frozen")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventMapping(_Frozen):
    """One kind of event: when a record is one, and what its columns are beside those that all events share."""

    kind: Literal["start", "end", "network"]
    when: str
    columns: Columns = {}


class _Events(_Frozen):
    given: dict[str, str] = {}
    columns: Columns = {}
    events: dict[str, EventMapping] = {}

    @model_validator(mode="after")
    def _canonical(self) -> _Events:
        for place, columns in (("", self.columns), *((f"events.{n}.", e.columns) for n, e in self.events.items())):
            if unknown := sorted(set(columns) - set(COLUMNS)):
                raise ValueError(f"{place}columns: {', '.join(unknown)}: no canonical column that a source may fill")
        return self


class SourceMapping(_Events):
    """A source: `record` is the Spark type that a raw record is parsed to, `table` the columns of a raw table.

    Records are JSON (a row of CSV and an event of EVTX come as an object) or XML.
    """

    name: str
    description: str = ""
    reader: Literal["json", "csv", "evtx", "xml", "table"]
    record: str | None = None
    table: str | None = None
    event_id: str = Field(description="what skipped records are counted by")
    as_is: tuple[str, ...] = ()  # columns that the table holds in their canonical spelling: predicates reach its files
    event_date: str | None = None  # a partition column that is the UTC date of event_time, and of nothing else
    shared: _Events = Field(default=_Events(), exclude=True)
    path: Path = Path()

    @model_validator(mode="after")
    def _whole(self) -> SourceMapping:
        wanted, other = ("table", "record") if self.reader == "table" else ("record", "table")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"reader {self.reader} needs `{wanted}` and no `{other}`")
        if not self.all_events:
            raise ValueError("events: none, neither here nor in the shared file")
        if unknown := sorted(set(self.as_is) - set(COLUMNS)):
            raise ValueError(f"as_is: {', '.join(unknown)}: no canonical column that a source may fill")
        for column in ("event_time", "host"):
            for name, event in self.all_events.items():
                if column not in self.columns_of(event):
                    raise ValueError(f"events.{name}: nothing fills {column}; write it under columns")
        return self

    @property
    def all_events(self) -> dict[str, EventMapping]:
        """Events of the shared file, then its own; one of the same name replaces the shared one."""
        return {**self.shared.events, **self.events}

    def columns_of(self, event: EventMapping) -> Columns:
        """What fills an event's columns: its own, else the source's, else the shared file's."""
        schema = NETWORK_EVENTS if event.kind == "network" else PROCESS_EVENTS
        merged = {**self.shared.columns, **self.columns, **event.columns}
        return {column: merged[column] for column in schema.names if column in merged}


def sources_folder() -> Path:
    """Where the shipped sources are."""
    return default_conf_dir() / "sources"


def known_sources(folder: Path | None = None) -> list[str]:
    """Names of the sources of a folder, by file."""
    return sorted(p.stem for p in (folder or sources_folder()).glob("*.yml"))


def read_mapping(name_or_path: str | Path, folder: Path | None = None) -> SourceMapping:
    """A source by name or file, checked in itself; `load.load_source` judges the expressions too. SourceError."""
    folder = folder or sources_folder()
    asked = Path(name_or_path)
    by_file = asked.suffix in (".yml", ".yaml")
    path = asked if by_file else folder / f"{name_or_path}.yml"
    if not path.is_file():
        known = ", ".join(known_sources(folder)) or "none"
        what = f"source file {path} does not exist" if by_file else f"unknown source {str(name_or_path)!r}"
        raise SourceError(f"{what}; known sources: {known}", hint=f"sources are the files of {folder}")
    values = _yaml(path)
    if (like := values.pop("like", None)) is not None:
        base = next((p for p in (path.parent / f"{like}.yml", sources_folder() / f"{like}.yml") if p.is_file()), None)
        if base is None:
            raise SourceError(f"{path}: like: {like}: no such source; known: {', '.join(known_sources())}")
        values = _changed(_yaml(base), values)
    if (use := values.pop("use", None)) is not None:
        # Beside the file that asks for it, else among the shipped ones: a user's own source may use those.
        places = [base / "shared" / f"{use}.yml" for base in (path.parent, sources_folder())]
        shared = next((p for p in places if p.is_file()), None)
        if shared is None:
            raise SourceError(f"{path}: use: {use}: no shared events at {' or '.join(map(str, places))}")
        values["shared"] = _checked(_Events, _yaml(shared), shared)
    return _checked(SourceMapping, {"name": path.stem, **values, "path": path}, path)


def _changed(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Another source's values with what is said anew in their place; groups are merged, all else is replaced."""
    both = {k: _changed(base[k], v) for k, v in values.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return {**base, **values, **both}


def _yaml(path: Path) -> dict[str, Any]:
    return load_yaml(path, dict[str, Any], error=SourceError)


def _checked(model: type[_Model], values: dict[str, Any], path: Path) -> _Model:
    checked, problems = check(values, model, path)
    if checked is None:
        raise SourceError("\n".join(problems))
    return checked
