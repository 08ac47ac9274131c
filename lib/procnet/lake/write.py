"""Rows of a window are replaced as one atomic act: exactly that window, those detections, that source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import FINDINGS, TABLES
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.spark.collect import collect_at_most
from procnet.spark.filters import in_period

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

# Up to here findings go through the driver: some 1 KB each. Delta evaluates what it writes more than once, and asks
# again for what it has written: an hour of 10 findings took 10 s in that way and takes 4 s in this one.
SMALL = 10_000


@dataclass(frozen=True)
class Written:
    """What the table holds of the window now: counts for the ledger, and live findings by detection."""

    counts: Mapping[str, int]
    live: Mapping[str, int]


def replace_findings(lake: Lake, findings: DataFrame | None, window: Window, detections: Sequence[str]) -> Written:
    """Put `findings` (None: none) in the place of all that the table holds of this window and these detections.

    In: `contract.FINDINGS`, all inside the window; Delta refuses the commit if a row lies outside. One commit, and none
    where the table holds the very same rows already: a repeated run leaves no trace. The counts are `findings`,
    `findings_` of each attribution, and `excluded`.
    """
    place = in_period(window.start, window.end, "finding_date") & F.col("detection_id").isin(list(detections))
    there = lake.read("findings").where(place)
    if findings is None and there.isEmpty():  # an hour that has nothing to say, and had nothing
        return _written([])
    none = lake.spark.createDataFrame([], FINDINGS)
    rows = none if findings is None else findings.select(*FINDINGS.names)
    new = collect_at_most(rows, SMALL)
    if new is None:
        rows.writeTo(lake.ref("findings")).overwrite(place)
        groups = there.groupBy("detection_id", "attribution").agg(F.count("*"), F.count("excluded_by")).collect()
        return _written([(d, a, int(n), int(x)) for d, a, n, x in groups])
    old = collect_at_most(there, SMALL)
    if old is None or _ordered(old) != _ordered(new):
        lake.spark.createDataFrame(new, FINDINGS).writeTo(lake.ref("findings")).overwrite(place)
    told = zip(*(new.column(c).to_pylist() for c in ("detection_id", "attribution", "excluded_by")), strict=True)
    return _written([(d, a, 1, int(x is not None)) for d, a, x in told])


def replace_events(
    lake: Lake, table: str, rows: DataFrame, window: Window, source: str, *, sorted_by: Sequence[str]
) -> int:
    """Put canonical `rows` in the place of all that `table` holds of this window and this source; returns how many."""
    place = in_period(window.start, window.end) & (F.col("source") == source)
    ordered = rows.select(*TABLES[table][0].names).sortWithinPartitions("event_date", *sorted_by)
    ordered.writeTo(lake.ref(table)).overwrite(place)
    return lake.read(table).where(place).count()


def _written(groups: Iterable[tuple[str, str, int, int]]) -> Written:
    """In: detection, attribution, findings, excluded ones among them."""
    by, live, excluded = Counter[str](), Counter[str](), 0
    for detection, attribution, findings, hidden in groups:
        by[f"findings_{attribution}"] += findings
        live[detection] += findings - hidden
        excluded += hidden
    return Written({"findings": by.total(), **by, "excluded": excluded}, live)


def _ordered(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.sort_by("finding_id").to_pylist()
    return rows
