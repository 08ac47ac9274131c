"""True positives that no edit may lose: events of real attacks, and the detections that must find them.

They are test cases in a file of their own, so that an edit of a detection file, which may change the cases in it too,
is still tested against them, and so is an exclusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from procnet.config_file import load_yaml
from procnet.detections.detection import Detection
from procnet.detections.schema import Case, Text, at_least_one


class TruePositive(BaseModel):
    """One true positive, and the detections, by id or name, that must find it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    detections: Annotated[tuple[Text, ...], AfterValidator(at_least_one)]
    processes: tuple[dict[str, Any], ...] = ()
    connections: Annotated[tuple[dict[str, Any], ...], AfterValidator(at_least_one)]

    @property
    def case(self) -> Case:
        """The test case that expects a finding."""
        return Case(
            name=f"required: {self.name}", processes=self.processes, connections=self.connections, expect="match"
        )

    def is_of(self, detection: Detection) -> bool:
        """Whether the detection must find it."""
        return not {n.lower() for n in self.detections}.isdisjoint((detection.id, detection.name.lower()))


def load_true_positives(file: Path) -> tuple[TruePositive, ...]:
    """The true positives of a file. Raises ConfigError with every problem of the file."""
    hint = "page detections of the documentation has one; detections.required is the setting that names the file"
    return load_yaml(file, tuple[TruePositive, ...], empty=(), hint=hint)


def with_true_positives(
    detections: Sequence[Detection], true_positives: Sequence[TruePositive]
) -> tuple[Detection, ...]:
    """The detections, each with the true positives that it must find as further cases."""
    return tuple(replace(d, cases=(*d.cases, *(t.case for t in true_positives if t.is_of(d)))) for d in detections)


def unknown_names(true_positives: Sequence[TruePositive], detections: Sequence[Detection]) -> list[str]:
    """A problem for each id or name in the true positives that is no detection's: it would never be tested."""
    known = {n for d in detections for n in (d.id, d.name.lower())}
    return [
        f"{t.name}: there is no detection {name!r}"
        for t in true_positives
        for name in t.detections
        if name.lower() not in known
    ]
