"""Process events -> process instances, each with its life `[start, end)` (2-semantics, 1).

A *leading* start is one that no other sensor's record of the same start outranks. On one (host, process id) the leading
starts follow one another: the life of each ends at the first of its end event and the next start, whatever image the
next one runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.hosts import host_key
from procnet.contract import PROCESS_EVENTS, PROCESS_FIELDS
from procnet.periods import micros
from procnet.settings import HostMatch, Tolerances

# What an instance tells of its process, beside its times.
INSTANCE_FIELDS: tuple[str, ...] = (*PROCESS_FIELDS, "record_id", "vendor_product", "source")

# All of it is SQL (predicates/sql.py says why): as Columns, lives, answers and findings were 6,000 calls to the JVM.
# A start's columns travel as two arrays of texts, `known` and `own`, named again for the few that answer (`field`).
# As columns of their own they were some sixty expressions at every step, and planning cost more than an hour's data.
# The two in turn are also the order of starts at one instant: the greater wins, nulls least. The first three columns
# are the rule (2-semantics, 1); the others only make it total, so that no plan and no file order can change who wins.
_TIE_FIRST = ("process_guid", "process_path", "command_line")
# What another sensor's record may add ...
_KNOWN = (*_TIE_FIRST, *(n for n in PROCESS_FIELDS if n not in {*_TIE_FIRST, "process_id"}))
# ... and what stays the leader's: where to find its record.
_OWN = ("event_time", "host", "action", "vendor_product", "source", "record_id")
_KEY = ("host_key", "process_id")
_ON_KEY = f"PARTITION BY {', '.join(_KEY)}"


def field(life: str, name: str) -> str:
    """A column of the start that a `life` began with, by its name in `contract.PROCESS_EVENTS`, in SQL."""
    if name == "process_id":
        return f"{life}.process_id"
    array, names = ("known", _KNOWN) if name in _KNOWN else ("own", _OWN)
    return f"CAST({life}.{array}[{names.index(name)}] AS {PROCESS_EVENTS[name].dataType.simpleString()})"


def process_instances(events: DataFrame, *, tolerances: Tolerances, host_match: HostMatch) -> DataFrame:
    """Process instances of canonical process events, one row a leading start.

    In: `contract.PROCESS_EVENTS`. Out: `host_key`, `process_id`, and `life`, a struct that sorts by start and tie:
    `start` (time of its first record), `known` and `own` (its columns: see `field`), `told` (time of the record that
    leads), `lived` (false where another start at the same instant won, or the process id is unknown: such an instance
    answers to its guid alone), `end` (null: not seen), `ended` (by an end event), `process_id`.
    """
    records = events.selectExpr(
        f"{host_key('host', host_match)} AS host_key",
        *("process_id", "event_kind", "event_time", "process_guid", f"{_start()} AS record"),
    )
    return _with_ends(_lead(records.where("host_key IS NOT NULL"), tolerances))


def _start() -> str:
    """A start as one value: rank among sensors first, then time and tie, so that arrays of it sort as needed."""
    return f"""CASE WHEN event_kind = 'start' THEN named_struct(
        'no_guid', process_guid IS NULL, 'sensor', array(coalesce(vendor_product, ''), coalesce(source, '')),
        'time', event_time, 'known', {_texts(_KNOWN)}, 'own', {_texts(_OWN)}) END"""


def _texts(names: Sequence[str]) -> str:
    return f"array({', '.join(f'CAST({n} AS string)' for n in names)})"


def _lead(records: DataFrame, tolerances: Tolerances) -> DataFrame:
    """Two sensors, one start: drop the starts that another sensor's record outranks, fill the gaps of those that lead.

    Whether a start leads depends on the records within `start_tolerance` of it alone, never on who else was dropped:
    so it is the same however far back the events were read.
    """
    reach = f"{micros(tolerances.start_tolerance)}L"
    near = f"{_ON_KEY} ORDER BY unix_micros(event_time) RANGE BETWEEN {reach} PRECEDING AND {reach} FOLLOWING"
    peers = f"filter(collect_list(record) OVER ({near}), q -> {_same_start('q', 'record')})"
    outranked = f"exists(peers, q -> {_rank('q')} < {_rank('record')})"
    fillers = f"array_sort(filter(peers, q -> {_rank('q')} > {_rank('record')}))"
    fill = "(known, q) -> zip_with(known, q.known, (a, b) -> coalesce(a, b))"
    return (
        records.selectExpr("*", f"CASE WHEN record IS NOT NULL AND process_id IS NOT NULL THEN {peers} END AS peers")
        .where(f"NOT coalesce({outranked}, false)")
        .selectExpr(
            *(*_KEY, "event_kind", "process_guid", "event_time AS told", "record.own AS own"),
            # The process was there when the first of its records was written: the one that leads may be a second late.
            "least(event_time, array_min(transform(peers, q -> q.time))) AS event_time",
            # Who wins an instant is judged by what is known of a start, so by its filled columns.
            f"coalesce(aggregate({fillers}, record.known, {fill}), record.known) AS known",
        )
    )


def _rank(q: str) -> str:
    return f"named_struct('no_guid', {q}.no_guid, 'sensor', {q}.sensor)"


def _same_start(q: str, other: str) -> str:
    """Whether two records of different sensors tell of one start: one image, and no two guids that differ."""
    one_image, one_guid = (
        f"{q}.known[{at}] = {other}.known[{at}]" for at in map(_KNOWN.index, ("process_name", "process_guid"))
    )
    return f"coalesce({q}.sensor != {other}.sensor AND {one_image} AND coalesce({one_guid}, true), false)"


def _with_ends(leading: DataFrame) -> DataFrame:
    """Give each leading start its end: the first end event for it, or the next start on its key."""
    is_start = "event_kind = 'start'"
    # At one instant starts stand before ends, the greatest tie first: a start behind one of its instant has no life.
    in_time = f"{_ON_KEY} ORDER BY event_time, event_kind DESC, known DESC NULLS LAST, own DESC NULLS LAST"
    before = f"lag(CASE WHEN {is_start} THEN event_time END) OVER ({in_time})"
    lived = f"{is_start} AND process_id IS NOT NULL AND NOT coalesce({before} = event_time, false)"
    current = f"last(CASE WHEN lived THEN struct(event_time, process_guid) END, true) OVER ({in_time})"
    closes = f"NOT {is_start} AND current IS NOT NULL AND NOT coalesce(current.process_guid != process_guid, false)"
    marked = (
        leading.selectExpr("*", f"{lived} AS lived")
        .selectExpr("*", f"{current} AS current")
        .where(f"{is_start} OR ({closes})")
        .selectExpr("*", f"CASE WHEN {is_start} AND NOT lived THEN row_number() OVER ({in_time}) ELSE 0 END AS nth")
    )
    life_time = F.expr(f"CASE WHEN {is_start} THEN event_time ELSE current.event_time END").alias("start")
    one_life = marked.groupBy(*_KEY, life_time, "nth").agg(
        F.expr(f"max(CASE WHEN {is_start} THEN struct(known, own, told, lived) END) AS it"),
        F.expr(f"min(CASE WHEN NOT {is_start} THEN event_time END) AS end_event"),
    )
    # Every instant has one lived start, and it stands last there: the row after it is the next start.
    following = f"lead(start) OVER ({_ON_KEY} ORDER BY start, nth DESC)"
    # `lived` before `end`, so that of exact duplicates the one that lived sorts last and answers to the guid.
    life = """named_struct('start', start, 'known', it.known, 'own', it.own, 'told', it.told, 'lived', it.lived,
        'end', CASE WHEN it.lived THEN least(end_event, next) WHEN process_id IS NOT NULL THEN start END,
        'ended', it.lived AND end_event IS NOT NULL AND coalesce(end_event <= next, true),
        'process_id', process_id)"""
    return one_life.selectExpr("*", f"{following} AS next").selectExpr(*_KEY, f"{life} AS life")
