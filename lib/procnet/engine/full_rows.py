"""Which of the starts that the driver holds on few columns must be read whole: those whose text can matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame

from procnet.contract import PROCESS_EVENTS
from procnet.detections.detection import Detection
from procnet.engine.driver_rows import driver_frame, read_full_rows

_LIKE = ("host_key", "process_id", "process_name")  # two records of one start agree in these (2-semantics, 1)


def with_full_rows(processes: DataFrame, lives: pa.Table, hits: pa.Table, detections: Sequence[Detection]) -> DataFrame:
    """The process events `lives`, whole where their text can matter: `contract.PROCESS_EVENTS`, of one partition.

    Whole are the starts that a detection could want, those whose order only their text tells, and all that may be
    another record of such a start, so that none is filled by a record that is not read whole.
    """
    starts = lives.filter(pc.equal(lives["event_kind"], "start"))
    like = set(_columns(_wanted(starts, hits, detections), *_LIKE)) | set(_columns(_unclear(starts), *_LIKE))
    whole = pa.array([k == "start" and tuple(s) in like for k, *s in _columns(lives, "event_kind", *_LIKE)], pa.bool_())
    others = driver_frame(processes.sparkSession, lives.filter(pc.invert(whole)), PROCESS_EVENTS)
    if not (told := lives.filter(whole)).num_rows:
        return others
    rows = read_full_rows(processes.where("event_kind = 'start'"), told, "process_id", "process_name", "host")
    # Read by all tasks, then one partition: coalesced alone, one task would read all files.
    return others.unionByName(rows.repartition(1)).coalesce(1)


def _wanted(starts: pa.Table, hits: pa.Table, detections: Sequence[Detection]) -> pa.Table:
    """Starts that a detection could want: by one of its names, or, where it may want any process, by the key of a
    connection that it wants."""
    named = frozenset[str]().union(*[d.names or () for d in detections])
    asking = hits.filter(hits["wide"])
    ids, guids = (set(_columns(asking, "host_key", key)) for key in ("process_id", "process_guid"))
    told = _columns(starts, "host_key", "process_id", "process_guid", "process_name", "original_file_name")
    return starts.filter(
        pa.array(
            [
                name in named or (original or "").lower() in named or (host, pid) in ids or (host, guid) in guids
                for host, pid, guid, name, original in told
            ],
            pa.bool_(),
        )
    )


def _unclear(starts: pa.Table) -> pa.Table:
    """Of starts of several names on one key at one instant, whose order only their text tells: `_LIKE`."""
    found = []
    for key in ("process_id", "process_guid"):
        known, at = starts.filter(pc.is_valid(starts[key])), ["host_key", key, "event_time"]
        names = known.group_by(at).aggregate([("process_name", "count_distinct", pc.CountOptions(mode="all"))])
        several = names.filter(pc.greater(names["process_name_count_distinct"], 1)).select(at)
        found.append(known.join(several, at, join_type="left semi").select(_LIKE))
    return pa.concat_tables(found)


def _columns(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table.column(n).to_pylist() for n in names), strict=True)
