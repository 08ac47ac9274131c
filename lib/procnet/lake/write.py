"""Replaces a window's findings, or events of one source, in one commit (docs/semantics.md, R6 and R8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.contract import FINDINGS, TABLES
from procnet.errors import Overtaken
from procnet.lake.coverage import RunAttempt, is_overtaken
from procnet.lake.findings_history import FindingsHistory, commit_metadata, findings_history
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.spark.collect import TooMany, collect_at_most
from procnet.spark.filters import in_period

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

# Up to this many findings, of some 1 KB each, are collected by the driver before they are written. Delta evaluates what
# it writes more than once, and the counts need another read: an hour of 10 findings took 10 s without, 4 s with it.
DRIVER_FINDINGS_LIMIT = 10_000


@dataclass(frozen=True)
class WrittenFindings:
    """What the findings table has of the window after the write: counts for the ledger, and live findings by detection
    id (those without an exclusion). `version`: see `RunAttempt.findings_version`."""

    counts: Mapping[str, int]
    live: Mapping[str, int]
    version: int = -1


def replace_findings(
    lake: Lake, findings: DataFrame | None, run: RunAttempt, *, since: int, before_commit: Callable[[], None]
) -> WrittenFindings:
    """Replace the findings of the run's window and detections by `findings`; None means that there are none.

    In: `contract.FINDINGS`, all inside the window; Delta refuses the commit if a row lies outside. One commit, or none
    if the table has exactly these rows already, as after a repeated run. `counts` of the result are `findings`,
    `findings_<attribution>` and `excluded`. `before_commit` is called after the findings are computed, and may raise;
    more findings than the driver collects are computed by the commit itself.

    Raises Overtaken where another run has committed such findings after version `since` of the table, from newer events
    than this run has read: before the commit, or after it where the other one came between.
    """
    before = findings_history(lake, since=since)
    _refuse_overtaken(run, before)
    window, detections = run.window, list(run.detections)
    replaced = in_period(window.start, window.end, "finding_date") & F.col("detection_id").isin(detections)
    existing = lake.read("findings").where(replaced)
    if findings is None and existing.isEmpty():  # the most frequent case: no findings, before and after
        return _written([], before.version)
    no_rows = lake.spark.createDataFrame([], FINDINGS)
    rows = no_rows if findings is None else findings.select(*FINDINGS.names)
    new = collect_at_most(rows, DRIVER_FINDINGS_LIMIT)
    if isinstance(new, TooMany):
        before_commit()
        version = _overwrite(lake, rows, replaced, run, before)
        groups = existing.groupBy("detection_id", "attribution").agg(F.count("*"), F.count("excluded_by")).collect()
        return _written([(d, a, int(n), int(x)) for d, a, n, x in groups], version)
    old, version = collect_at_most(existing, DRIVER_FINDINGS_LIMIT), before.version
    if isinstance(old, TooMany) or _rows_by_id(old.table) != _rows_by_id(new.table):
        before_commit()
        version = _overwrite(lake, lake.spark.createDataFrame(new.table, FINDINGS), replaced, run, before)
    columns = (new.table.column(c).to_pylist() for c in ("detection_id", "attribution", "excluded_by"))
    return _written([(d, a, 1, int(x is not None)) for d, a, x in zip(*columns, strict=True)], version)


def _overwrite(lake: Lake, rows: DataFrame, replaced: Column, run: RunAttempt, before: FindingsHistory) -> int:
    """Replaces rows in one commit that names the run; returns the version of the commit."""
    rows.writeTo(lake.ref("findings")).option("userMetadata", commit_metadata(run)).overwrite(replaced)
    # A commit between the look before and the start of Delta's transaction is no conflict for Delta.
    after = findings_history(lake, since=before.version)
    version = after.version_of(run.run_id)
    if version is None:  # no row was there, and none came: Delta has committed nothing
        return before.version
    _refuse_overtaken(run, after)
    return version


def _refuse_overtaken(run: RunAttempt, history: FindingsHistory) -> None:
    if is_overtaken(run, history.commits):
        raise Overtaken(f"another run has replaced findings of {run.window} from newer events")


def replace_events(
    lake: Lake, table: str, rows: DataFrame, window: Window, source: str, *, sorted_by: Sequence[str]
) -> int:
    """Replace the events of this window and this source in `table` by canonical `rows`; returns their number."""
    replaced = in_period(window.start, window.end) & (F.col("source") == source)
    ordered = rows.select(*TABLES[table][0].names).sortWithinPartitions("event_date", *sorted_by)
    ordered.writeTo(lake.ref(table)).overwrite(replaced)
    return lake.read(table).where(replaced).count()


def _written(groups: Iterable[tuple[str, str, int, int]], version: int) -> WrittenFindings:
    """In: groups of detection id, attribution, number of findings, and number of excluded ones among them."""
    by_attribution, live, excluded = Counter[str](), Counter[str](), 0
    for detection, attribution, findings, excluded_findings in groups:
        by_attribution[f"findings_{attribution}"] += findings
        live[detection] += findings - excluded_findings
        excluded += excluded_findings
    counts = {"findings": by_attribution.total(), **by_attribution, "excluded": excluded}
    return WrittenFindings(counts, live, version)


def _rows_by_id(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.sort_by("finding_id").to_pylist()
    return rows
