"""Converts a Sigma rule for process creations, one for network connections, or one of each, to a detection file.

A rule is converted in full or refused: each part that would make the detection match more or less than the rule is an
error with its reason. Parts without effect on the condition (output fields, related rules, other tags) are noted in
`misses`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from procnet.config_file import check, read_documents
from procnet.contract import NAME_KINDS
from procnet.detections.detection import Detection, detection_of
from procnet.detections.schema import DetectionFile
from procnet.errors import DetectionError
from procnet.sigma.examples import make_cases
from procnet.sigma.fields import Side
from procnet.sigma.metadata import Rule, head, notes_on, prose, tail
from procnet.sigma.split import Section, combined, split_detection

CATEGORIES: Mapping[str, Side] = {"process_creation": "process", "network_connection": "network"}
_PRODUCTS = ("windows", "linux", "macos", None)
# A rule tests whatever name the record has, so the detection takes names of every kind.
_ANY_NAME = (
    "DestinationHostname: dest_name is the name that was asked for, or the record's host name where no other is known; "
    "the owner of an address chooses its reverse name, so the detection is stricter without host and reverse in "
    "dest_name_by"
)
_HINT = "a rule is imported in full or not at all: write the detection by hand, or import a copy without these tests"


@dataclass(frozen=True)
class Imported:
    """A detection file: its keys and values, the detection that they define, and what of the rules it lacks."""

    values: dict[str, Any]
    detection: Detection
    not_carried: tuple[str, ...]

    @property
    def text(self) -> str:
        """The file as YAML, with escapes where a rule has characters that could control a terminal."""
        plain = self._dump(allow_unicode=True)
        body = plain if plain.replace("\n", "").isprintable() else self._dump(allow_unicode=False)
        return "# Imported from Sigma. Read it, add cases of your own, then raise the status.\n" + body

    def _dump(self, *, allow_unicode: bool) -> str:
        return yaml.safe_dump(
            self.values, sort_keys=False, allow_unicode=allow_unicode, width=120, default_flow_style=None
        )


def read_rules(path: Path) -> list[Rule]:
    """The YAML documents of a file. DetectionError if it cannot be read or contains anything but rules."""
    documents, problems = read_documents(path)
    if problems:
        raise DetectionError(problems)
    found = [d for d in documents if d is not None]
    if not found or not all(isinstance(d, Mapping) for d in found):
        raise DetectionError([f"{path}: contains no Sigma rule"])
    return found


def import_rules(rules: Sequence[Rule]) -> Imported:
    """Converts one rule, or a pair of one process rule and one network rule, to a detection file.

    Raises DetectionError with every reason why the rules cannot be converted.
    """
    notes: list[str] = []
    problems: list[str] = []
    sections: dict[Side, Section | None] = {"process": None, "network": None}
    categories = []
    for rule in rules:
        title = prose(rule.get("title")) or "a rule without a title"
        category, problem = _category(rule)
        categories.append(category)
        changes: list[str] = []
        of_rule, reasons = ({}, [problem]) if problem else split_detection(rule.get("detection"), changes)
        problems += [f"{title}: {reason}" for reason in reasons]
        prefix = f"{title}: " if len(rules) > 1 else ""
        notes += [f"{prefix}{note}" for note in (*changes, *notes_on(rule))]
        for side, section in of_rule.items():
            sections[side] = combined(sections[side], section)
    if not problems and (len(rules) > 2 or len(set(categories)) != len(rules)):
        found = ", ".join(map(str, categories))
        problems.append(f"a detection is one rule, or a pair of process_creation and network_connection; found {found}")
    if problems:
        raise DetectionError(problems, hint=_HINT)
    notes = list(dict.fromkeys(notes))
    written: dict[str, Any] = {side: section.values() for side, section in sections.items() if section is not None}
    no_cases = {"cases": [{"name": "none yet", "connections": [{}], "expect": "none"}]}
    detection = _checked({**head(rules), **written, **tail(rules, written, notes), **no_cases})
    if "dest_name" in detection.joined_fields:
        written["dest_name_by"] = [*NAME_KINDS]
        notes.append(_ANY_NAME)
    values = {**head(rules), **written, **tail(rules, written, notes)}
    values["cases"] = make_cases(detection.process, detection.network)
    if values["cases"][0]["expect"] == "none":
        notes.append("no case that matches could be made of the rule's values: add one")
    return Imported(values, _checked(values), tuple(notes))


def _category(rule: Rule) -> tuple[str, str]:
    """The rule's category, and why it cannot be converted, "" if it can."""
    for key, what in (("correlation", "a correlation"), ("filter", "a filter"), ("action", "a collection")):
        if key in rule:
            return "", f"{what} of rules cannot be imported; import the rule itself, or its pair of rules as two files"
    source = rule.get("logsource")
    source = source if isinstance(source, Mapping) else {}
    category, product = str(source.get("category")), source.get("product")
    if category not in CATEGORIES:
        return category, f"logsource category {category}: only {' and '.join(CATEGORIES)} can be imported"
    if product not in _PRODUCTS:
        return category, f"logsource product {product}: only {', '.join(p for p in _PRODUCTS if p)} can be imported"
    if rule.get("taxonomy", "sigma") != "sigma":
        return category, f"taxonomy {rule['taxonomy']}: its fields are not Sigma's"
    return category, ""


def _checked(values: Mapping[str, Any]) -> Detection:
    """The detection that these values of a file define. DetectionError for values that the loader would refuse."""
    path = Path("import")
    file, problems = check(values, DetectionFile, path)
    detection = None
    if file is not None:
        detection, problems = detection_of(file, path)
    if detection is None:
        raise DetectionError([p.removeprefix(f"{path}: ") for p in problems], hint=_HINT)
    return detection
