"""What is in the table quarantine, by reason."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.lake.tables import Lake


def quarantine_reasons(lake: Lake, limit: int) -> DataFrame:
    """Returns the reasons of the quarantine, the newest first, at most `limit`.

    Columns: `source`, `reason`, `records`, `newest` (the last ingest that added one), and one of its records: `file`,
    `line` and `raw`, the text.
    """
    example = F.max_by(F.struct("file", "line", "raw"), F.struct("ingest_time", "file", "line"))
    reasons = (
        lake.read("quarantine")
        .groupBy("source", "reason")
        .agg(F.count("*").alias("records"), F.max("ingest_time").alias("newest"), example.alias("example"))
    )
    newest = reasons.orderBy(F.desc("newest"), F.desc("records"), "source", "reason").limit(limit)
    return newest.select("source", "reason", "records", "newest", "example.*")
