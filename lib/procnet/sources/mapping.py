"""The mapping of a source: conf/sources/NAME.yml as a frozen, checked SourceMapping.

A source is a format of records. Its file says how a record is read (`reader`, with `record` or `table`), defines names
for values that several expressions use (`given`), and maps canonical columns (`columns`, also per event in `events`).
All expressions are Spark SQL. `use` names a shared file of events (conf/sources/shared), so that Sysmon's and Windows
Security's records are mapped once for all the formats that carry them. `like` names a source whose values this file
overrides.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from procnet.config_file import check, load_yaml, printable_line, shortened
from procnet.contract import EVENT_TABLES, TABLE_OF_KIND, TABLES
from procnet.errors import SourceError
from procnet.settings import default_conf_dir

# Canonical columns that no mapping may fill: normalization sets them.
NOT_MAPPED = ("event_kind", "source", "ingest_time", "event_date")
COLUMNS: tuple[str, ...] = tuple(
    dict.fromkeys(n for table in EVENT_TABLES for n in TABLES[table][0].names if n not in NOT_MAPPED)
)
# Kind of an event -> columns that its mapping must fill. A network sensor sees addresses and no endpoint.
REQUIRED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(TABLE_OF_KIND, ("event_time", "host")),
    "dns": ("event_time", "host", "query_name"),
    "flow": ("event_time", "src_ip", "dest_ip"),
}
# Names that every expression may use beside the record's own: the file of the record, and the host that the caller
# gives (--host).
FILE, HOST_OPTION = "file", "asked_host"
# What stands for the event id of a record that has none: it is probably of another format.
NO_EVENT_IDS = ("none", "row")


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


# One expression, or alternatives: the first that gives a usable value counts.
Expressions = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Columns = dict[str, Expressions]
_Model = TypeVar("_Model", bound="_Frozen")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventMapping(_Frozen):
    """One event of a source: the condition on its records, and the columns that only this event fills in this way."""

    kind: Literal["start", "end", "network", "dns", "flow"]
    when: str
    columns: Columns = {}

    @property
    def table(self) -> str:
        """Returns the canonical table of the event."""
        return TABLE_OF_KIND[self.kind]


class _Events(_Frozen):
    given: dict[str, str] = {}
    columns: Columns = {}
    events: dict[str, EventMapping] = {}

    @model_validator(mode="after")
    def _only_canonical_columns(self) -> _Events:
        for place, columns in (("", self.columns), *((f"events.{n}.", e.columns) for n, e in self.events.items())):
            if unknown := sorted(set(columns) - set(COLUMNS)):
                raise ValueError(f"{place}columns: {', '.join(unknown)}: no canonical column that a source may fill")
        return self


class SourceMapping(_Events):
    """A source. `record` is the Spark type of a parsed record, `table` the columns of a raw table, as DDL.

    Records are XML for the reader xml, else JSON: a CSV row and an EVTX event are read as objects.
    as_is: columns that a table has in their canonical spelling, so that predicates reach its files.
    event_date: a partition column that is the UTC date of event_time and nothing else.
    """

    name: str
    description: str = ""
    reader: Literal["json", "csv", "evtx", "xml", "table"]
    record: str | None = None
    table: str | None = None
    event_id: str = Field(description="expression by which skipped records are counted")
    as_is: tuple[str, ...] = ()
    event_date: str | None = None
    shared: _Events = Field(default=_Events(), exclude=True)
    path: Path = Path()

    @model_validator(mode="after")
    def _is_complete(self) -> SourceMapping:
        wanted, other = ("table", "record") if self.reader == "table" else ("record", "table")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"reader {self.reader} needs `{wanted}` and no `{other}`")
        if not self.all_events:
            raise ValueError("events: none, neither here nor in the shared file")
        if unknown := sorted(set(self.as_is) - set(COLUMNS)):
            raise ValueError(f"as_is: {', '.join(unknown)}: no canonical column that a source may fill")
        for name, event in self.all_events.items():
            if absent := [c for c in REQUIRED[event.kind] if c not in self.columns_of(event)]:
                raise ValueError(f"events.{name}: nothing fills {', '.join(absent)}; write it under columns")
        return self

    @property
    def all_events(self) -> dict[str, EventMapping]:
        """Returns the events by name: of the shared file, then its own, which replace shared ones of the same name."""
        return {**self.shared.events, **self.events}

    @property
    def all_given(self) -> dict[str, str]:
        """Returns the named expressions: its own, then those of the shared file that it does not define itself."""
        return {**self.given, **{n: text for n, text in self.shared.given.items() if n not in self.given}}

    def columns_of(self, event: EventMapping) -> Columns:
        """Returns the expressions of an event's columns: its own, else the source's, else the shared file's."""
        schema, _ = TABLES[event.table]
        merged = {**self.shared.columns, **self.columns, **event.columns}
        return {column: merged[column] for column in schema.names if column in merged}


