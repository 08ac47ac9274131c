"""The YAML file of expectations: which findings there must be, in which files, read by which source.

The whole file is checked before any record is read, and one error has all its problems.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pyspark.sql import types as T

from procnet.config_file import check, named, read_yaml
from procnet.contract import FINDING_ALIASES, FINDINGS
from procnet.detections.catalog import select
from procnet.detections.detection import Detection
from procnet.errors import ConfigError, DetectionError
from procnet.predicates.model import Predicate, canonical
from procnet.predicates.parse import parse_side
from procnet.settings import default_conf_dir

# The fields of `where`: text and numbers. Sigma's modifiers compare no times and no lists.
WHERE_FIELDS: dict[str, T.DataType] = {
    **{f.name: f.dataType for f in FINDINGS if isinstance(f.dataType, T.StringType | T.IntegerType | T.LongType)},
    **{alias: FINDINGS[column].dataType for alias, column in FINDING_ALIASES.items()},
}

_Item = TypeVar("_Item")
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Count = Annotated[int, Field(strict=True, ge=0)]
_MOST_PROBLEMS = 20  # of names: each is compared with those of all detections
_Place = tuple[int, int]  # number of a dataset in the file, number of an expectation in it


def _not_empty(items: tuple[_Item, ...]) -> tuple[_Item, ...]:
    # Pydantic's min_length counts valid items: a list of one invalid item would be reported twice.
    if not items:
        raise ValueError("at least one is wanted")
    return items


def _valid_where(block: dict[str, Any]) -> dict[str, Any]:
    _, problems = parse_where(block)
    if problems:
        raise ValueError("; ".join(problems))
    return block


def parse_where(block: dict[str, Any]) -> tuple[Predicate | None, list[str]]:
    """A `where` block as a predicate over `WHERE_FIELDS`, and its problems."""
    tree, problems = parse_side({"where": block, "condition": "where"}, WHERE_FIELDS, "")
    return tree, [_where_problem(p.removeprefix(".where").lstrip(".: ")) for p in problems]


def _where_problem(problem: str) -> str:
    missing = re.search(r"there is no field (\w+)", problem)
    if missing is None or missing[1] not in FINDINGS.names:
        return problem
    return f"{missing[1]} is a time or a list, and where compares only text and numbers"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExpectationEntry(_Strict):
    """The number of findings of one detection: exact, or a lower bound, an upper bound, or both."""

    detection: _Text
    exactly: _Count | None = None
    at_least: Annotated[int, Field(strict=True, ge=1)] | None = None  # 0 would always hold
    at_most: _Count | None = None
    where: Annotated[dict[str, Any], AfterValidator(_valid_where)] | None = None
    excluded: bool = False

    @model_validator(mode="after")
    def _bounded(self) -> ExpectationEntry:
        if self.exactly is None and self.at_least is None and self.at_most is None:
            raise ValueError("how many? write exactly, at_least or at_most")
        if self.exactly is not None and (self.at_least is not None or self.at_most is not None):
            raise ValueError("exactly says all: leave at_least and at_most out")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"no number is at least {self.at_least} and at most {self.at_most}")
        return self


class DatasetEntry(_Strict):
    """Files that are replayed together, in a lake of their own, and the findings that they must give."""

    files: Annotated[tuple[_Text, ...], AfterValidator(_not_empty)] = ("*",)
    source: _Text | None = None
    host: _Text | None = None
    others: _Count | None = None
    expect: tuple[ExpectationEntry, ...] = ()


class ExpectationsFile(_Strict):
    """A file of expectations. `others` applies to datasets that do not have the key."""

    datasets: Annotated[tuple[DatasetEntry, ...], AfterValidator(_not_empty)]
    others: _Count | None = None

    def others_of(self, dataset: DatasetEntry) -> int | None:
        """The highest number of findings that enabled detections without an expectation may have; None: any number."""
        return dataset.others if "others" in dataset.model_fields_set else self.others


@dataclass(frozen=True)
class Expectations:
    """A valid file of expectations. `detections` has the detection of each (dataset, expectation)."""

    path: Path
    file: ExpectationsFile
    detections: Mapping[_Place, Detection]

    def resolved(self, name: str) -> str:
        """A name of the file, with the path of a YAML file relative to this file's folder."""
        return resolved(self.path, name)


