"""Detections on pairs of connection and process: one exact judgement, and the cheaper questions that go before it.

Only `evaluate` decides. The others say which rows could matter, so that the scans and the join stay small; each keeps
every row that `evaluate` could want, and a test holds them to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from procnet.detections.detection import Detection
from procnet.predicates.column import Row, to_candidate_column, to_column
from procnet.predicates.model import fields_of
from procnet.types import severity


def starts_wanted(detections: Sequence[Detection]) -> Column | None:
    """Which process starts any of the detections could want; None if none of them can be told by a process's name.

    Asked of single records, before two sensors' records of one start are merged (2-semantics, 1). The names of all
    detections stand first: they are cheap, and reach the files.
    """
    selective = [d for d in detections if d.names is not None]
    if not selective:
        return None
    names = sorted(set().union(*[d.names or () for d in selective]))
    named = F.col("process_name").isin(names)
    if any(map(_asks_original, selective)):
        # No file can be told by a `lower`. These bounds can reach it, and spare the files whose sensor (Security 4688)
        # has no original file name, where they are sorted by process name: of 4 million rows 20,000 were read.
        reach = F.col("process_name").between(names[0], names[-1]) | F.col("original_file_name").isNotNull()
        named = reach & (named | F.lower("original_file_name").isin(names))
    row = Row()
    return named & _any(_start_wanted(d, row) for d in selective)


def _start_wanted(detection: Detection, row: Row) -> Column:
    """What one record lacks the other may tell, so an unknown field drops none. Merged records agree in process_name
    alone: one that is wanted for its original file name stays whatever it says, since the start may say otherwise."""
    by_name = F.col("process_name").isin(names := sorted(detection.names or ()))
    rest = F.lit(True)
    if detection.process is not None:
        rest = to_candidate_column(detection.process, row, frozenset({"process_name"}))
    if not _asks_original(detection):
        return by_name & rest
    return F.when(by_name, rest).otherwise(F.lower("original_file_name").isin(names))


def _asks_original(detection: Detection) -> bool:
    return detection.process is not None and "original_file_name" in fields_of(detection.process)


def connections_wanted(detections: Sequence[Detection]) -> Column:
    """Which connections any of the detections could want, by their network blocks."""
    row = Row()
    return _any(_network(d, row) for d in detections)


def stands_alone(detections: Sequence[Detection]) -> Column:
    """Which connections could match without an instance that `starts_wanted` keeps: their own record is enough, or the
    detection asks for no process by name (the wide ones: few connections then name few keys)."""
    row = Row()
    return _any(_network(d, row) & (_process(d, row) if d.names is not None else F.lit(True)) for d in detections)


def evaluate(pairs: DataFrame, detections: Sequence[Detection]) -> DataFrame:
    """The pairs that match, once for each detection they match.

    In: NETWORK_EVENTS, `attribution`, `instance` (as `attribute_connections` gives them). Out: the same columns and
    `detection`, a struct of id, name, version, fingerprint, risk_score, severity, mitre_attack. A process block sees
    the instance's fields, or the connection's own record where there is no instance (2-semantics, 3).
    """
    record, instance = Row(), Row("instance")
    holds = [F.when(_holds(d, record, instance), _told(d)) for d in detections]
    matches = F.filter(F.array(*holds), F.isnotnull)
    return pairs.select("*", F.explode(matches).alias("detection"))


def _holds(detection: Detection, record: Row, instance: Row) -> Column:
    if detection.process is None:
        return _network(detection, record)
    by_instance = _process(detection, instance)
    by_record = _process(detection, record) & (F.col("attribution") == "event")
    return _network(detection, record) & F.when(F.col("instance").isNotNull(), by_instance).otherwise(by_record)


def _network(detection: Detection, record: Row) -> Column:
    return F.lit(True) if detection.network is None else to_column(detection.network, record)


def _process(detection: Detection, row: Row) -> Column:
    return F.lit(True) if detection.process is None else to_column(detection.process, row)


def _told(detection: Detection) -> Column:
    return F.struct(
        F.lit(detection.id).alias("id"),
        F.lit(detection.name).alias("name"),
        F.lit(detection.version).alias("version"),
        F.lit(detection.fingerprint).alias("fingerprint"),
        F.lit(detection.risk.score).alias("risk_score"),
        F.lit(severity(detection.risk.score)).alias("severity"),
        F.array(*[F.lit(t) for t in detection.annotations.mitre_attack]).cast("array<string>").alias("mitre_attack"),
    )


def _any(conditions: Iterable[Column]) -> Column:
    return reduce(lambda a, b: a | b, conditions)
