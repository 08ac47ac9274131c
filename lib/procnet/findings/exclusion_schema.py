"""The schema of exclusions in conf/exclusions/*.yml and in the table `exclusions.table`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from procnet.config_file import UnusableFile, check, named, parse_yaml, read_yaml
from procnet.contract import ACCEPTED_NAMES, NameKind
from procnet.detections.schema import NameKinds
from procnet.errors import ExclusionError
from procnet.findings.exclusions import FIELDS, Exclusion, weaknesses
from procnet.periods import checked_time
from procnet.predicates.parse import parse_side

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Time = Annotated[AwareDatetime, AfterValidator(checked_time)]
# An exclusion must be reviewed at least once a year.
_MAX_VALIDITY = timedelta(days=366)


def _without_reverse(kinds: tuple[NameKind, ...]) -> tuple[NameKind, ...]:
    if "reverse" in kinds:
        raise ValueError(
            "the owner of an address chooses its reverse name, so an attacker could hide findings with it; write "
            "[process, record, host] at most"
        )
    return kinds


class ExclusionFile(BaseModel):
    """One exclusion file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{2,63}$")]
    detections: Literal["all"] | Annotated[tuple[_Text, ...], Field(min_length=1)]
    reason: _Text
    owner: _Text
    valid_from: _Time
    valid_until: _Time
    dest_name_by: Annotated[NameKinds, AfterValidator(_without_reverse)] = ACCEPTED_NAMES
    findings: dict[str, Any]


def load_exclusions(files: Sequence[Path]) -> tuple[Exclusion, ...]:
    """The exclusions of files, ordered by id. ExclusionError with all problems of all files, repeated ids included."""
    found, unusable = read_exclusions([(str(path), path) for path in files])
    if unusable:
        raise ExclusionError(
            "\n".join(p for u in unusable for p in u.problems),
            hint="correct them, then check with procnet exclusions lint",
        )
    return found


def read_exclusions(
    entries: Sequence[tuple[str, Path | Mapping[str, Any]]],
) -> tuple[tuple[Exclusion, ...], tuple[UnusableFile, ...]]:
    """Valid exclusions ordered by id, and the unusable entries: invalid ones, and all that share an id.

    An entry is its place (for messages), and its file or its values. The values are a row of the table
    `exclusions.table`: the keys of a file, with `findings` as YAML text.
    """
    found: dict[str, list[Exclusion]] = {}
    unusable: list[UnusableFile] = []
    for where, entry in entries:
        values, problems = read_yaml(entry) if isinstance(entry, Path) else _row_values(entry, where)
        exclusion = None
        if not problems:
            exclusion, problems = _checked(values, where)
        if exclusion is not None:
            found.setdefault(exclusion.id, []).append(exclusion)
        else:
            id_ = values.get("id") if isinstance(values, dict) else None
            names = {Path(where).stem.lower(), *([] if id_ is None else [str(id_).lower()])}
            unusable.append(UnusableFile(frozenset(names), tuple(problems)))
    for id_, same in found.items():
        for other in same[1:]:
            problems = named(other.place, [f"id {id_} is that of {same[0].place} too; give it another id"])
            unusable.append(UnusableFile(frozenset({id_}), tuple(problems)))
    return tuple(found[i][0] for i in sorted(found) if len(found[i]) == 1), tuple(unusable)


def _row_values(row: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a table row as a file has them: without nulls, `findings` parsed."""
    findings, problems = parse_yaml(str(row.get("findings")), f"{where}: findings")
    return {**{k: v for k, v in row.items() if v is not None}, "findings": findings}, problems


def _checked(values: Any, where: str) -> tuple[Exclusion | None, list[str]]:
    file, problems = check(values, ExclusionFile, where)
    if file is None:
        return None, problems
    tree, problems = parse_side(file.findings, FIELDS, "findings")
    if file.valid_until <= file.valid_from:
        problems.append(f"it ends before it begins: valid_from {file.valid_from}, valid_until {file.valid_until}")
    elif file.valid_until - file.valid_from > _MAX_VALIDITY:
        problems.append("it is valid for more than a year: give an earlier valid_until, and review it then")
    if tree is not None:
        problems += weaknesses(tree)
    if tree is None or problems:
        return None, named(where, problems)
    scope = () if file.detections == "all" else file.detections
    begin, end = (t.astimezone(timezone.utc) for t in (file.valid_from, file.valid_until))
    return Exclusion(file.id, scope, tree, file.reason, file.owner, begin, end, where, file.dest_name_by), []
