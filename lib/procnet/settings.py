"""Settings: one frozen model of everything that a configuration file or `--set` may say, and how it is loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from procnet.config_file import check, load_yaml, parse_yaml, printable_line, shortened
from procnet.errors import ConfigError, UsageError
from procnet.periods import EPOCH, LATEST, Duration, Offset, Window, checked_time
from procnet.readers.record import MAX_RECORD

_MOST_DOTS = 4  # of a key of --set; no setting has as many
_HINT = "page settings of the documentation lists every key with its default"
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")
# Keys of earlier versions, by their path in the file, and what became of them.
_REMOVED = {("attribution", "max_age"): "this setting never had an effect and was removed; delete the line"}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowSettings(_Frozen):
    """The default window of `detect`: the last complete one of `length` that ended at least `delay` ago."""

    length: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=1)
    delay: Duration = timedelta(minutes=10)


def _parse_time(value: object) -> datetime:
    """A time with a zone, or the first moment of a date in UTC; ValueError for anything else."""
    text = str(value).strip()
    try:
        time = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
    except ValueError:
        raise ValueError("expected a date, or a time with a zone such as 2026-03-01T08:00:00Z") from None
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        time = time.replace(tzinfo=timezone.utc)
    if time.tzinfo is None:
        raise ValueError("the time has no zone: write Z after it for UTC")
    return checked_time(time).astimezone(timezone.utc)


Time = Annotated[datetime, BeforeValidator(_parse_time)]


class EventSettings(_Frozen):
    """The range of event times that are read, `[first, last)`; others are quarantined, or counted and ignored.

    Sensors whose clock is wrong, and others who may append to a table, write times of any year.
    """

    first: Time = EPOCH
    last: Time = LATEST

    @model_validator(mode="after")
    def _is_a_period(self) -> EventSettings:
        if self.first >= self.last:
            raise ValueError("first is not before last")
        return self

    @property
    def period(self) -> Window:
        return Window(self.first, self.last)

    def refuse_outside(self, window: Window) -> None:
        """Raises UsageError for a window that is not inside the range."""
        if window.start < self.first or window.end > self.last:
            raise UsageError(
                f"{window} is not inside {self.period}, the range of event times that are read",
                hint="give a period inside, or set events.first and events.last",
            )


class HostMatch(str, Enum):
    """Whether `hr001` and `hr001.shire.com` are the same host when events are joined."""

    SHORT = "short"  # yes: compared up to the first dot, lower case
    FULL = "full"  # no: compared whole, trimmed and in lower case
    AS_IS = "as_is"  # no: compared as they are written


class HostSettings(_Frozen):
    """How host names are compared when events are joined."""

    match: HostMatch = HostMatch.SHORT


@dataclass(frozen=True)
class Tolerances:
    """How far the times of two sensors may differ, measured from the connection and not from the window.

    So the windows into which a period is cut cannot change an attribution (docs/semantics.md, R2).
    """

    clock_skew: timedelta = timedelta(seconds=1)  # a process may start this much after its own connection
    end_grace: timedelta = timedelta(seconds=5)  # a connection may be recorded this much after its process ended
    start_tolerance: timedelta = timedelta(seconds=2)  # two sensors' records of one start are at most this far apart


FLOW_SKEW = timedelta(seconds=5)  # docs/semantics.md, R10, has the figures


class AttributionSettings(_Frozen):
    """Tolerances between clocks and sensors, and how the join of connections and processes is planned."""

    clock_skew: Duration = Tolerances.clock_skew
    end_grace: Duration = Tolerances.end_grace
    start_tolerance: Duration = Tolerances.start_tolerance
    name_age: Duration = timedelta(hours=1)  # a name was asked for at most this long before the connection
    flow_skew: Duration = FLOW_SKEW  # a network sensor's record of a connection is at most this far away
    # Rows that the driver may collect and broadcast to every task; with more, the join is shuffled. None: by the heap.
    broadcast_limit: Annotated[int, Field(ge=0)] | None = None
    # Scheduled windows whose longest lookback is longer than this carry open processes to the next one. None: never.
    state_over: Duration | None = timedelta(days=2)

    @property
    def tolerances(self) -> Tolerances:
        return Tolerances(self.clock_skew, self.end_grace, self.start_tolerance)


class Budget(_Frozen):
    """How many live findings of one detection an analyst can review; a run with more is reported as noisy."""

    findings: int = Field(ge=0)
    per: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=1)

    def of(self, window: Window) -> int:
        """The findings that a window may have: `findings` for each `per` that it takes to cover the window."""
        return self.findings * -((window.start - window.end) // self.per)


class DetectionSettings(_Frozen):
    """Where detection files are and which detections run: those enabled here, or those named on the command line."""

    folder: Path | None = None  # None: the shipped ones
    enabled: Annotated[tuple[str, ...], BeforeValidator(lambda v: ("all",) if v == "all" else v)] = ()
    budget: Budget = Budget(findings=1000)  # for each detection whose file has none
    required: Path | None = None  # file of true positives that every edit must still find; None: the shipped one


class ExclusionSettings(_Frozen):
    """Where exclusion files are and which exclusions apply: those enabled here, and all rows of `table`."""

    folder: Path | None = None  # None: the shipped examples
    enabled: tuple[str, ...] = ()
    table: str | None = None  # catalog.schema.table, or a Delta folder


class RiskSettings(_Frozen):
    """How findings become risk events and incidents: the bucket of repeats, and the thresholds of an incident."""

    throttle: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=24)
    # Thresholds of Splunk ES: a sum of 100 in 24 h, 3 ATT&CK tactics of several sources in 7 days.
    score: int = Field(default=100, ge=1)
    score_over: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=24)
    tactics: int = Field(default=3, ge=1)
    tactics_detections: int = Field(default=2, ge=1)  # distinct detections that these tactics must come from
    tactics_over: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=7)
    # Accounts that every host has: no risk objects, since their findings add to the host's risk already.
    shared_accounts: tuple[str, ...] = (
        "NT AUTHORITY\\SYSTEM", "NT AUTHORITY\\LOCAL SERVICE", "NT AUTHORITY\\NETWORK SERVICE",
        "SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE",
    )  # fmt: skip


class MaintenanceSettings(_Frozen):
    """How `init` and `maintain` lay out the files of the tables, and after how long rows are deleted; None: never."""

    layout: Literal["compact", "zorder", "liquid"] = "compact"
    order: dict[Literal["process_events", "network_events", "dns_events", "flow_events"], tuple[str, ...]] = {
        "process_events": ("event_time", "process_name"),
        "network_events": ("event_time", "dest_port"),
        "dns_events": ("event_time", "host"),
        "flow_events": ("event_time", "dest_port"),
    }
    zorder_over: Duration = timedelta(days=2)  # how far back dates are rewritten: Z-ordering rewrites whole dates
    keep_versions: Duration = timedelta(days=7)  # files of old versions, for time travel and for queries still running
    keep_findings: Annotated[Duration, Field(ge=timedelta(days=30))] | None = None
    keep_runs: Annotated[Duration, Field(ge=timedelta(days=30))] | None = None
    keep_quarantine: Annotated[Duration, Field(ge=timedelta(days=1))] | None = None
    keep_events: Annotated[Duration, Field(ge=timedelta(days=30))] | None = None


class IngestSettings(_Frozen):
    """How raw files are read. `max_record`: characters of the longest record; of a longer one the beginning is
    quarantined. A reader has about four times as many in memory, and what it returns is a batch of Arrow (2 GiB)."""

    max_record: int = Field(default=MAX_RECORD, ge=1024, le=1 << 28)


class SourceSettings(_Frozen):
    """Raw tables that are read in place by a source mapping, in addition to the lake's own tables."""

    mapping: str  # name in conf/sources, or file
    tables: tuple[str, ...] = Field(min_length=1)
    table_format: str | None = None  # Spark's name of it, such as iceberg; None: Delta or Parquet
    column: str | None = None  # the column that contains the record's text, if the mapping reads JSON or XML
    host: str | None = None  # for records that name no host
    host_match: Literal[HostMatch.SHORT] | None = None  # cuts domains off this source's hosts where host.match is full
    clock_ahead: Offset = timedelta(0)  # how far the clocks of its sensors run ahead


