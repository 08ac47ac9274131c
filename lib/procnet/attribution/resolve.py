"""Chooses the instance that made a connection, of those that could have (docs/semantics.md, R2). Only this module does.

Both plans gather arrays of instances for a connection and call the functions here, so no plan can decide otherwise. The
arrays hold the `instance` structs of `instances.process_instances`, sorted by start; further instances do no harm.
It is SQL (spark/sql.py says why).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import DataFrame

from procnet.attribution.instances import INSTANCE_FIELDS, instance_column
from procnet.contract import NETWORK_EVENTS
from procnet.settings import Tolerances
from procnet.spark.sql import literal


def resolve(gathered: DataFrame, *, max_ages: Sequence[timedelta], tolerances: Tolerances) -> DataFrame:
    """Name the process of each connection, once for each of `max_ages`: how old a process may be when it connects.

    In: `contract.NETWORK_EVENTS`, `by_guid` and `by_pid` (arrays of instances on the connection's host and guid, host
    and process id; null: none). Out: NETWORK_EVENTS, `max_age`, `attribution` (`guid`, `host_pid`, `event` or `none`)
    and `instance` (struct `process_time`, `process_end_time`, INSTANCE_FIELDS; null for `event` and `none`). Every row
    stays.
    """
    ages = ", ".join(map(literal, max_ages))
    attribution = """CASE WHEN found_by_guid IS NOT NULL THEN 'guid' WHEN found IS NOT NULL THEN 'host_pid'
        WHEN process_name IS NOT NULL THEN 'event' ELSE 'none' END"""
    # An end is reported only where every window that holds the connection has read that far. A later one would be known
    # to a backfill of a day and not to the hour's own run, and the same finding would then have other bytes.
    end_is_known = f"found.`end` <= event_time + {literal(tolerances.clock_skew)}"
    columns = {
        "process_time": "found.record_time",
        "process_end_time": f"CASE WHEN {end_is_known} THEN found.`end` END",
    }
    columns |= {n: instance_column("found", n) for n in INSTANCE_FIELDS}
    instance = ", ".join(f"'{name}', {value}" for name, value in columns.items())
    by_guid, by_pid = instance_by_guid("by_guid", tolerances), instance_by_pid("by_pid", tolerances)
    return (
        gathered.selectExpr("*", f"explode(array({ages})) AS max_age" if len(max_ages) > 1 else f"{ages} AS max_age")
        .selectExpr("*", f"CASE WHEN by_guid IS NOT NULL THEN {by_guid} END AS found_by_guid")
        .selectExpr(
            *(*NETWORK_EVENTS.names, "max_age", "found_by_guid"),
            f"coalesce(found_by_guid, CASE WHEN by_pid IS NOT NULL THEN {by_pid} END) AS found",
        )
        .selectExpr(
            *(*NETWORK_EVENTS.names, "max_age", f"{attribution} AS attribution"),
            f"CASE WHEN found IS NOT NULL THEN named_struct({instance}) END AS instance",
        )
    )


def instance_by_guid(instances: str, tolerances: Tolerances) -> str:
    """The instance with the connection's guid: the latest start up to the connection, else the earliest within
    `clock_skew` after it. SQL; `instances` names the array.

    Cloned machines share guids, so process ids must agree where both are known; a connection without an id gets
    an instance only where the starts near it have at most one process id. Ends are ignored: a guid is one process.
    """
    near = f"""filter({instances}, s -> coalesce(s.process_id = process_id, true) AND s.start >= event_time - max_age
        AND s.start <= event_time + {literal(tolerances.clock_skew)})"""
    ids = "array_distinct(filter(transform(near, s -> s.process_id), p -> p IS NOT NULL))"
    before, after = (f"filter(near, s -> s.start {side} event_time)" for side in ("<=", ">"))
    earliest = f"filter({after}, s -> s.start = array_min(transform({after}, a -> a.start)))"
    answer = f"coalesce(try_element_at({before}, -1), try_element_at({earliest}, -1))"
    return _let("near", near, f"CASE WHEN process_id IS NOT NULL OR size({ids}) <= 1 THEN {answer} END")


def instance_by_pid(instances: str, tolerances: Tolerances) -> str:
    """The instance on the connection's host and process id: the one that is alive at its time, else one that ended
    within `end_grace` before, else one that started within `clock_skew` after. SQL; `instances` names the array.

    An instance is refused where both sides name an image or a guid and they differ: the true start was not recorded.
    """
    skew, grace = literal(tolerances.clock_skew), literal(tolerances.end_grace)
    other_image, other_guid = (f"{instance_column('s', name)} != {name}" for name in ("process_name", "process_guid"))
    refused = f"(coalesce({other_image}, false) OR coalesce({other_guid}, false))"
    accepted = f"filter({instances}, s -> s.owns_pid AND s.start >= event_time - max_age AND NOT {refused})"
    alive = "filter(accepted, s -> s.start <= event_time AND coalesce(event_time < s.`end`, true))"
    just_ended = f"filter(accepted, s -> s.ended AND s.`end` <= event_time AND event_time <= s.`end` + {grace})"
    just_started = f"filter(accepted, s -> s.start > event_time AND s.start <= event_time + {skew})"
    answer = f"""coalesce(try_element_at({alive}, -1), try_element_at({just_ended}, -1),
        try_element_at({just_started}, 1))"""
    return _let("accepted", accepted, answer)


def _let(name: str, value: str, expression: str) -> str:
    """`expression` with `value` under a name: evaluated once, where Spark would carry a copy for each use."""
    return f"transform(array({value}), {name} -> {expression})[0]"
