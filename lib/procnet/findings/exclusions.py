"""Exclusions: false positives as data, with reason, owner and validity (docs/semantics.md, R7).

An excluded finding stays in the table, with the exclusion's id in `excluded_by`. Validity is compared with the
connection's time, so that a rerun over last March gives the same findings as in March.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import ACCEPTED_NAMES, FINDING_ALIASES, FINDINGS
from procnet.predicates.compile import to_column
from procnet.predicates.model import All, Field, Not, Predicate, canonical, fields_of, leaves

# Columns that no exclusion may use.
_UNUSABLE = {"finding_id", "fingerprint", "message", "excluded_by", "related", "mitre_attack", "dest_names"}
FIELDS: dict[str, T.DataType] = {
    **{f.name: f.dataType for f in FINDINGS if f.name not in _UNUSABLE},
    **{alias: FINDINGS[column].dataType for alias, column in FINDING_ALIASES.items()},
}

_NAMES = frozenset({"process_name", "original_file_name", "parent_process_name"})
_PATHS = frozenset({"process_path", "parent_process_path"})


@dataclass(frozen=True)
class Exclusion:
    """One valid exclusion. `detections` are ids or names, compared without case; empty means all detections.
    `dest_name_by`: the kinds of names that count as `dest_name`."""

    id: str
    detections: tuple[str, ...]
    predicate: Predicate
    reason: str
    owner: str
    valid_from: datetime
    valid_until: datetime
    place: str  # its file, or its table and id
    dest_name_by: tuple[str, ...] = ACCEPTED_NAMES

    def covers(self, detection_id: str, name: str) -> bool:
        """Whether it applies to this detection."""
        return not self.detections or not self.scope.isdisjoint((detection_id, name.lower()))

    @property
    def scope(self) -> frozenset[str]:
        """Ids and names of its detections, in lower case."""
        return frozenset(d.lower() for d in self.detections)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what it excludes: changed by every edit that can change findings, not by a new reason or owner."""
        parts = [self.id, *sorted(self.scope), canonical(self.predicate)]
        parts += [self.valid_from.isoformat(), self.valid_until.isoformat()]
        if "dest_name" in fields_of(self.predicate):
            parts.append(f"dest_name by {', '.join(self.dest_name_by)}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def apply_exclusions(findings: DataFrame, exclusions: Sequence[Exclusion], *, at_any_time: bool = False) -> DataFrame:
    """Findings with `excluded_by`: the id of the exclusion that applies, the first by id if several do.

    In and out: `contract.FINDINGS`; rows and other columns do not change. `at_any_time` ignores the validity, to show
    what an exclusion would hide.
    """
    if not exclusions:
        return findings
    ordered = sorted(exclusions, key=lambda e: e.id)
    ids = [F.when(_applies(e, at_any_time), F.lit(e.id)) for e in ordered]
    return findings.withColumn("excluded_by", F.coalesce(*ids)).select(*findings.columns)


def _applies(exclusion: Exclusion, at_any_time: bool) -> Column:
    accepted = F.when(F.col("dest_name_by").isin(*exclusion.dest_name_by), F.col("dest_name"))
    columns = {"dest_name": accepted, **{alias: F.col(name) for alias, name in FINDING_ALIASES.items()}}
    applies = F.coalesce(to_column(exclusion.predicate, lambda n: columns.get(n, F.col(n))), F.lit(False))
    if exclusion.detections:
        scope = sorted(exclusion.scope)
        applies = applies & (F.col("detection_id").isin(scope) | F.lower("detection_name").isin(scope))
    if at_any_time:
        return applies
    time = F.col("event_time")
    return applies & (time >= F.lit(exclusion.valid_from)) & (time < F.lit(exclusion.valid_until))


def weaknesses(predicate: Predicate) -> list[str]:
    """Problems of a predicate that an attacker could use to hide; empty if there are none.

    An attacker chooses program names, folders and the first labels of a host name: an exclusion must test more.
    """
    problems = []
    if _names_are_enough(predicate):
        problems.append(
            "a program's name alone is enough to match: add the program's folder, its hash, or the destination"
        )
    for leaf in leaves(predicate):
        if leaf.field in _PATHS and not _anchored(leaf):
            problems.append(
                f"{leaf.field} {leaf.op} {leaf.value!r} holds in any folder that users can write to; begin at C:\\"
            )
        if leaf.field == "dest_name" and leaf.op == "endswith" and not str(leaf.value).startswith("."):
            problems.append(
                f"dest_name endswith {leaf.value!r} holds for evil{leaf.value} too: begin the value with a dot"
            )
        if leaf.field == "dest_name" and _ends_anyhow(leaf):
            problems.append(
                f"dest_name {leaf.op} {leaf.value!r} holds for names with any end, which anyone can register: test the "
                "end of the name, such as endswith .corp.example"
            )
    if "dest_host" in fields_of(predicate):
        problems.append(
            "dest_host may be a reverse look-up, and the owner of an address chooses its reverse name: test dest_name, "
            "the name that was asked for, or dest_ip"
        )
    return problems


def _names_are_enough(predicate: Predicate) -> bool:
    """Whether conditions on names, or negated conditions, are enough to satisfy the predicate."""
    if isinstance(predicate, Field):
        return predicate.field in _NAMES or predicate.op == "isnull"
    if isinstance(predicate, Not):
        return True
    enough = all if isinstance(predicate, All) else any
    return enough(_names_are_enough(part) for part in predicate.parts)


def _ends_anyhow(leaf: Field) -> bool:
    value = str(leaf.value)
    if leaf.op == "re":
        return not value.endswith(("$", r"\z", r"\Z"))
    return leaf.op in ("startswith", "contains") or (leaf.op == "glob" and value.endswith(("*", "?")))


def _anchored(leaf: Field) -> bool:
    if leaf.op in ("eq", "startswith", "fieldref", "isnull"):
        return True
    return leaf.op == "re" and str(leaf.value).removeprefix("(?i)").startswith("^")
