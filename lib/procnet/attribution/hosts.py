"""How hosts are compared when events are joined."""

from __future__ import annotations

from collections.abc import Iterable

from procnet.settings import HostMatch
from procnet.spark.sql import literal, one_of


def host_key(host: str, match: HostMatch) -> str:
    """The name by which hosts are joined, in SQL: the first label for `short` (an address has no labels), else the
    name. `host` is SQL too."""
    if match is not HostMatch.SHORT:
        return host
    # Asked of every row of a fleet: digits stand before the colon, so hardly a name passes `< ':'` to the dear question
    # (of 16 million rows a look at the last letter took 4.5 s, the first label alone 1.7 s).
    is_address = f"({host} < ':' AND {host} RLIKE '^[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}$') OR contains({host}, ':')"
    return f"CASE WHEN {is_address} THEN {host} ELSE substring_index({host}, '.', 1) END"


def host_filter(hosts: Iterable[str | None], match: HostMatch, most: int = 100) -> str:
    """SQL that files can be told by: true of every row whose `host_key` is that of one of the hosts, and of few others;
    of all rows where there are more than `most` hosts."""
    named = sorted({h for h in hosts if h is not None})
    if len(named) > most:
        return "true"
    told = [one_of("host", named)] if named else []
    if match is HostMatch.SHORT:
        first = sorted({h.partition(".")[0] for h in named})
        told += [one_of("host", first)] if first else []
        told += [f"startswith(host, {literal(f'{label}.')})" for label in first]
    return f"({' OR '.join(told) or 'false'})"
