"""Tuning in numbers: what each detection found over a period, by whom and where to."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.contract import ATTRIBUTIONS


def by_detection(findings: DataFrame, top: int = 3) -> DataFrame:
    """One row a detection, the one with most live findings first.

    In: `contract.FINDINGS`. Out: `detection_id`, `detection_name`, `findings` (live), `excluded`, `hosts` (of live
    ones), a count of live ones for each attribution, `first_time`, `last_time`, `processes` and `destinations`: the
    `top` of the live ones, as arrays of (value, findings), the most frequent first.
    """
    live = F.col("excluded_by").isNull()
    counted = findings.groupBy("detection_id").agg(
        F.max_by("detection_name", F.struct("event_time", "finding_id")).alias("detection_name"),
        F.count_if(live).alias("findings"),
        F.count_if(~live).alias("excluded"),
        F.countDistinct(F.when(live, F.col("host"))).alias("hosts"),
        *[F.count_if(live & (F.col("attribution") == a)).alias(a) for a in ATTRIBUTIONS],
        F.min("event_time").alias("first_time"),
        F.max("event_time").alias("last_time"),
    )
    seen = findings.where(live)
    for name, value in (("processes", F.col("process_name")), ("destinations", F.coalesce("dest_host", "dest_ip"))):
        counted = counted.join(_top(seen, value, top).withColumnRenamed("top", name), "detection_id", "left")
    return counted.orderBy(F.desc("findings"), "detection_id")


def _top(findings: DataFrame, value: Column, most: int) -> DataFrame:
    times = findings.groupBy("detection_id", value.alias("value")).agg(F.count("*").alias("findings"))
    # array_sort is ascending: the negative count stands first, so ties are in the order of the values.
    ranked = F.array_sort(F.collect_list(F.struct((-F.col("findings")).alias("less"), "value")))
    told = F.transform(F.slice(ranked, 1, most), lambda r: F.struct(r["value"].alias("value"), (-r["less"]).alias("n")))
    return times.groupBy("detection_id").agg(told.alias("top"))
