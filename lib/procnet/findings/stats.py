"""Statistics of findings by detection, for tuning: counts, processes and destinations."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.contract import ATTRIBUTIONS


def by_detection(findings: DataFrame, top: int = 3) -> DataFrame:
    """One row for each detection, most live findings first. Live are the findings without an exclusion.

    In: `contract.FINDINGS`. Out: `detection_id`, `detection_name`, `findings` (live), `excluded`, `hosts` (of live
    findings), a count of live findings for each attribution, `first_time`, `last_time`, and `processes` and
    `destinations`: the `top` most frequent ones of live findings, as arrays of (value, n).
    """
    live = F.col("excluded_by").isNull()
    counts = findings.groupBy("detection_id").agg(
        F.max_by("detection_name", F.struct("event_time", "finding_id")).alias("detection_name"),
        F.count_if(live).alias("findings"),
        F.count_if(~live).alias("excluded"),
        F.countDistinct(F.when(live, F.col("host"))).alias("hosts"),
        *[F.count_if(live & (F.col("attribution") == a)).alias(a) for a in ATTRIBUTIONS],
        F.min("event_time").alias("first_time"),
        F.max("event_time").alias("last_time"),
    )
    live_findings = findings.where(live)
    for name, value in (
        ("processes", F.col("process_name")),
        ("destinations", F.coalesce("dest_name", "dest_host", "dest_ip")),
    ):
        counts = counts.join(_most_frequent(live_findings, value, top, name), "detection_id", "left")
    return counts.orderBy(F.desc("findings"), "detection_id")


def _most_frequent(findings: DataFrame, value: Column, top: int, name: str) -> DataFrame:
    """`detection_id`, and `name`: array of (value, n) of the `top` most frequent values, ties ordered by value."""
    frequencies = findings.groupBy("detection_id", value.alias("value")).agg(F.count("*").alias("n"))
    # array_sort is ascending: by the negative count the most frequent value is first, and ties are sorted by value.
    ascending = F.array_sort(F.collect_list(F.struct((-F.col("n")).alias("negative"), "value")))
    values = F.transform(
        F.slice(ascending, 1, top), lambda v: F.struct(v["value"].alias("value"), (-v["negative"]).alias("n"))
    )
    return frequencies.groupBy("detection_id").agg(values.alias(name))
