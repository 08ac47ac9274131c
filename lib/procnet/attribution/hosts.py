"""How hosts are compared when events are joined (docs/semantics.md, R2: host equality)."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame

from procnet.settings import HostMatch
from procnet.spark.sql import literal, one_of


def host_key(host: str, match: HostMatch) -> str:
    """The name by which hosts are joined, as SQL: for `short` the first label (an address has none), else the name.
    `host` is an SQL expression."""
    if match is not HostMatch.SHORT:
        return host
    # Evaluated for every row of a fleet. Digits sort before the colon, so hardly any name passes `< ':'` to the
    # expensive test (of 16 million rows a look at the last letter took 4.5 s, the first label alone 1.7 s).
    is_address = f"({host} < ':' AND {host} RLIKE '^[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}$') OR contains({host}, ':')"
    return f"CASE WHEN {is_address} THEN {host} ELSE substring_index({host}, '.', 1) END"


def host_key_column(match: HostMatch) -> str:
    """The host key of the column `host`, as an SQL select expression named `host_key`."""
    return f"{host_key('host', match)} AS host_key"


def with_host_key(events: DataFrame, match: HostMatch) -> DataFrame:
    """The frame with a column `host_key`. In: any frame with `host`."""
    return events.selectExpr("*", host_key_column(match))


def host_filter(hosts: Iterable[str | None], match: HostMatch, limit: int = 100) -> str:
    """An SQL condition that is pushed down to the files: true for every row whose `host_key` is that of one of the
    hosts, and for few others; true for all rows where there are more than `limit` hosts."""
    names = sorted({h for h in hosts if h is not None})
    if len(names) > limit:
        return "true"
    conditions = [one_of("host", names)] if names else []
    if match is HostMatch.SHORT:
        labels = sorted({h.partition(".")[0] for h in names})
        conditions += [one_of("host", labels)] if labels else []
        conditions += [f"startswith(host, {literal(f'{label}.')})" for label in labels]
    return f"({' OR '.join(conditions) or 'false'})"
