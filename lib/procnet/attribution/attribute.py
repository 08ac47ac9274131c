"""Attributes connections to the process instances that made them: the two plans of the join behind one function."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from pyspark.sql import DataFrame

from procnet.attribution import broadcast, shuffled
from procnet.attribution.inputs import (
    NETWORK_COLUMNS,
    PROCESS_COLUMNS,
    checked_duration,
    checked_frame,
    with_event_kinds,
)
from procnet.attribution.instances import process_instances
from procnet.attribution.resolve import resolve
from procnet.errors import UsageError
from procnet.settings import HostMatch, Tolerances

if TYPE_CHECKING:
    from typing_extensions import Unpack  # typing has it from Python 3.11 on

Plan = Literal["broadcast", "shuffled"]


class ToleranceOptions(TypedDict, total=False):
    """How far clocks and sensors may be apart: see `settings.Tolerances` for meanings and defaults."""

    clock_skew: timedelta | str
    end_grace: timedelta | str
    start_tolerance: timedelta | str


def attribute_connections(
    processes: DataFrame,
    connections: DataFrame,
    *,
    max_age: timedelta | str = timedelta(hours=24),
    host_match: HostMatch | str = HostMatch.SHORT,
    plan: Plan = "shuffled",
    **tolerances: Unpack[ToleranceOptions],
) -> DataFrame:
    """Give each connection the process instance that made it (docs/semantics.md, R1 and R2).

    In: `processes` as `contract.PROCESS_EVENTS`, read from `max_age` + `start_tolerance` before the first connection to
    `clock_skew` + 2 x `start_tolerance` after the last; `connections` as `contract.NETWORK_EVENTS`.
    Out: one row a connection, in any order: its columns, `attribution` (guid, host_pid, event, none) and `instance`
    (struct: process_time, process_end_time and the columns of the process; null for event and none).
    `max_age` is how long before the connection the process may have started. It and `clock_skew` (default 1 s),
    `end_grace` (5 s) and `start_tolerance` (2 s) are durations: a timedelta, or a text such as "1d".
    `plan`: "broadcast" sends the process instances to the connections and suits few processes; "shuffled" suits any
    number. Both give the same rows. Lazy: no Spark job runs here.

    Hosts are compared, and returned, in lower case and without a dot at the end, unless `host_match` is "as_is". A
    process event without an `event_kind` is taken as a start. UsageError for an argument of another type or value,
    DataError with the names of the columns that a frame lacks.
    """
    _refuse_other(host_match, [m.value for m in HostMatch], "host_match")
    _refuse_other(plan, get_args(Plan), "plan")
    match = HostMatch(host_match)
    durations = {name: checked_duration(value, name) for name, value in tolerances.items()}
    age = checked_duration(max_age, "max_age")
    processes = with_event_kinds(checked_frame(processes, PROCESS_COLUMNS, "processes", match))
    connections = checked_frame(connections, NETWORK_COLUMNS, "connections", match)
    attributed = attribute(
        processes,
        connections,
        max_ages=[age],
        tolerances=Tolerances(**durations),
        host_match=match,
        plan=plan,
    )
    return attributed.drop("max_age")


def _refuse_other(value: object, known: Sequence[str], name: str) -> None:
    if value not in known:
        raise UsageError(f"{name} is {value!r}, which is none of {', '.join(known)}", hint=f'write {name}="{known[0]}"')


def attribute(
    process_events: DataFrame,
    network_events: DataFrame,
    *,
    max_ages: Sequence[timedelta],
    tolerances: Tolerances,
    host_match: HostMatch,
    plan: Plan,
) -> DataFrame:
    """`attribute_connections` for several `max_age` at once: one row a connection and `max_age`, which is a column.

    In: process events as for the longest of them. They are read, and joined with the connections, once.
    """
    instances = process_instances(process_events, tolerances=tolerances, host_match=host_match)
    if plan == "broadcast":
        gathered = broadcast.gather(instances, network_events, host_match=host_match)
    else:
        gathered = shuffled.gather(instances, network_events, host_match=host_match, tolerances=tolerances)
    return resolve(gathered, max_ages=max_ages, tolerances=tolerances)
