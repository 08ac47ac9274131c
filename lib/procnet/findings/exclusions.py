"""False positives as data: which findings, why, who says so, until when. An excluded finding is kept, and marked.

Validity is judged by the connection's time, so that a rerun of March gives March's answer (2-semantics, 7).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import FINDINGS
from procnet.predicates.compile import to_column
from procnet.predicates.model import All, Field, Not, Predicate, canonical, leaves

# What an exclusion may ask of a finding: `command_line`, as detections call it, is the finding's `process`.
_ALIASES = {"command_line": "process"}
_NOT_ASKED = {"finding_id", "fingerprint", "message", "excluded_by", "related", "mitre_attack"}
FIELDS: dict[str, T.DataType] = {
    **{f.name: f.dataType for f in FINDINGS if f.name not in _NOT_ASKED},
    **{alias: FINDINGS[column].dataType for alias, column in _ALIASES.items()},
}

_NAMES = frozenset({"process_name", "original_file_name", "parent_process_name"})
_PATHS = frozenset({"process_path", "parent_process_path"})


@dataclass(frozen=True)
class Exclusion:
    """One exclusion, checked. `detections` are ids or names, in any case; none of them means all detections."""

    id: str
    detections: tuple[str, ...]
    predicate: Predicate
    reason: str
    owner: str
    valid_from: datetime
    valid_until: datetime
    place: str  # its file, or table and id

    def covers(self, detection_id: str, name: str) -> bool:
        """Whether it is about this detection."""
        return not self.detections or not self.scope.isdisjoint((detection_id, name.lower()))

    @property
    def scope(self) -> frozenset[str]:
        """Ids and names in lower case."""
        return frozenset(d.lower() for d in self.detections)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what it excludes: an edit that can change a finding changes it, and a new reason does not."""
        asks = [self.id, *sorted(self.scope), canonical(self.predicate)]
        asks += [self.valid_from.isoformat(), self.valid_until.isoformat()]
        return hashlib.sha256("\n".join(asks).encode()).hexdigest()


def apply_exclusions(findings: DataFrame, exclusions: Sequence[Exclusion], *, at_any_time: bool = False) -> DataFrame:
    """Findings, with `excluded_by` the id of the exclusion that holds for them: of several, the first by id.

    In and out: `contract.FINDINGS`; no row is added, dropped or changed otherwise. `at_any_time` leaves the validity
    out, to ask what an exclusion would hide.
    """
    if not exclusions:
        return findings
    ordered = sorted(exclusions, key=lambda e: e.id)
    ids = [F.when(_holds(e, at_any_time), F.lit(e.id)) for e in ordered]
    return findings.withColumn("excluded_by", F.coalesce(*ids)).select(*findings.columns)


def _holds(exclusion: Exclusion, at_any_time: bool) -> Column:
    holds = F.coalesce(to_column(exclusion.predicate, lambda n: F.col(_ALIASES.get(n, n))), F.lit(False))
    if exclusion.detections:
        scope = sorted(exclusion.scope)
        holds = holds & (F.col("detection_id").isin(scope) | F.lower("detection_name").isin(scope))
    if at_any_time:
        return holds
    time = F.col("event_time")
    return holds & (time >= F.lit(exclusion.valid_from)) & (time < F.lit(exclusion.valid_until))


def weaknesses(predicate: Predicate) -> list[str]:
    """Why a predicate hides more than its author means; empty where it does not.

    An attacker chooses names, folders and the front of a host name: what excludes must stand on more than those.
    """
    found = []
    if _by_name_alone(predicate):
        found.append(
            "a program's name alone is enough for it: add where the program lies, its hash, or its destination"
        )
    for leaf in leaves(predicate):
        if leaf.field in _PATHS and not _anchored(leaf):
            found.append(
                f"{leaf.field} {leaf.op} {leaf.value!r} holds in any folder that a user may write; begin at C:\\"
            )
        if leaf.field == "dest_host" and leaf.op == "endswith" and not str(leaf.value).startswith("."):
            found.append(f"dest_host endswith {leaf.value!r} holds for evil{leaf.value} too: begin with a dot")
    return found


def _by_name_alone(predicate: Predicate) -> bool:
    """Whether tests of names, or of what is NOT so, are enough to satisfy it."""
    if isinstance(predicate, Field):
        return predicate.field in _NAMES or predicate.op == "isnull"
    if isinstance(predicate, Not):
        return True
    enough = all if isinstance(predicate, All) else any
    return enough(_by_name_alone(part) for part in predicate.parts)


def _anchored(leaf: Field) -> bool:
    if leaf.op in ("eq", "startswith", "fieldref", "isnull"):
        return True
    return leaf.op == "re" and str(leaf.value).removeprefix("(?i)").startswith("^")
