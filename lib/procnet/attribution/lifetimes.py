"""Process events -> process instances, each with its life `[start, end)` (2-semantics, 1).

A *leading* start is one that no other sensor's record of the same start outranks. On one (host, process id) the leading
starts follow one another: the life of each ends at the first of its end event and the next start, whatever image the
next one runs.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from procnet.contract import PROCESS_EVENTS, PROCESS_FIELDS
from procnet.types import HostMatch, Tolerances

# What an instance tells of its process, beside its times.
INSTANCE_FIELDS: tuple[str, ...] = (*PROCESS_FIELDS, "record_id", "vendor_product", "source")

# Equal instants: the greater of these wins, nulls least. The first three are the rule; the others only make the order
# total, so that no plan and no file order can change who wins.
_TIE_FIRST = ("process_guid", "process_path", "command_line")
_TIE = (
    *_TIE_FIRST,
    *(n for n in PROCESS_EVENTS.names if n not in {*_TIE_FIRST, "ingest_time", "event_date"}),
)
_KEY = ("host_key", "process_id")
# What another sensor's record may add. The record's number and sensor stay the leader's: they say where to find it.
_FILLED = tuple(n for n in PROCESS_FIELDS if n != "process_id")


def host_key(host: Column, match: HostMatch) -> Column:
    """The name by which hosts are joined: the first label for `short` (an address has no labels), else the name."""
    if match is not HostMatch.SHORT:
        return host
    is_address = host.contains(":") | host.rlike(r"^[0-9]{1,3}([.][0-9]{1,3}){3}$")
    return F.when(is_address, host).otherwise(F.substring_index(host, ".", 1))


def lives(events: DataFrame, *, tolerances: Tolerances, host_match: HostMatch) -> DataFrame:
    """Process instances of canonical process events, one row a leading start.

    In: `contract.PROCESS_EVENTS`. Out: `host_key`, `process_id`, and `life`, a struct that sorts by start and tie:
    `start` (time of its first record), `tie`, `told` (time of the record that leads), `lived` (false where another
    start at the same instant won, or the process id is unknown: such an instance answers to its guid alone), `end`
    (null: not seen), `ended` (by an end event), and `INSTANCE_FIELDS`.
    """
    keyed = events.withColumn("host_key", host_key(F.col("host"), host_match)).where(F.col("host_key").isNotNull())
    records = keyed.select(*_KEY, "event_kind", "event_time", "process_guid", _start().alias("own"))
    leading = _lead(records, tolerances)
    return _with_ends(leading)


def _start() -> Column:
    """A start as one value: rank among sensors first, then time and tie, so that arrays of it sort as needed."""
    known = [F.coalesce(F.col(c), F.lit("")) for c in ("vendor_product", "source")]
    rank = F.struct(F.col("process_guid").isNull().alias("no_guid"), *[k.alias(f"s{i}") for i, k in enumerate(known)])
    tie = F.struct(*[F.col(c).cast("string").alias(c) for c in _TIE])
    value = F.struct(
        rank.alias("rank"),
        F.col("event_time").alias("time"),
        tie.alias("tie"),
        F.struct(*INSTANCE_FIELDS).alias("fields"),
    )
    return F.when(F.col("event_kind") == "start", value)


def _lead(records: DataFrame, tolerances: Tolerances) -> DataFrame:
    """Two sensors, one start: drop the starts that another sensor's record outranks, fill the gaps of those that lead.

    Whether a start leads depends on the records within `start_tolerance` of it alone, never on who else was dropped:
    so it is the same however far back the events were read.
    """
    reach = int(tolerances.start_tolerance.total_seconds() * 1_000_000)
    near = Window.partitionBy(*_KEY).orderBy(F.unix_micros("event_time")).rangeBetween(-reach, reach)
    peers = F.filter(F.collect_list("own").over(near), lambda q: _same_start(q, F.col("own")))
    outranked = F.exists("peers", lambda q: q["rank"] < F.col("own.rank"))
    fillers = F.array_sort(F.filter("peers", lambda q: q["rank"] > F.col("own.rank")))
    filled = F.struct(
        *[
            (F.coalesce(own, _first(F.col("fillers"), n)) if n in _FILLED else own).alias(n)
            for n in INSTANCE_FIELDS
            for own in [F.col(f"own.fields.{n}")]
        ]
    )
    # Who wins an instant is judged by what is known of a start, so by its filled fields.
    tie = F.struct(
        *[(F.col(f"fields.{c}").cast("string") if c in _FILLED else F.col(f"own.tie.{c}")).alias(c) for c in _TIE]
    )
    with_peers = records.withColumn("peers", F.when(F.col("own").isNotNull() & F.col("process_id").isNotNull(), peers))
    return (
        with_peers.where(F.col("peers").isNull() | ~outranked)
        .withColumn("fillers", F.when(F.size("peers") > 0, fillers))
        .withColumn("fields", F.when(F.col("fillers").isNull(), F.col("own.fields")).otherwise(filled))
        .select(
            *_KEY,
            "event_kind",
            # The process was there when the first of its records was written: the one that leads may be a second late.
            F.least("event_time", F.array_min(F.transform("fillers", lambda q: q["time"]))).alias("event_time"),
            F.col("event_time").alias("told"),
            "process_guid",
            tie.alias("tie"),
            "fields",
        )
    )


def _same_start(q: Column, own: Column) -> Column:
    """Whether two records of different sensors tell of one start: one image, and no two guids that differ."""
    other_sensor = (q["rank"]["s0"] != own["rank"]["s0"]) | (q["rank"]["s1"] != own["rank"]["s1"])
    one_image = q["fields"]["process_name"] == own["fields"]["process_name"]
    one_guid = F.coalesce(q["fields"]["process_guid"] == own["fields"]["process_guid"], F.lit(True))
    return F.coalesce(other_sensor & one_image & one_guid, F.lit(False))


def _first(fillers: Column, name: str) -> Column:
    known = F.filter(fillers, lambda q: q["fields"][name].isNotNull())
    return F.try_element_at(known, F.lit(1))["fields"][name]


def _with_ends(leading: DataFrame) -> DataFrame:
    """Give each leading start its end: the first end event for it, or the next start on its key."""
    in_time = Window.partitionBy(*_KEY).orderBy(
        "event_time", F.col("event_kind").desc(), F.col("tie").desc_nulls_last()
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
        F.max(F.when(is_start, F.struct("tie", "told", "lived", "fields"))).alias("it"),
        F.min(F.when(~is_start, F.col("event_time"))).alias("end_event"),
    )
    # Every instant has one lived start, and it stands last there: the row after it is the next start.
    following = F.lead("start").over(Window.partitionBy(*_KEY).orderBy("start", F.col("nth").desc()))
    ended = F.col("end_event").isNotNull() & F.coalesce(F.col("end_event") <= F.col("next"), F.lit(True))
    end = F.when(F.col("it.lived"), F.least("end_event", "next")).when(has_key, F.col("start"))
    life = F.struct(
        "start",
        F.col("it.tie").alias("tie"),
        F.col("it.told").alias("told"),
        # Before `end`, so that of exact duplicates the one that lived sorts last and answers to the guid.
        F.col("it.lived").alias("lived"),
        end.alias("end"),
        (F.col("it.lived") & ended).alias("ended"),
        *[F.col(f"it.fields.{n}").alias(n) for n in INSTANCE_FIELDS],
    )
    return one_life.withColumn("next", following).select(*_KEY, life.alias("life"))
