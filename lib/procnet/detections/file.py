"""What a person writes in conf/detections/*.yml, strictly: a typing error is an error, never a silent default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from procnet.types import Duration, RiskScore, Technique, Uuid

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RiskObject(_Strict):
    """Whom the risk falls on: a column of the findings, and what it holds."""

    field: str
    type: Literal["system", "user", "other"]


class ThreatObject(_Strict):
    """What the threat came by: a column of the findings, and what it holds."""

    field: str
    type: Literal["process_name", "parent_process_name", "ip_address", "domain", "file_hash", "command", "other"]


class Risk(_Strict):
    """Score 1..100, on whom it falls, and the message with `{column}`s of the findings."""

    score: RiskScore
    message: Text
    objects: tuple[RiskObject, ...] = Field(min_length=1)
    threat_objects: tuple[ThreatObject, ...] = ()


class Annotations(_Strict):
    """How others file it."""

    mitre_attack: tuple[Technique, ...] = ()
    kill_chain: tuple[str, ...] = ()
    nist: tuple[str, ...] = ()
    cis: tuple[str, ...] = ()
    stories: tuple[str, ...] = ()


class Case(_Strict):
    """Events on which the detection is tried, and what it must find: see detections/cases.py."""

    name: Text
    defect: Annotated[str, Field(pattern=r"^D\d{1,2}$")] | None = None
    processes: tuple[dict[str, Any], ...] = ()
    connections: tuple[dict[str, Any], ...] = Field(min_length=1)
    expect: Literal["match", "none"] | tuple[dict[str, Any], ...]


class DetectionFile(_Strict):
    """One detection file."""

    id: Uuid
    name: Text
    version: int = Field(ge=1)
    status: Literal["stable", "experimental", "deprecated"]
    type: Literal["anomaly", "ttp", "hunting"] = "anomaly"
    description: Text
    data_sources: tuple[str, ...] = ()
    process: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    lookback: Duration
    risk: Risk
    annotations: Annotations = Annotations()
    false_positives: Text
    misses: Text
    references: tuple[str, ...] = ()
    cases: tuple[Case, ...] = Field(min_length=1)