def resolved(path: Path, name: str) -> str:
    """`name`; if it is a YAML file, its path relative to the folder of `path`."""
    return str(path.parent / name) if name.endswith((".yml", ".yaml")) else name


def expectations_file(name: str) -> Path:
    """The file of this path; if there is none, the shipped file of this name in conf/expectations."""
    path = Path(name)
    shipped = default_conf_dir() / "expectations" / f"{name}.yml"
    return shipped if not os.path.exists(path) and path.name == name and os.path.isfile(shipped) else path


def read_expectations(path: Path, catalogue: Sequence[Detection]) -> Expectations:
    """The expectations of a file; their detections are from the catalogue, or from the files that they name.

    Raises ConfigError with all problems: unknown keys, missing bounds, unknown fields and detections, repetitions.
    """
    values, problems = read_yaml(path)
    if problems:
        hint = "give the file by --expect FILE, page replay of the documentation has one"
        raise ConfigError("\n".join(problems), hint=hint)
    file, problems = check(values, ExpectationsFile, path)
    detections, unknown = _known(values, path, catalogue)
    problems += named(path, [*unknown, *([] if file is None else _repetitions(file, detections))])
    if file is None or problems:
        raise ConfigError("\n".join(problems), hint="page replay of the documentation has every key")
    return Expectations(path, file, detections)


def _known(values: Any, path: Path, catalogue: Sequence[Detection]) -> tuple[dict[_Place, Detection], list[str]]:
    """The detections that unchecked values name, and the problems of unknown ones.

    Unchecked, so that unknown detections are reported together with the file's other problems.
    """
    found: dict[_Place, Detection] = {}
    by_name: dict[str, Detection] = {}  # a file is read once
    problems: list[str] = []
    for place, name in _names(values):
        try:
            if name not in by_name:
                (by_name[name],) = select(catalogue, [resolved(path, name)])
            found[place] = by_name[name]
        except DetectionError as e:
            problems += [f"datasets.{place[0]}.expect.{place[1]}.detection: {p}" for p in e.problems]
        if len(problems) > _MOST_PROBLEMS:
            break
    return found, problems


def _names(values: Any) -> Iterator[tuple[_Place, str]]:
    for i, dataset in _numbered(values, "datasets"):
        for k, entry in _numbered(dataset, "expect"):
            name = entry.get("detection") if isinstance(entry, dict) else None
            if isinstance(name, str) and name.strip():
                yield (i, k), name.strip()


def _numbered(values: Any, key: str) -> Iterator[tuple[int, Any]]:
    items = values.get(key) if isinstance(values, dict) else None
    return enumerate(items if isinstance(items, list) else [])


def _repetitions(file: ExpectationsFile, detections: Mapping[_Place, Detection]) -> list[str]:
    """Problems: datasets without any expectation, two equal expectations, two detections with one id."""
    problems = []
    for i, dataset in enumerate(file.datasets):
        first_entries: dict[tuple[str, str, bool], int] = {}
        paths: dict[str, Path] = {}
        for k, entry in enumerate(dataset.expect):
            if (detection := detections.get((i, k))) is None:
                continue
            place = f"datasets.{i}.expect.{k}"
            tree = parse_where(entry.where)[0] if entry.where else None
            first = first_entries.setdefault((detection.id, canonical(tree) if tree else "", entry.excluded), k)
            if first != k:
                problems.append(
                    f"{place}: it counts the same findings of {detection.name} as expect.{first}; make them one"
                )
            if (path := paths.setdefault(detection.id, detection.path)) != detection.path:
                problems.append(f"{place}: {detection.path} and {path} have one id; name one of them")
        if not dataset.expect and file.others_of(dataset) is None:
            problems.append(f"datasets.{i}: nothing is expected; write expect, or others: 0")
    return problems
