"""ATT&CK: which tactics a technique serves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence


def tactics_by_technique(techniques: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Technique (`T1218`) -> its tactics (`defense-evasion`), in the order of `techniques`.

    In: tactic -> its techniques, without sub-techniques, as conf/attack.yml has them.
    """
    tactics: dict[str, list[str]] = defaultdict(list)
    for tactic, of_tactic in techniques.items():
        for technique in of_tactic:
            tactics[technique].append(tactic)
    return {technique: tuple(served) for technique, served in sorted(tactics.items())}