class Settings(_Frozen):
    """All settings.

    `lake` is a folder of Delta tables, of this machine or (a text such as `s3a://bucket/lake`) of an object store;
    `namespace` is a `catalog.schema`; `tables` places single tables elsewhere.
    """

    lake: Path | str | None = None
    namespace: str | None = None
    tables: dict[str, str] = {}
    window: WindowSettings = WindowSettings()
    events: EventSettings = EventSettings()
    host: HostSettings = HostSettings()
    attribution: AttributionSettings = AttributionSettings()
    ingest: IngestSettings = IngestSettings()
    sources: dict[str, SourceSettings] = {}
    detections: DetectionSettings = DetectionSettings()
    exclusions: ExclusionSettings = ExclusionSettings()
    risk: RiskSettings = RiskSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    s3_commits: str | None = None  # the reason why several writers on S3 are safe, if Spark has no log store for it
    spark: dict[str, str] = {}

    @field_validator("lake", mode="before")
    @classmethod
    def _is_a_folder_or_a_url(cls, lake: Any) -> Any:
        # As a Path, `s3a://bucket/x` is a relative folder `s3a:`, which would be created without a warning.
        if lake is None or not _URL.match(str(lake)):
            return Path(lake) if isinstance(lake, str) else lake
        if not re.match(r"[a-z0-9+.-]+://[^/]+/[^/]", str(lake)):
            raise ValueError(f"{lake} is no folder of an object store: write it like s3a://bucket/lake, as text")
        return str(lake).rstrip("/")

    @property
    def local_lake(self) -> Path | None:
        """The lake as a folder of this machine; None where it is another place."""
        return self.lake if isinstance(self.lake, Path) else None

    @property
    def detections_folder(self) -> Path:
        return self.detections.folder or default_conf_dir() / "detections"

    @property
    def required_file(self) -> Path:
        return self.detections.required or default_conf_dir() / "true_positives.yml"

    @property
    def exclusions_folder(self) -> Path:
        return self.exclusions.folder or default_conf_dir() / "exclusions"


