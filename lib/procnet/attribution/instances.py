"""Process events -> process instances, each with its interval `[start, end)` (docs/semantics.md, R1).

A *leading* start is one that no other sensor's record of the same start outranks. On one (host, process id) the leading
starts follow one another: an instance ends at the first of its end event and the next start, whatever image the next
start runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key_column
from procnet.contract import PROCESS_EVENTS, PROCESS_FIELDS
from procnet.periods import micros
from procnet.settings import HostMatch, Tolerances

# The columns of an instance, without its times.
INSTANCE_FIELDS: tuple[str, ...] = (*PROCESS_FIELDS, "record_id", "vendor_product", "source")

# All of it is SQL (spark/sql.py says why): as Columns, instances, attribution and findings were 6,000 calls to the JVM.
# A start's columns are two arrays of texts, `shared` and `own`, and are read by name only for the few instances that
# made a connection (`instance_column`). As columns of their own they were some sixty expressions at every step, and
# planning cost more than an hour's data. The two arrays are also the order of starts at one instant: the greater wins,
# nulls first. The first three columns are the rule (R1); the others make the order total, so that neither the plan nor
# the order of files can change which one wins.
_TIE_COLUMNS = ("process_guid", "process_path", "command_line")
# Columns that another sensor's record of the same start may fill ...
_SHARED = (*_TIE_COLUMNS, *(n for n in PROCESS_FIELDS if n not in {*_TIE_COLUMNS, "process_id"}))
# ... and columns that say where to find the leading record.
_OWN = ("event_time", "host", "action", "vendor_product", "source", "record_id")
_KEY = ("host_key", "process_id")
_ON_KEY = f"PARTITION BY {', '.join(_KEY)}"


def instance_column(instance: str, name: str) -> str:
    """A column of the start that began an instance, by its name in `contract.PROCESS_EVENTS`, as SQL. `instance` is the
    SQL name of the struct."""
    if name == "process_id":
        return f"{instance}.process_id"
    array, names = ("shared", _SHARED) if name in _SHARED else ("own", _OWN)
    return f"CAST({instance}.{array}[{names.index(name)}] AS {PROCESS_EVENTS[name].dataType.simpleString()})"


def process_instances(process_events: DataFrame, *, tolerances: Tolerances, host_match: HostMatch) -> DataFrame:
    """One row a process instance, that is, a leading start.

    In: `contract.PROCESS_EVENTS`. Out: `host_key`, `process_id`, and `instance`, a struct that sorts by start and tie:
    `start` (time of its first record), `shared` and `own` (its columns: see `instance_column`), `record_time` (time of
    the leading record), `owns_pid` (false where another start at the same instant won, or the process id is unknown:
    such an instance is found by its guid only), `end` (null: not seen), `ended` (by an end event), `process_id`.
    """
    records = process_events.selectExpr(
        host_key_column(host_match),
        *("process_id", "event_kind", "event_time", "process_guid", f"{_start_record()} AS record"),
    )
    return _with_ends(_leading_starts(records.where("host_key IS NOT NULL"), tolerances))


def _start_record() -> str:
    """A start as one value: rank among sensors first, then time and tie, so that arrays of it sort as needed."""
    return f"""CASE WHEN event_kind = 'start' THEN named_struct(
        'no_guid', process_guid IS NULL, 'sensor', array(coalesce(vendor_product, ''), coalesce(source, '')),
        'time', event_time, 'shared', {_text_array(_SHARED)}, 'own', {_text_array(_OWN)}) END"""


def _text_array(names: Sequence[str]) -> str:
    return f"array({', '.join(f'CAST({n} AS string)' for n in names)})"


def _leading_starts(records: DataFrame, tolerances: Tolerances) -> DataFrame:
    """The leading starts, with their gaps filled from other sensors' records of the same start, and the end events.

    Whether a start leads depends only on the records within `start_tolerance` of it, never on which others were
    dropped: so the result does not depend on how far back the events were read.
    """
    reach = f"{micros(tolerances.start_tolerance)}L"
    near = f"{_ON_KEY} ORDER BY unix_micros(event_time) RANGE BETWEEN {reach} PRECEDING AND {reach} FOLLOWING"
    peers = f"filter(collect_list(record) OVER ({near}), q -> {_same_start('q', 'record')})"
    outranked = f"exists(peers, q -> {_rank('q')} < {_rank('record')})"
    fillers = f"array_sort(filter(peers, q -> {_rank('q')} > {_rank('record')}))"
    fill = "(filled, q) -> zip_with(filled, q.shared, (a, b) -> coalesce(a, b))"
    return (
        records.selectExpr("*", f"CASE WHEN record IS NOT NULL AND process_id IS NOT NULL THEN {peers} END AS peers")
        .where(f"NOT coalesce({outranked}, false)")
        .selectExpr(
            *(*_KEY, "event_kind", "process_guid", "event_time AS record_time", "record.own AS own"),
            # The process was there when the first of its records was written: the leading one may be a second late.
            "least(event_time, array_min(transform(peers, q -> q.time))) AS event_time",
            # Of starts at one instant, the winner is decided by all that is known of each, so by its filled columns.
            f"coalesce(aggregate({fillers}, record.shared, {fill}), record.shared) AS shared",
        )
    )


def _rank(record: str) -> str:
    return f"named_struct('no_guid', {record}.no_guid, 'sensor', {record}.sensor)"


def _same_start(one: str, other: str) -> str:
    """Whether two records of different sensors are of one start: one image, and no two guids that differ."""
    same_image, same_guid = (
        f"{one}.shared[{at}] = {other}.shared[{at}]" for at in map(_SHARED.index, ("process_name", "process_guid"))
    )
    return f"coalesce({one}.sensor != {other}.sensor AND {same_image} AND coalesce({same_guid}, true), false)"


def _with_ends(leading: DataFrame) -> DataFrame:
    """The instances: each leading start with its end, the first of its end event and the next start on its key."""
    is_start = "event_kind = 'start'"
    # At one instant starts sort before ends, the greatest tie first: a start behind another of its instant owns no id.
    in_time = f"{_ON_KEY} ORDER BY event_time, event_kind DESC, shared DESC NULLS LAST, own DESC NULLS LAST"
    previous_start = f"lag(CASE WHEN {is_start} THEN event_time END) OVER ({in_time})"
    owns_pid = f"{is_start} AND process_id IS NOT NULL AND NOT coalesce({previous_start} = event_time, false)"
    current = f"last(CASE WHEN owns_pid THEN struct(event_time, process_guid) END, true) OVER ({in_time})"
    closes = f"NOT {is_start} AND current IS NOT NULL AND NOT coalesce(current.process_guid != process_guid, false)"
    starts_and_their_ends = (
        leading.selectExpr("*", f"{owns_pid} AS owns_pid")
        .selectExpr("*", f"{current} AS current")
        .where(f"{is_start} OR ({closes})")
        .selectExpr("*", f"CASE WHEN {is_start} AND NOT owns_pid THEN row_number() OVER ({in_time}) ELSE 0 END AS nth")
    )
    start_time = F.expr(f"CASE WHEN {is_start} THEN event_time ELSE current.event_time END").alias("start")
    with_end_event = starts_and_their_ends.groupBy(*_KEY, start_time, "nth").agg(
        F.expr(f"max(CASE WHEN {is_start} THEN struct(shared, own, record_time, owns_pid) END) AS started"),
        F.expr(f"min(CASE WHEN NOT {is_start} THEN event_time END) AS end_event"),
    )
    # Every instant has one start that owns the id, and it sorts last there: the row after it is the next start.
    next_start = f"lead(start) OVER ({_ON_KEY} ORDER BY start, nth DESC)"
    # `owns_pid` before `end`, so that of exact duplicates the one that owns the id sorts last: a guid finds it.
    instance = """named_struct('start', start, 'shared', started.shared, 'own', started.own,
        'record_time', started.record_time, 'owns_pid', started.owns_pid,
        'end', CASE WHEN started.owns_pid THEN least(end_event, next_start) WHEN process_id IS NOT NULL THEN start END,
        'ended', started.owns_pid AND end_event IS NOT NULL AND coalesce(end_event <= next_start, true),
        'process_id', process_id)"""
    with_next = with_end_event.selectExpr("*", f"{next_start} AS next_start")
    return with_next.selectExpr(*_KEY, f"{instance} AS instance")