def sources_folder() -> Path:
    """Returns the folder of the shipped sources."""
    return default_conf_dir() / "sources"


def known_sources(folder: Path | None = None) -> list[str]:
    """Returns the names of the sources in a folder (default: the shipped ones), sorted."""
    return sorted(p.stem for p in (folder or sources_folder()).glob("*.yml"))


def read_mapping(name_or_path: str | Path, folder: Path | None = None) -> SourceMapping:
    """Returns a source by its name in `folder` (default: the shipped ones) or by its file. SourceError.

    Does not analyse the expressions, which needs Spark: `validate.load_source` does.
    """
    folder = folder or sources_folder()
    is_file = Path(name_or_path).suffix in (".yml", ".yaml")
    path = Path(name_or_path) if is_file else folder / f"{name_or_path}.yml"
    if not os.path.isfile(path):  # also for a name that is too long, where Path.is_file raises
        known = ", ".join(known_sources(folder)) or "none"
        what = f"source file {path} does not exist" if is_file else f"unknown source {str(name_or_path)!r}"
        raise SourceError(
            f"{printable_line(what, 500)}; known sources: {known}", hint=f"sources are the files of {folder}"
        )
    values = _yaml(path)
    if (like := values.pop("like", None)) is not None:
        values = _overridden(_yaml(_base_file(path, like)), values)
    if (use := values.pop("use", None)) is not None:
        shared = _shared_file(path, use)
        values["shared"] = _checked(_Events, _yaml(shared), shared)
    return _checked(SourceMapping, {"name": path.stem, **values, "path": path}, path)


def _base_file(path: Path, like: str) -> Path:
    """Returns the file of the source that `like` in `path` names: beside `path`, else a shipped one."""
    places = (path.parent / f"{like}.yml", sources_folder() / f"{like}.yml")
    if (base := next((p for p in places if os.path.isfile(p)), None)) is None:
        raise SourceError(f"{path}: like: {shortened(like)}: no such source; known: {', '.join(known_sources())}")
    return base


def _shared_file(path: Path, use: str) -> Path:
    """Returns the shared file that `use` in `path` names: beside `path`, else a shipped one."""
    places = [folder / "shared" / f"{use}.yml" for folder in (path.parent, sources_folder())]
    if (shared := next((p for p in places if os.path.isfile(p)), None)) is None:
        folders = " or ".join(str(p.parent) for p in places)
        raise SourceError(f"{path}: use: {shortened(use)}: no file of shared events of this name in {folders}")
    return shared


def _overridden(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of `base` overridden by `values`. Mappings are merged; everything else is replaced."""
    merged = {
        k: _overridden(base[k], v) for k, v in values.items() if isinstance(v, dict) and isinstance(base.get(k), dict)
    }
    return {**base, **values, **merged}


def _yaml(path: Path) -> dict[str, Any]:
    return load_yaml(path, dict[str, Any], error=SourceError)


def _checked(model: type[_Model], values: dict[str, Any], path: Path) -> _Model:
    checked, problems = check(values, model, path)
    if checked is None:
        raise SourceError("\n".join(problems))
    return checked
