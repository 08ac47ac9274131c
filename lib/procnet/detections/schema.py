"""The keys of a detection file (conf/detections/*.yml); an unknown key is an error, never a silent default."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pyspark.sql import types as T

from procnet.contract import ACCEPTED_NAMES, FINDINGS, NAME_KINDS, NameKind
from procnet.periods import Duration
from procnet.settings import Budget

Item = TypeVar("Item")


def _column(field: str) -> str:
    if problem := _column_problem(field):
        raise ValueError(problem)
    return field


def _column_problem(field: str) -> str:
    """Why a field cannot stand for a single value of a finding; "" if it can."""
    if field not in FINDINGS.names or field in ("message", "finding_id"):
        return f"findings have no column {field!r}"
    return f"{field} holds several values" if isinstance(FINDINGS[field].dataType, T.ArrayType) else ""


def _template(message: str) -> str:
    try:
        fields = [
            (field, spec or conversion)
            for _, field, spec, conversion in Formatter().parse(message)
            if field is not None
        ]
    except ValueError as e:
        raise ValueError(f"{e}; a plain brace is written twice") from None
    problems = [problem for field, _ in fields if (problem := _column_problem(field))]
    problems += [f"{{{field}}} is filled in as it is, without a format" for field, formatted in fields if formatted]
    if problems:
        raise ValueError("; ".join(problems))
    return message


def at_least_one(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The items; ValueError if there are none."""
    # Pydantic's min_length counts the valid items: it would report a single wrong item a second time, as none.
    if not items:
        raise ValueError("at least one is wanted")
    return items


def _ordered_kinds(kinds: tuple[NameKind, ...]) -> tuple[NameKind, ...]:
    return tuple(k for k in NAME_KINDS if k in kinds)


# How the name of a destination may be known for `dest_name` to have it: the order in a file makes no difference.
NameKinds = Annotated[
    tuple[NameKind, ...],
    AfterValidator(at_least_one),
    AfterValidator(_ordered_kinds),
]
RiskScore = Annotated[int, Field(ge=1, le=100)]  # the range in Splunk ES
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Technique = Annotated[str, Field(pattern=r"^T\d{4}(\.\d{3})?$")]  # ATT&CK technique or sub-technique
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
FindingsColumn = Annotated[str, AfterValidator(_column)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RiskObject(_Strict):
    """What bears the risk: a column of the findings, and the type of its values."""

    field: FindingsColumn
    type: Literal["system", "user", "other"]


class ThreatObject(_Strict):
    """What the threat was carried out with: a column of the findings, and the type of its values."""

    field: FindingsColumn
    type: Literal["process_name", "parent_process_name", "ip_address", "domain", "file_hash", "command", "other"]


class Risk(_Strict):
    """Score, risk and threat objects, and a message with `{column}` placeholders for the finding's values."""

    score: RiskScore
    message: Annotated[Text, AfterValidator(_template)]
    objects: Annotated[tuple[RiskObject, ...], AfterValidator(at_least_one)]
    threat_objects: tuple[ThreatObject, ...] = ()


class Annotations(_Strict):
    """References to other catalogues: MITRE ATT&CK, kill chain, NIST, CIS, analytic stories."""

    mitre_attack: tuple[Technique, ...] = ()
    kill_chain: tuple[str, ...] = ()
    nist: tuple[str, ...] = ()
    cis: tuple[str, ...] = ()
    stories: tuple[str, ...] = ()


class Case(_Strict):
    """Test events, and the findings that the detection must make of them: see detections/cases.py."""

    name: Text
    defect: Annotated[str, Field(pattern=r"^D\d{1,2}$")] | None = None
    processes: tuple[dict[str, Any], ...] = ()
    connections: Annotated[tuple[dict[str, Any], ...], AfterValidator(at_least_one)]
    dns: tuple[dict[str, Any], ...] = ()
    flows: tuple[dict[str, Any], ...] = ()
    expect: Literal["match", "none"] | tuple[dict[str, Any], ...]


class DetectionFile(_Strict):
    """One detection file; docs/detections.md explains every key."""

    id: Uuid
    name: Text
    version: int = Field(ge=1, le=2**31 - 1)  # the type of the column in findings
    status: Literal["stable", "experimental", "deprecated"]
    type: Literal["anomaly", "ttp", "hunting"] = "anomaly"
    description: Text
    data_sources: tuple[str, ...] = ()
    process: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    dest_name_by: NameKinds = ACCEPTED_NAMES
    lookback: Duration
    risk: Risk
    budget: Budget | None = None
    annotations: Annotations = Annotations()
    false_positives: Text
    misses: Text
    references: tuple[str, ...] = ()
    cases: Annotated[tuple[Case, ...], AfterValidator(at_least_one)]