def default_conf_dir() -> Path:
    """The shipped `conf`: inside the installed package, or beside `lib` in a checkout."""
    here = Path(__file__).resolve().parent
    return here / "conf" if (here / "conf").is_dir() else here.parents[1] / "conf"


def conf_file(given: Path | None, env: Mapping[str, str] = os.environ) -> Path:
    """The configuration file: `given`, else `$PROCNET_CONF`, else `conf/local.yml` here, else the shipped local.yml.

    Raises ConfigError if it does not exist.
    """
    if given is None and env.get("PROCNET_CONF"):
        given = Path(env["PROCNET_CONF"])
    if given is None:
        here = Path("conf/local.yml")
        given = here if here.is_file() else default_conf_dir() / "local.yml"
    if not os.path.exists(given):  # False for a name that is too long, where Path.exists raises
        shown = printable_line(str(given), 500)
        raise ConfigError(f"configuration {shown} does not exist", hint="give --conf FILE, or leave it out")
    return given


def load_settings(
    conf: Path | None = None, *, overrides: Sequence[str] = (), lake: Path | str | None = None
) -> Settings:
    """Settings from the file that `conf_file` finds, then `key.sub=value` overrides, then `lake`.

    Raises ConfigError with every wrong key of the file, UsageError for an override that cannot be read.
    """
    file = conf_file(conf)
    values = load_yaml(file, dict[str, Any], empty={}, hint=_HINT)
    for override in overrides:
        _override(values, override)
    if lake is not None:
        values = {**values, "lake": lake, "namespace": None, "tables": {}}
    removed = [f"{file}: {problem}" for problem in _without_removed(values)]
    settings, problems = check(values, Settings, file)
    if settings is None or removed:
        raise ConfigError("\n".join([*removed, *problems]), hint=_HINT)
    return settings


def _without_removed(values: dict[str, Any]) -> list[str]:
    """Takes the removed keys out of `values`; returns a problem for each of them."""
    problems = []
    for (group, key), problem in _REMOVED.items():
        if isinstance(values.get(group), dict) and key in values[group]:
            values[group] = {k: v for k, v in values[group].items() if k != key}
            problems.append(f"{group}.{key}: {problem}")
    return problems


def _override(values: dict[str, Any], text: str) -> None:
    """Sets the value of one `key.sub=value` in `values`."""
    key, equals, value = text.partition("=")
    shown = shortened(text)
    if not equals or not key:
        raise UsageError(f"--set {shown} is no key=value", hint="for example --set attribution.clock_skew=2s")
    # Spark's own keys have dots: everything after the first one is the key there.
    first, dot, rest = key.partition(".")
    path = [first, rest] if first == "spark" and dot else key.split(".", _MOST_DOTS)
    if len(path) > _MOST_DOTS:
        raise UsageError(f"--set {shown}: no setting has so many dots in its key", hint=_HINT)
    group = values
    for part in path[:-1]:
        if not isinstance(group.get(part, {}), dict):
            raise UsageError(f"--set {shown}: {part} is a value, not a group of settings")
        # A copy: a group that the file repeats by an alias is one dict.
        group[part] = group = dict(group.get(part, {}))
    parsed, problems = (value, []) if first == "spark" else parse_yaml(value, f"--set {shown}")
    if problems:
        raise UsageError("\n".join(problems), hint="quote it, or close its bracket")
    group[path[-1]] = parsed
