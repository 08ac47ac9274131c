"""True positives that no tuning may lose: events of real attacks, and the detections that must find them.

They are cases that stand outside the detections' files, so an edit of a file, which may edit its cases too, and an
exclusion are held to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from procnet.detections.detection import Detection
from procnet.detections.schema import Case, Text, some
from procnet.errors import ConfigError


class Required(BaseModel):
    """One true positive, and the detections, by id or name, that must find it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    detections: Annotated[tuple[Text, ...], AfterValidator(some)]
    processes: tuple[dict[str, Any], ...] = ()
    connections: Annotated[tuple[dict[str, Any], ...], AfterValidator(some)]

    @property
    def case(self) -> Case:
        return Case(
            name=f"required: {self.name}", processes=self.processes, connections=self.connections, expect="match"
        )


def load_required(file: Path) -> tuple[Required, ...]:
    """The true positives of a file. ConfigError with every problem of it."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or []
        if not isinstance(values, list):
            raise ConfigError(f"{file} holds {type(values).__name__}, not a list of true positives")
    except OSError as e:
        raise ConfigError(f"{file}: cannot be read: {e.strerror}", hint="set detections.required") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"{file}: not readable as YAML: {' '.join(str(e).split())}") from None
    found, problems = [], []
    for i, value in enumerate(values, start=1):
        try:
            found.append(Required.model_validate(value))
        except ValidationError as e:
            problems += [f"{file}: no. {i}: {'.'.join(map(str, p['loc']))}: {p['msg']}" for p in e.errors()]
    if problems:
        raise ConfigError("\n".join(problems), hint="docs/detections.md shows one")
    return tuple(found)


def with_required(detections: Sequence[Detection], required: Sequence[Required]) -> tuple[Detection, ...]:
    """Detections whose cases hold the true positives that they must find."""
    return tuple(
        replace(d, cases=(*d.cases, *(r.case for r in required if _means(r, d)))) for d in detections
    )  # fmt: skip


def unknown(required: Sequence[Required], detections: Sequence[Detection]) -> list[str]:
    """What a true positive names that is no detection: it would never be held to anything."""
    return [
        f"{r.name}: there is no detection {name!r}"
        for r in required
        for name in r.detections
        if name.lower() not in {n for d in detections for n in (d.id, d.name.lower())}
    ]


def _means(required: Required, detection: Detection) -> bool:
    return not {n.lower() for n in required.detections}.isdisjoint((detection.id, detection.name.lower()))
