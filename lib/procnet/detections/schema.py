"""What a person writes in conf/detections/*.yml, strictly: a typing error is an error, never a silent default."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pyspark.sql import types as T

from procnet.contract import FINDINGS
from procnet.periods import Duration
from procnet.settings import Budget

Item = TypeVar("Item")


def _wrong(field: str) -> str | None:
    if field not in FINDINGS.names or field in ("message", "finding_id"):
        return f"findings have no column {field!r}"
    return f"{field} holds several values" if isinstance(FINDINGS[field].dataType, T.ArrayType) else None


def _column(field: str) -> str:
    if problem := _wrong(field):
        raise ValueError(problem)
    return field


def _template(message: str) -> str:
    try:
        asked = [(field, spec or how) for _, field, spec, how in Formatter().parse(message) if field is not None]
    except ValueError as e:
        raise ValueError(f"{e}; a plain brace is written twice") from None
    problems = [problem for field, _ in asked if (problem := _wrong(field))]
    problems += [f"{{{field}}} is filled in as it is, without a format" for field, how in asked if how]
    if problems:
        raise ValueError("; ".join(problems))
    return message


def some(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """At least one of them, or a ValueError."""
    # Pydantic's min_length counts what is valid: one wrong item of one would be told twice.
    if not items:
        raise ValueError("at least one is wanted")
    return items


RiskScore = Annotated[int, Field(ge=1, le=100)]  # Splunk ES: 1..100
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Technique = Annotated[str, Field(pattern=r"^T\d{4}(\.\d{3})?$")]  # ATT&CK technique or sub-technique
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
FindingsColumn = Annotated[str, AfterValidator(_column)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RiskObject(_Strict):
    """Whom the risk falls on: a column of the findings, and what it holds."""

    field: FindingsColumn
    type: Literal["system", "user", "other"]


class ThreatObject(_Strict):
    """What the threat came by: a column of the findings, and what it holds."""

    field: FindingsColumn
    type: Literal["process_name", "parent_process_name", "ip_address", "domain", "file_hash", "command", "other"]


class Risk(_Strict):
    """Score 1..100, on whom it falls, and the message with `{column}`s of the findings."""

    score: RiskScore
    message: Annotated[Text, AfterValidator(_template)]
    objects: Annotated[tuple[RiskObject, ...], AfterValidator(some)]
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
    connections: Annotated[tuple[dict[str, Any], ...], AfterValidator(some)]
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
    budget: Budget | None = None
    annotations: Annotations = Annotations()
    false_positives: Text
    misses: Text
    references: tuple[str, ...] = ()
    cases: Annotated[tuple[Case, ...], AfterValidator(some)]
