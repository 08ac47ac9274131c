"""The cases inside the detection files, tried on the real path: the same `find` that a scheduled run calls."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession

from procnet.detections.cases import WINDOW, Result, case_frames, judge
from procnet.detections.detection import Detection
from procnet.runs.asked import Asked
from procnet.runs.find import find
from procnet.settings import Settings


def run_cases(spark: SparkSession, detections: Sequence[Detection], settings: Settings) -> list[Result]:
    """Every case of every detection, judged in one pass and without a lake."""
    if not detections:
        return []
    processes, connections = case_frames(spark, detections)
    found = find(Asked(processes, connections, detections, WINDOW, settings)).findings
    return judge([] if found is None else [r.asDict(recursive=True) for r in found.collect()], detections)
