"""The cases inside the detection files, tried on the real path: the same `find` that a scheduled run calls."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession

from procnet.detections.cases import WINDOW, Result, case_frames, check_cases
from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.settings import Settings


def run_cases(spark: SparkSession, detections: Sequence[Detection], settings: Settings) -> list[Result]:
    """Every case of every detection, judged in one pass and without a lake."""
    if not detections:
        return []
    processes, connections = case_frames(spark, detections)
    found = evaluate(Query(processes, connections, detections, WINDOW, settings)).findings
    return check_cases([] if found is None else [r.asDict(recursive=True) for r in found.collect()], detections)
