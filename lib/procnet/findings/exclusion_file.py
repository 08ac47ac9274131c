"""What a person writes in conf/exclusions/*.yml, strictly, and all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from procnet.errors import ExclusionError
from procnet.findings.exclusions import FIELDS, Exclusion, weaknesses
from procnet.predicates.parse import parse_side

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# What nobody has looked at for a year is no longer known to be harmless.
_LONGEST = timedelta(days=366)


class ExclusionFile(BaseModel):
    """One exclusion file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{2,63}$")]
    detections: Literal["all"] | Annotated[tuple[_Text, ...], Field(min_length=1)]
    reason: _Text
    owner: _Text
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    findings: dict[str, Any]


def load_exclusions(files: Sequence[Path]) -> tuple[Exclusion, ...]:
    """The exclusions of files, by id. ExclusionError with every problem of every file, ids used twice among them."""
    problems: list[str] = []
    found: dict[str, Exclusion] = {}
    for path in files:
        exclusion, more = _read(path)
        problems += [f"{path}: {p}" for p in more]
        if exclusion is None:
            continue
        if exclusion.id in found:
            problems.append(f"{path}: id {exclusion.id} is that of {found[exclusion.id].path} too")
        found[exclusion.id] = exclusion
    if problems:
        raise ExclusionError("\n".join(problems), hint="procnet exclusions lint shows all of them again")
    return tuple(found[i] for i in sorted(found))


def _read(path: Path) -> tuple[Exclusion | None, list[str]]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        file = ExclusionFile.model_validate(values)
    except OSError as e:
        return None, [f"cannot be read: {e.strerror}"]
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        return None, [f"not readable as YAML: {' '.join(str(e).split())}"]
    except ValidationError as e:
        return None, [f"{'.'.join(map(str, p['loc'])) or 'file'}: {p['msg']}" for p in e.errors()]
    tree, problems = parse_side(file.findings, FIELDS, "findings")
    if file.valid_until <= file.valid_from:
        problems.append(f"it ends before it begins: {file.valid_from} .. {file.valid_until}")
    elif file.valid_until - file.valid_from > _LONGEST:
        problems.append("it holds for more than a year: give an earlier valid_until, and look at it again then")
    if tree is not None:
        problems += weaknesses(tree)
    if tree is None or problems:
        return None, problems
    scope = () if file.detections == "all" else file.detections
    begin, end = (t.astimezone(timezone.utc) for t in (file.valid_from, file.valid_until))
    return Exclusion(file.id, scope, tree, file.reason, file.owner, begin, end, path), []
