"""What a person expects of recorded data, as a file: which findings, in which files, read by which source.

Everything is checked before any record is read, and all that is wrong is told in one message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pyspark.sql import types as T

from procnet.config_file import check, read_yaml
from procnet.contract import FINDINGS
from procnet.detections.catalog import select
from procnet.detections.detection import Detection
from procnet.errors import ConfigError, DetectionError
from procnet.predicates.model import Predicate, canonical
from procnet.predicates.parse import parse_side
from procnet.settings import default_conf_dir

# What `where` may ask: text and numbers. Sigma's spelling has no order of times and no test of lists.
ALIASES = {"command_line": "process"}
WHERE_FIELDS: dict[str, T.DataType] = {
    **{f.name: f.dataType for f in FINDINGS if isinstance(f.dataType, T.StringType | T.IntegerType | T.LongType)},
    **{alias: FINDINGS[column].dataType for alias, column in ALIASES.items()},
}

_Item = TypeVar("_Item")
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Count = Annotated[int, Field(strict=True, ge=0)]
_Place = tuple[int, int]  # of a dataset in the file, and of an expectation in it


def _some(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
    # Pydantic's min_length counts what is valid: one wrong item of one would be told twice.
    if not items:
        raise ValueError("at least one is wanted")
    return items


def _where(block: dict[str, Any]) -> dict[str, Any]:
    _, problems = parse_where(block)
    if problems:
        raise ValueError("; ".join(problems))
    return block


def parse_where(block: dict[str, Any]) -> tuple[Predicate | None, list[str]]:
    """A `where` as a tree over the text and numbers of `contract.FINDINGS`, and what is wrong with it."""
    tree, problems = parse_side({"where": block, "condition": "where"}, WHERE_FIELDS, "")
    return tree, [_plainly(p.removeprefix(".where").lstrip(".: ")) for p in problems]


def _plainly(problem: str) -> str:
    missing = re.search(r"there is no field (\w+)", problem)
    if missing is None or missing[1] not in FINDINGS.names:
        return problem
    return f"{missing[1]} is a time or a list, and where asks text and numbers alone"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WrittenExpectation(_Strict):
    """How many findings of one detection there must be: exactly so many, or at least, at most, or both."""

    detection: _Text
    exactly: _Count | None = None
    at_least: Annotated[int, Field(strict=True, ge=1)] | None = None  # at least none would always hold
    at_most: _Count | None = None
    where: Annotated[dict[str, Any], AfterValidator(_where)] | None = None
    excluded: bool = False

    @model_validator(mode="after")
    def _bounded(self) -> WrittenExpectation:
        if self.exactly is None and self.at_least is None and self.at_most is None:
            raise ValueError("how many? write exactly, at_least or at_most")
        if self.exactly is not None and (self.at_least is not None or self.at_most is not None):
            raise ValueError("exactly says all: leave at_least and at_most out")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"no number is at least {self.at_least} and at most {self.at_most}")
        return self


class WrittenDataset(_Strict):
    """Files that are replayed together, apart from all others, and what must come of them."""

    files: Annotated[tuple[_Text, ...], AfterValidator(_some)] = ("*",)
    source: _Text | None = None
    host: _Text | None = None
    others: _Count | None = None
    expect: tuple[WrittenExpectation, ...] = ()


class ExpectationsFile(_Strict):
    """One file of expectations. `others` is for the datasets that do not say it themselves."""

    datasets: Annotated[tuple[WrittenDataset, ...], AfterValidator(_some)]
    others: _Count | None = None

    def others_of(self, dataset: WrittenDataset) -> int | None:
        """How many findings the enabled detections that a dataset does not name may have; None: any number."""
        return dataset.others if "others" in dataset.model_fields_set else self.others


@dataclass(frozen=True)
class Expectations:
    """A file that may be replayed: its detections by the dataset and the expectation that name them."""

    path: Path
    file: ExpectationsFile
    detections: Mapping[_Place, Detection]

    def beside(self, name: str) -> str:
        """A detection or source by its name, or by a file, whose path counts from this file's folder."""
        return beside(self.path, name)


def beside(path: Path, name: str) -> str:
    """`name`, or where a name of a YAML file leads from the folder of `path`."""
    return str(path.parent / name) if name.endswith((".yml", ".yaml")) else name


def expectations_file(asked: str) -> Path:
    """The file as named; a name without `.yml` that is no file here means one of conf/expectations."""
    path = Path(asked)
    shipped = default_conf_dir() / "expectations" / f"{asked}.yml"
    return shipped if not path.exists() and path.name == asked and shipped.is_file() else path


def read_expectations(path: Path, catalogue: Sequence[Detection]) -> Expectations:
    """The expectations of a file, each detection looked up in the catalogue or in the file that it names.

    Raises ConfigError with all that is wrong: unknown keys, no bounds, fields that findings lack, detections that are
    not known, and what is said twice.
    """
    values, problems = read_yaml(path)
    if problems:
        raise ConfigError("\n".join(problems), hint="give the file by --expect FILE, docs/replay.md shows one")
    file, problems = check(values, ExpectationsFile, path)
    detections, unknown = _known(values, path, catalogue)
    problems += [f"{path}: {p}" for p in [*unknown, *([] if file is None else _twice(file, detections))]]
    if file is None or problems:
        raise ConfigError("\n".join(problems), hint="docs/replay.md lists every key")
    return Expectations(path, file, detections)


def _known(values: Any, path: Path, catalogue: Sequence[Detection]) -> tuple[dict[_Place, Detection], list[str]]:
    """The detections that raw values name: looked up even where another value is wrong, so that all is told at once."""
    found: dict[_Place, Detection] = {}
    problems: list[str] = []
    for place, name in _names(values):
        try:
            (found[place],) = select(catalogue, [beside(path, name)])
        except DetectionError as e:
            problems += [f"datasets.{place[0]}.expect.{place[1]}.detection: {p}" for p in e.problems]
    return found, problems


def _names(values: Any) -> Iterator[tuple[_Place, str]]:
    for i, dataset in _numbered(values, "datasets"):
        for k, expected in _numbered(dataset, "expect"):
            name = expected.get("detection") if isinstance(expected, dict) else None
            if isinstance(name, str) and name.strip():
                yield (i, k), name.strip()


def _numbered(values: Any, key: str) -> Iterator[tuple[int, Any]]:
    items = values.get(key) if isinstance(values, dict) else None
    return enumerate(items if isinstance(items, list) else [])


def _twice(file: ExpectationsFile, detections: Mapping[_Place, Detection]) -> list[str]:
    """What is said twice, or of two detections that cannot run beside each other."""
    problems = []
    for i, dataset in enumerate(file.datasets):
        asked: dict[tuple[str, str, bool], int] = {}
        paths: dict[str, Path] = {}
        for k, expected in enumerate(dataset.expect):
            if (detection := detections.get((i, k))) is None:
                continue
            tree = parse_where(expected.where)[0] if expected.where else None
            first = asked.setdefault((detection.id, canonical(tree) if tree else "", expected.excluded), k)
            if first != k:
                problems.append(
                    f"datasets.{i}.expect.{k}: {detection.name} is asked the same by expect.{first}; make them one"
                )
            if (path := paths.setdefault(detection.id, detection.path)) != detection.path:
                problems.append(f"datasets.{i}.expect.{k}: {detection.path} and {path} have one id; name one of them")
        if not dataset.expect and file.others_of(dataset) is None:
            problems.append(f"datasets.{i}: nothing is expected; write expect, or others: 0")
    return problems
