"""What a user may set, as frozen values: where the tables are, the window, how hosts and clocks compare, what runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from procnet.errors import ConfigError, UsageError
from procnet.periods import Duration, Window


class HostMatch(str, Enum):
    """Whether `hr001` and `hr001.shire.com` are one host when events are joined (2-semantics: Host equality)."""

    SHORT = "short"
    FULL = "full"
    AS_IS = "as_is"


class Budget(BaseModel):
    """How many live findings of one detection are still worth a look: with more the run is marked noisy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: int = Field(ge=0)
    per: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=1)

    def of(self, window: Window) -> int:
        """What a window may have: as many whole periods as it takes to cover it."""
        return self.findings * -((window.start - window.end) // self.per)


@dataclass(frozen=True)
class Tolerances:
    """How far clocks and sensors may be apart; measured from the connection, never from the window (2-semantics, 2)."""

    clock_skew: timedelta = timedelta(seconds=1)
    end_grace: timedelta = timedelta(seconds=5)
    start_tolerance: timedelta = timedelta(seconds=2)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowSettings(_Frozen):
    """The default window of `detect`: the last complete one of `length`, `delay` before now."""

    length: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=1)
    delay: Duration = timedelta(minutes=10)


class HostSettings(_Frozen):
    """How hosts are compared when events are joined."""

    match: HostMatch = HostMatch.SHORT


class AttributionSettings(_Frozen):
    """Tolerances between clocks and sensors, and the size up to which lives are broadcast."""

    clock_skew: Duration = timedelta(seconds=1)
    end_grace: Duration = timedelta(seconds=5)
    start_tolerance: Duration = timedelta(seconds=2)
    max_age: Duration = timedelta(hours=24)  # for `attribute_connections` alone; a detection says its own lookback
    # Rows that the driver may hold and send to every task: above, the shuffled plan. Not set: by the heap's size.
    broadcast_limit: Annotated[int, Field(ge=0)] | None = None
    # Scheduled windows whose longest lookback is longer carry what they found open on to the next one.
    state_over: Duration | None = timedelta(days=2)

    @property
    def tolerances(self) -> Tolerances:
        return Tolerances(self.clock_skew, self.end_grace, self.start_tolerance)


class DetectionSettings(_Frozen):
    """Where detection files are and which of them run; nothing runs that is not named here or on the command line."""

    folder: Path | None = None  # default: the shipped ones
    enabled: tuple[str, ...] = ()
    budget: Budget = Budget(findings=1000)  # of each detection that has none of its own
    required: Path | None = None  # true positives that no tuning may lose; default: the shipped ones


class ExclusionSettings(_Frozen):
    """Where exclusion files are and which of them hold; no file does that is not named here."""

    folder: Path | None = None  # default: the shipped examples
    enabled: tuple[str, ...] = ()
    table: str | None = None  # all of a table holds: catalog.schema.table, or a Delta folder


class RiskSettings(_Frozen):
    """How findings add up: buckets of repeats, and the thresholds past which a risk object is an incident."""

    throttle: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=24)
    # Splunk ES's own thresholds: a sum of 100 in 24 h, 3 ATT&CK tactics in 7 days.
    score: int = Field(default=100, ge=1)
    score_over: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(hours=24)
    tactics: int = Field(default=3, ge=1)
    tactics_over: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(days=7)
    # Accounts that every host has: they bear no risk of their own, the host does.
    shared_accounts: tuple[str, ...] = (
        "NT AUTHORITY\\SYSTEM", "NT AUTHORITY\\LOCAL SERVICE", "NT AUTHORITY\\NETWORK SERVICE",
        "SYSTEM", "LOCAL SERVICE", "NETWORK SERVICE",
    )  # fmt: skip


class MaintenanceSettings(_Frozen):
    """How `init` and `maintain` lay the tables out, and how long what is kept; not set: for ever."""

    layout: Literal["compact", "zorder", "liquid"] = "compact"
    order: dict[Literal["process_events", "network_events"], tuple[str, ...]] = {
        "process_events": ("event_time", "process_name"),
        "network_events": ("event_time", "dest_port"),
    }
    zorder_over: Duration = timedelta(days=2)  # zorder rewrites whole dates: only those of the last days
    keep_versions: Duration = timedelta(days=7)  # old versions, for time travel and for readers at work
    keep_findings: Annotated[Duration, Field(ge=timedelta(days=30))] | None = None
    keep_runs: Annotated[Duration, Field(ge=timedelta(days=30))] | None = None
    keep_quarantine: Annotated[Duration, Field(ge=timedelta(days=1))] | None = None
    keep_events: Annotated[Duration, Field(ge=timedelta(days=30))] | None = None


