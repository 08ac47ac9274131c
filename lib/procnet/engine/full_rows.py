"""Which of the collected starts must be read with all columns: those whose text columns can matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
from pyspark.sql import DataFrame

from procnet.contract import PROCESS_EVENTS
from procnet.detections.detection import Detection
from procnet.engine.driver_rows import driver_frame, read_full_rows

# Two records of one start agree in these (docs/semantics.md, R1).
_SAME_START = ("host_key", "process_id", "process_name")


def with_full_rows(
    process_events: DataFrame, collected: pa.Table, network_events: pa.Table, detections: Sequence[Detection]
) -> DataFrame:
    """The collected process events as `contract.PROCESS_EVENTS` in one partition, with all columns where their text can
    matter, else null there.

    Read in full are the starts that a detection could match, those whose order only their text decides, and all that
    may be another record of such a start, so that none is filled from a record that is not read in full.
    """
    starts = collected.filter(pc.equal(collected["event_kind"], "start"))
    keys = {*_rows(_could_match(starts, network_events, detections), *_SAME_START)}
    keys |= {*_rows(_ordered_by_text(starts), *_SAME_START)}
    in_full = [kind == "start" and tuple(key) in keys for kind, *key in _rows(collected, "event_kind", *_SAME_START)]
    is_full = pa.array(in_full, pa.bool_())
    narrow = driver_frame(process_events.sparkSession, collected.filter(pc.invert(is_full)), PROCESS_EVENTS)
    if not (needed := collected.filter(is_full)).num_rows:
        return narrow
    stored = process_events.where("event_kind = 'start'")
    full = read_full_rows(stored, needed, "process_id", "process_name", "host")
    # Read by all tasks, then put into one partition: with coalesce only, one task would read all files.
    return narrow.unionByName(full.repartition(1)).coalesce(1)


def _could_match(starts: pa.Table, network_events: pa.Table, detections: Sequence[Detection]) -> pa.Table:
    """Starts that a detection could match: by one of its names, or, for an any-process detection, by the key of a
    connection that it wants."""
    names = frozenset[str]().union(*[d.process_names for d in detections])
    any_process = network_events.filter(network_events["any_process"])
    pids, guids = (set(_rows(any_process, "host_key", key)) for key in ("process_id", "process_guid"))
    columns = _rows(starts, "host_key", "process_id", "process_guid", "process_name", "original_file_name")
    return starts.filter(
        pa.array(
            [
                name in names or (original or "").lower() in names or (host, pid) in pids or (host, guid) in guids
                for host, pid, guid, name, original in columns
            ],
            pa.bool_(),
        )
    )


def _ordered_by_text(starts: pa.Table) -> pa.Table:
    """Starts of several names on one key at one instant, whose order only their text decides: _SAME_START."""
    found = []
    for key in ("process_id", "process_guid"):
        known, instant = starts.filter(pc.is_valid(starts[key])), ["host_key", key, "event_time"]
        names = known.group_by(instant).aggregate([("process_name", "count_distinct", pc.CountOptions(mode="all"))])
        several = names.filter(pc.greater(names["process_name_count_distinct"], 1)).select(instant)
        found.append(known.join(several, instant, join_type="left semi").select(_SAME_START))
    return pa.concat_tables(found)


def _rows(table: pa.Table, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table.column(n).to_pylist() for n in columns), strict=True)
