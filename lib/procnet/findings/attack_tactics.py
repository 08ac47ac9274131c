"""Which ATT&CK tactics a technique serves: a table of facts, conf/attack.yml."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache

from procnet.config_file import load_yaml
from procnet.settings import default_conf_dir


@cache
def tactics_of() -> Mapping[str, tuple[str, ...]]:
    """Technique (`T1218`, never a sub-technique) -> its tactics (`defense-evasion`), in the matrix's order."""
    served: dict[str, list[str]] = defaultdict(list)
    for tactic, techniques in load_yaml(default_conf_dir() / "attack.yml", dict[str, tuple[str, ...]]).items():
        for technique in techniques:
            served[technique].append(tactic)
    return {technique: tuple(tactics) for technique, tactics in sorted(served.items())}
