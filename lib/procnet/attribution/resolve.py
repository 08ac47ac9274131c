"""Which instance made a connection, of those that could have (2-semantics, 2): the one place that decides.

Every plan gathers arrays of lives for a connection and asks the functions here, so no plan can decide otherwise. It is
told in SQL (predicates/sql.py says why). The arrays hold `lifetimes.lives`' `life` structs sorted by start; a superset
of the lives that count does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import DataFrame

from procnet.attribution.instances import INSTANCE_FIELDS, field
from procnet.contract import NETWORK_EVENTS
from procnet.settings import Tolerances
from procnet.spark.sql import literal


def resolve(gathered: DataFrame, *, max_ages: Sequence[timedelta], tolerances: Tolerances) -> DataFrame:
    """Name the process of each connection, once for each of `max_ages`: how old it may be when it connects.

    In: `contract.NETWORK_EVENTS`, `by_guid` and `by_pid` (arrays of lives on the connection's host and guid, host and
    process id; null: none). Out: NETWORK_EVENTS, `max_age`, `attribution` (`guid`, `host_pid`, `event` or `none`) and
    `instance` (struct `process_time`, `process_end_time`, INSTANCE_FIELDS; null for `event` and `none`). Every row is
    kept.
    """
    ages = ", ".join(map(literal, max_ages))
    attribution = """CASE WHEN guid_life IS NOT NULL THEN 'guid' WHEN life IS NOT NULL THEN 'host_pid'
        WHEN process_name IS NOT NULL THEN 'event' ELSE 'none' END"""
    # An end is told where every window that holds the connection has read that far. A later one would be known to a
    # backfill of a day and not to the hour's own run, and the same finding would then read differently.
    seen = f"life.`end` <= event_time + {literal(tolerances.clock_skew)}"
    told = {"process_time": "life.told", "process_end_time": f"CASE WHEN {seen} THEN life.`end` END"}
    told |= {n: field("life", n) for n in INSTANCE_FIELDS}
    instance = ", ".join(f"'{name}', {value}" for name, value in told.items())
    return (
        gathered.selectExpr("*", f"explode(array({ages})) AS max_age" if len(max_ages) > 1 else f"{ages} AS max_age")
        .selectExpr("*", f"CASE WHEN by_guid IS NOT NULL THEN {answer_by_guid('by_guid', tolerances)} END AS guid_life")
        .selectExpr(
            *(*NETWORK_EVENTS.names, "max_age", "guid_life"),
            f"coalesce(guid_life, CASE WHEN by_pid IS NOT NULL THEN {answer_by_pid('by_pid', tolerances)} END) AS life",
        )
        .selectExpr(
            *(*NETWORK_EVENTS.names, "max_age", f"{attribution} AS attribution"),
            f"CASE WHEN life IS NOT NULL THEN named_struct({instance}) END AS instance",
        )
    )


def answer_by_guid(starts: str, tolerances: Tolerances) -> str:
    """The start with the connection's guid: the latest up to the connection, else the earliest within `clock_skew`.

    Cloned machines share guids, so process ids must agree where both are known; a connection without one is answered
    only where the starts in reach have one process id among them. Ends are not asked: a guid is one life.
    """
    near = f"""filter({starts}, s -> coalesce(s.process_id = process_id, true) AND s.start >= event_time - max_age
        AND s.start <= event_time + {literal(tolerances.clock_skew)})"""
    ids = "array_distinct(filter(transform(near, s -> s.process_id), p -> p IS NOT NULL))"
    before, after = (f"filter(near, s -> s.start {side} event_time)" for side in ("<=", ">"))
    soonest = f"filter({after}, s -> s.start = array_min(transform({after}, a -> a.start)))"
    answer = f"coalesce(try_element_at({before}, -1), try_element_at({soonest}, -1))"
    return _with("near", near, f"CASE WHEN process_id IS NOT NULL OR size({ids}) <= 1 THEN {answer} END")


def answer_by_pid(lives: str, tolerances: Tolerances) -> str:
    """The life on the connection's host and process id: the one that holds it, else one just closed, else just begun.

    A life is refused where both sides name an image or a guid and they differ: then the true start was not seen.
    """
    skew, grace = literal(tolerances.clock_skew), literal(tolerances.end_grace)
    other_image, other_guid = (f"{field('s', name)} != {name}" for name in ("process_name", "process_guid"))
    refused = f"(coalesce({other_image}, false) OR coalesce({other_guid}, false))"
    mine = f"filter({lives}, s -> s.lived AND s.start >= event_time - max_age AND NOT {refused})"
    holds = "filter(mine, s -> s.start <= event_time AND coalesce(event_time < s.`end`, true))"
    closed = f"filter(mine, s -> s.ended AND s.`end` <= event_time AND event_time <= s.`end` + {grace})"
    begun = f"filter(mine, s -> s.start > event_time AND s.start <= event_time + {skew})"
    answer = f"coalesce(try_element_at({holds}, -1), try_element_at({closed}, -1), try_element_at({begun}, 1))"
    return _with("mine", mine, answer)


def _with(name: str, value: str, asked: str) -> str:
    """`asked`, with `value` under a name: told once, where Spark would carry a copy for each time it is named."""
    return f"transform(array({value}), {name} -> {asked})[0]"