class SourceSettings(_Frozen):
    """Raw tables that are read in place, by a mapping of conf/sources, beside the lake's own tables."""

    mapping: str  # name or file
    tables: tuple[str, ...] = Field(min_length=1)
    table_format: str | None = None  # Spark's name, where it is neither Delta nor Parquet: iceberg
    column: str | None = None  # the column with the record's text, where the mapping reads JSON or XML
    host: str | None = None  # of records that name none
    host_match: Literal[HostMatch.SHORT] | None = None  # cut domains off this source's hosts, where host.match is full
    clock_ahead: Duration = timedelta(0)  # how far its sensors' clocks run ahead


class Settings(_Frozen):
    """All settings. `lake` is a folder of Delta tables; `namespace` is `catalog.schema`; `tables` names single ones."""

    lake: Path | None = None
    namespace: str | None = None
    tables: dict[str, str] = {}
    window: WindowSettings = WindowSettings()
    host: HostSettings = HostSettings()
    attribution: AttributionSettings = AttributionSettings()
    sources: dict[str, SourceSettings] = {}
    detections: DetectionSettings = DetectionSettings()
    exclusions: ExclusionSettings = ExclusionSettings()
    risk: RiskSettings = RiskSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    s3_commits: str | None = None  # why several writers on S3 are safe, where no log store says so
    spark: dict[str, str] = {}

    @field_validator("lake")
    @classmethod
    def _is_a_folder(cls, lake: Path | None) -> Path | None:
        # As a path `s3a://bucket/x` is a folder `s3a:` here, and would be made without a word.
        if lake is not None and re.match(r"[a-z][a-z0-9+.-]+:/", str(lake)):
            raise ValueError("it is a folder of this machine: name tables in an object store under tables or namespace")
        return lake

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


def conf_file(asked: Path | None, env: Mapping[str, str] = os.environ) -> Path:
    """The configuration to read: as asked, `$PROCNET_CONF`, `conf/local.yml` here, or the shipped local.yml."""
    if asked is None and env.get("PROCNET_CONF"):
        asked = Path(env["PROCNET_CONF"])
    if asked is None:
        here = Path("conf/local.yml")
        asked = here if here.is_file() else default_conf_dir() / "local.yml"
    if not asked.is_file():
        raise ConfigError(f"configuration {asked} does not exist", hint="give --conf FILE, or leave it out")
    return asked


def load_settings(conf: Path | None = None, *, overrides: Sequence[str] = (), lake: Path | None = None) -> Settings:
    """Settings from a YAML file, then `key.sub=value` overrides, then `lake`. ConfigError names file, key and value."""
    file = conf_file(conf)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"{file} is not readable YAML: {e}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file} holds {type(values).__name__}, not a mapping of settings")
    for override in overrides:
        _override(values, override)
    if lake is not None:
        values = {**values, "lake": lake, "namespace": None, "tables": {}}
    try:
        return Settings.model_validate(values)
    except ValidationError as e:
        problems = "\n".join(
            f"{file}: {'.'.join(map(str, p['loc']))}: {p['msg']} (found {p['input']!r})" for p in e.errors()
        )
        raise ConfigError(problems, hint="docs/settings.md lists every key with its default") from None


def _override(values: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text!r} is no key=value", hint="for example --set attribution.clock_skew=2s")
    # Spark's own keys have dots: everything after the first one is the key there.
    first, dot, rest = key.partition(".")
    path = [first, rest] if first == "spark" and dot else key.split(".")
    at = values
    for part in path[:-1]:
        at = at.setdefault(part, {})
        if not isinstance(at, dict):
            raise UsageError(f"--set {text!r}: {part} holds a value, not a group of settings")
    try:
        at[path[-1]] = value if first == "spark" else yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(
            f"--set {text!r}: {value!r} is not readable YAML", hint="quote it, or close its bracket"
        ) from None
