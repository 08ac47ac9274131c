"""Process events -> process instances, each with its life `[start, end)` (2-semantics, 1).

A *leading* start is one that no other sensor's record of the same start outranks. On one (host, process id) the leading
starts follow one another: the life of each ends at the first of its end event and the next start, whatever image the
next one runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from procnet.contract import PROCESS_EVENTS, PROCESS_FIELDS
from procnet.predicates.sql import literal, one_of
from procnet.types import HostMatch, Tolerances, micros

# What an instance tells of its process, beside its times.
INSTANCE_FIELDS: tuple[str, ...] = (*PROCESS_FIELDS, "record_id", "vendor_product", "source")

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


def host_key(host: Column, match: HostMatch) -> Column:
    """The name by which hosts are joined: the first label for `short` (an address has no labels), else the name."""
    if match is not HostMatch.SHORT:
        return host
    # Asked of every row of a fleet, so cheap questions stand before the dear one: hardly a domain ends in a digit.
    may_be_ipv4 = host.contains(".") & F.substring(host, -1, 1).between("0", "9")
    is_address = host.contains(":") | (may_be_ipv4 & host.rlike(r"^[0-9]{1,3}([.][0-9]{1,3}){3}$"))
    return F.when(is_address, host).otherwise(F.substring_index(host, ".", 1))


def perhaps_on(hosts: Iterable[str | None], match: HostMatch, most: int = 100) -> str:
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


def field(life: Column, name: str) -> Column:
    """A column of the start that a `life` began with, by its name in `contract.PROCESS_EVENTS`."""
    if name == "process_id":
        return life["process_id"]
    array, names = ("known", _KNOWN) if name in _KNOWN else ("own", _OWN)
    return life[array][names.index(name)].cast(PROCESS_EVENTS[name].dataType)


def lives(events: DataFrame, *, tolerances: Tolerances, host_match: HostMatch) -> DataFrame:
    """Process instances of canonical process events, one row a leading start.

    In: `contract.PROCESS_EVENTS`. Out: `host_key`, `process_id`, and `life`, a struct that sorts by start and tie:
    `start` (time of its first record), `known` and `own` (its columns: see `field`), `told` (time of the record that
    leads), `lived` (false where another start at the same instant won, or the process id is unknown: such an instance
    answers to its guid alone), `end` (null: not seen), `ended` (by an end event), `process_id`.
    """
    keyed = events.withColumn("host_key", host_key(F.col("host"), host_match)).where(F.col("host_key").isNotNull())
    records = keyed.select(*_KEY, "event_kind", "event_time", "process_guid", _start().alias("record"))
    leading = _lead(records, tolerances)
    return _with_ends(leading)


def _start() -> Column:
    """A start as one value: rank among sensors first, then time and tie, so that arrays of it sort as needed."""
    sensor = [F.coalesce(F.col(c), F.lit("")) for c in ("vendor_product", "source")]
    value = F.struct(
        F.col("process_guid").isNull().alias("no_guid"),
        F.array(*sensor).alias("sensor"),
        F.col("event_time").alias("time"),
        _texts(_KNOWN).alias("known"),
        _texts(_OWN).alias("own"),
    )
    return F.when(F.col("event_kind") == "start", value)


def _texts(names: Sequence[str]) -> Column:
    return F.array(*[F.col(n).cast("string") for n in names])


def _lead(records: DataFrame, tolerances: Tolerances) -> DataFrame:
    """Two sensors, one start: drop the starts that another sensor's record outranks, fill the gaps of those that lead.

    Whether a start leads depends on the records within `start_tolerance` of it alone, never on who else was dropped:
    so it is the same however far back the events were read.
    """
    reach = micros(tolerances.start_tolerance)
    near = Window.partitionBy(*_KEY).orderBy(F.unix_micros("event_time")).rangeBetween(-reach, reach)
    record = F.col("record")
    peers = F.filter(F.collect_list("record").over(near), lambda q: _same_start(q, record))
    with_peers = records.withColumn("peers", F.when(record.isNotNull() & F.col("process_id").isNotNull(), peers))
    outranked = F.exists("peers", lambda q: _rank(q) < _rank(record))
    fillers = F.array_sort(F.filter("peers", lambda q: _rank(q) > _rank(record)))
    filled = F.aggregate(
        fillers, record["known"], lambda known, q: F.zip_with(known, q["known"], lambda a, b: F.coalesce(a, b))
    )
    # The process was there when the first of its records was written: the one that leads may be a second late.
    first = F.least("event_time", F.array_min(F.transform("peers", lambda q: q["time"])))
    return with_peers.where(~F.coalesce(outranked, F.lit(False))).select(
        *_KEY,
        "event_kind",
        first.alias("event_time"),
        F.col("event_time").alias("told"),
        "process_guid",
        # Who wins an instant is judged by what is known of a start, so by its filled columns.
        F.coalesce(filled, record["known"]).alias("known"),
        record["own"].alias("own"),
    )


def _rank(q: Column) -> Column:
    return F.struct(q["no_guid"].alias("no_guid"), q["sensor"].alias("sensor"))


def _same_start(q: Column, other: Column) -> Column:
    """Whether two records of different sensors tell of one start: one image, and no two guids that differ."""
    one_image, one_guid = (
        q["known"][_KNOWN.index(n)] == other["known"][_KNOWN.index(n)] for n in ("process_name", "process_guid")
    )
    told_of_one = one_image & F.coalesce(one_guid, F.lit(True))
    return F.coalesce((q["sensor"] != other["sensor"]) & told_of_one, F.lit(False))


def _with_ends(leading: DataFrame) -> DataFrame:
    """Give each leading start its end: the first end event for it, or the next start on its key."""
    in_time = Window.partitionBy(*_KEY).orderBy(
        "event_time",
        F.col("event_kind").desc(),
        F.col("known").desc_nulls_last(),
        F.col("own").desc_nulls_last(),
    )
    is_start, has_key = F.col("event_kind") == "start", F.col("process_id").isNotNull()
    before = F.lag(F.when(is_start, F.col("event_time"))).over(in_time)
    # At one instant starts stand before ends, the greatest tie first: a start behind one of its instant has no life.
    lived = is_start & has_key & ~F.coalesce(before == F.col("event_time"), F.lit(False))
    current = F.last(F.when(F.col("lived"), F.struct("event_time", "process_guid")), ignorenulls=True).over(in_time)
    names_another = F.coalesce(F.col("current.process_guid") != F.col("process_guid"), F.lit(False))
    closes = ~is_start & F.col("current").isNotNull() & ~names_another
    marked = (
        leading.withColumn("lived", lived)
        .withColumn("current", current)
        .where(is_start | closes)
        .withColumn("nth", F.when(is_start & ~F.col("lived"), F.row_number().over(in_time)).otherwise(F.lit(0)))
    )
    life_time = F.when(is_start, F.col("event_time")).otherwise(F.col("current.event_time"))
    one_life = marked.groupBy(*_KEY, life_time.alias("start"), "nth").agg(
        F.max(F.when(is_start, F.struct("known", "own", "told", "lived"))).alias("it"),
        F.min(F.when(~is_start, F.col("event_time"))).alias("end_event"),
    )
    # Every instant has one lived start, and it stands last there: the row after it is the next start.
    following = F.lead("start").over(Window.partitionBy(*_KEY).orderBy("start", F.col("nth").desc()))
    ended = F.col("end_event").isNotNull() & F.coalesce(F.col("end_event") <= F.col("next"), F.lit(True))
    end = F.when(F.col("it.lived"), F.least("end_event", "next")).when(has_key, F.col("start"))
    life = F.struct(
        "start",
        *[F.col(f"it.{n}").alias(n) for n in ("known", "own", "told")],
        # Before `end`, so that of exact duplicates the one that lived sorts last and answers to the guid.
        F.col("it.lived").alias("lived"),
        end.alias("end"),
        (F.col("it.lived") & ended).alias("ended"),
        "process_id",
    )
    return one_life.withColumn("next", following).select(*_KEY, life.alias("life"))
