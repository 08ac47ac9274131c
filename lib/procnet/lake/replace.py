"""Findings of a window are replaced as one atomic act: exactly that window, those detections (2-semantics, 6)."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.contract import FINDINGS
from procnet.lake.tables import Lake
from procnet.types import Window


def replace_findings(lake: Lake, findings: DataFrame, window: Window, detections: Sequence[str]) -> None:
    """Put `findings` in the place of all that the table holds of this window and these detections, in one commit.

    In: `contract.FINDINGS`, all inside the window. Delta refuses the commit if a row lies outside.
    """
    dates = F.col("finding_date").between(F.lit(window.start.date()), F.lit(window.end.date()))
    inside = (F.col("event_time") >= F.lit(window.start)) & (F.col("event_time") < F.lit(window.end))
    these = F.col("detection_id").isin(list(detections))
    findings.select(*FINDINGS.names).writeTo(lake.ref("findings")).overwrite(dates & inside & these)
