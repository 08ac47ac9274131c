"""The whole question on frames: canonical events and detections in, findings of a window out. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial, reduce

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from procnet.attribution.attribute import Plan, attribute
from procnet.attribution.keys import (
    KEY,
    connections_of_candidates,
    event_keys,
    events_with_keys,
    has_guid_only_key,
    with_process_ids,
)
from procnet.detections.detection import Detection
from procnet.detections.evaluate import (
    connections_wanted,
    judge,
    may_be_self_described,
    ports_wanted,
    self_described,
    start_questions,
)
from procnet.engine.prefilter import prefilter
from procnet.engine.query import Query
from procnet.findings.exclusions import Exclusion, apply_exclusions
from procnet.findings.rows import Says, to_findings
from procnet.periods import micros
from procnet.settings import Settings
from procnet.spark.collect import collect_at_most
from procnet.spark.concurrent import run_concurrently
from procnet.state.lookback import LookedUp


@dataclass(frozen=True)
class Evaluation:
    """Findings of a window, not yet computed; None where it is known already that there are none. `plan` says how, and
    `counts` how many rows the driver held to choose it; `looked_up` is what was not carried (runs/carry.py)."""

    findings: DataFrame | None
    plan: str
    counts: Mapping[str, int] = field(default_factory=dict)
    looked_up: LookedUp | None = None


def evaluate(asked: Query, exclusions: Sequence[Exclusion] = ()) -> Evaluation:
    """Findings of all detections in a window, in one pass whatever their lookbacks.

    Out: `contract.FINDINGS`, those that an exclusion holds for marked.
    The lookback is a detection's own: how old a process may be when it connects. So it is measured from the connection,
    and neither the window nor the other detections that happen to run can change a finding.
    """
    few = _few(asked, _candidates(asked, asked.around))
    counts = {} if few is None else {"candidates": few.num_rows}
    fits = few is not None
    if few is not None:
        costly = _costly_to_read(asked.settings)
        some = None if costly else prefilter(_met(asked, few), asked)
        # Few keys may have very many events: 500,000 starts of one, each connection's array, took a heap of 2 GiB.
        fits = costly or some is not None
        if some is not None:
            counts |= some.counts
            told = ", ".join(f"{n} {what.replace('_', ' ')}" for what, n in counts.items())
            if some.rest is None:
                return Evaluation(None, f"nothing to judge: {told}", counts, some.looked_up)
            found = _judge(asked, some.rest.processes, some.rest.connections, some.rest.reach, "broadcast")
            plan = f"broadcast, at most {asked.limit} rows held: {told}"
            return Evaluation(apply_exclusions(found, exclusions), plan, counts, some.looked_up)
    # Without what is carried: it is told of what is held by the driver alone whether more must be looked up.
    candidates = reduce(DataFrame.union, _candidates(asked, asked.whole))
    if few is not None and asked.carried is None:
        candidates = asked.spark.createDataFrame(few, candidates.schema)
    return _whole(asked, candidates, exclusions, counts, fits=fits)


def _whole(
    asked: Query, candidates: DataFrame, exclusions: Sequence[Exclusion], counts: Mapping[str, int], *, fits: bool
) -> Evaluation:
    """The same, read whole at once: what is too much for the driver, or costs the record with every column."""
    wanted = asked.connections.where(connections_wanted(asked.detections))
    keys = _with_alone(asked, candidates, wanted)
    few = collect_at_most(keys, asked.limit) if fits else None
    reach = asked.longest
    if few is not None:
        if not few.num_rows:
            return Evaluation(None, "nothing to judge: no candidate process, no connection that stands alone", counts)
        reach = timedelta(microseconds=max(few.column("mark").to_pylist()))
        keys = asked.spark.createDataFrame(few, keys.schema)
    plan: Plan = "shuffled" if few is None else "broadcast"
    limit = asked.limit
    how = f"shuffled: more than {limit} rows" if few is None else f"broadcast: {few.num_rows} keys of at most {limit}"
    keys = keys.drop("mark")
    if has_guid_only_key(keys if few is None else few):
        keys = with_process_ids(keys, asked.whole(reach), asked.hosts)
    lives = events_with_keys(asked.whole(reach), keys, asked.hosts, small=few is not None)
    return Evaluation(apply_exclusions(_judge(asked, lives, wanted, reach, plan), exclusions), how, counts)


def _judge(asked: Query, processes: DataFrame, connections: DataFrame, reach: timedelta, plan: Plan) -> DataFrame:
    """Findings of the pairs. Who looks back further than `reach` has no candidate, since nobody asked from there."""
    judged = [d for d in asked.detections if d.lookback <= reach]
    pairs = attribute(
        processes,
        connections,
        max_ages=sorted({d.lookback for d in judged}),
        tolerances=asked.tolerances,
        host_match=asked.hosts,
        plan=plan,
    )
    return to_findings(judge(pairs, judged), {d.id: _says(d) for d in judged})


def _costly_to_read(settings: Settings) -> bool:
    """Whether to read one column is to read the record: a text that a mapping takes apart, anew in each scan."""
    return any(s.column is not None for s in settings.sources.values())


def _says(detection: Detection) -> Says:
    risk = detection.risk
    risk_objects, threat_objects = (
        tuple((o.field, o.type) for o in objects) for objects in (risk.objects, risk.threat_objects)
    )
    return Says(risk.message, risk_objects, threat_objects)


def _few(asked: Query, candidates: Sequence[DataFrame]) -> pa.Table | None:
    """All candidates, held by the driver; None where they are more than may be held."""
    found = run_concurrently(asked.spark, *(partial(collect_at_most, some, asked.limit) for some in candidates))
    held = [some for some in found if some is not None]
    fits = len(held) == len(found) and sum(some.num_rows for some in held) <= asked.limit
    return pa.concat_tables(held) if fits else None


def _candidates(asked: Query, around: Callable[[timedelta], DataFrame]) -> list[DataFrame]:
    """Keys and names of the starts that are wanted, with `mark`: the longest lookback that asks for them, in
    microseconds. `around` gives the process events from an age before the window on.

    Starts are asked for as far back as those who want them look, and no further: seven days of the names of all cost
    more than seven of one name and a day of the others.
    """
    keys = []
    for age, group in asked.by_lookback().items():
        starts, questions = around(age).where("event_kind = 'start'"), start_questions(group)
        if asked.carried is not None:  # of an hour each scan costs more by being planned than by being read
            questions = [" OR ".join(f"({q})" for q in questions)] if questions else []
        for question in questions:
            keys.append(event_keys(starts.where(question), asked.hosts, "process_name", f"{micros(age)}L AS mark"))
    if not keys:
        keys.append(event_keys(around(timedelta(0)).limit(0), asked.hosts, "process_name", "0L AS mark"))
    return keys


def _met(asked: Query, candidates: pa.Table) -> DataFrame:
    """Connections that are wanted and could be a candidate's, or stand alone, with the greatest `mark` that asks."""
    detections, inside = asked.detections, asked.connections
    asking, alone = inside.where(ports_wanted(detections)), may_be_self_described(detections)
    met = connections_of_candidates(asking, candidates, asked.hosts, alone=alone)
    # In lambdas the questions are interpreted, of the few rows that come so far. Compiled they would make the loop over
    # all connections longer than the 8,000 bytes up to which the JVM compiles a method at all.
    asks = f"CASE WHEN {connections_wanted(detections)} THEN greatest(by, {_alone(asked)}) END"
    marks = f"explode(filter(transform(array(asked_by), by -> {asks}), m -> m IS NOT NULL)) AS mark"
    return met.selectExpr(*inside.columns, marks)


def _with_alone(asked: Query, candidates: DataFrame, wanted: DataFrame) -> DataFrame:
    """The keys of `candidates` and those of the connections that stand alone."""
    alone = wanted.withColumn("mark", F.expr(_alone(asked))).where("mark IS NOT NULL")
    keys = candidates.drop("process_name").union(event_keys(alone, asked.hosts, "mark"))
    return keys.groupBy(*KEY).agg(F.max("mark").alias("mark"))


def _alone(asked: Query) -> str:
    """The longest lookback, in microseconds, of those for which a connection stands alone."""
    groups = asked.by_lookback()
    whens = [f"WHEN {self_described(groups[age])} THEN {micros(age)}L" for age in sorted(groups, reverse=True)]
    return f"CASE {' '.join(whens)} END"
