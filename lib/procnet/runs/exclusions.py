"""Which exclusions hold in a run, what a run is known by, and what an exclusion would hide that it must not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from procnet.detections.cases import WINDOW, case_frames, check_cases
from procnet.detections.detection import Detection
from procnet.engine.evaluate import evaluate
from procnet.engine.query import Query
from procnet.errors import DataError, ExclusionError
from procnet.findings.exclusion_schema import load_exclusions, read_exclusions
from procnet.findings.exclusions import Exclusion, apply_exclusions
from procnet.readers.frames import read_table
from procnet.settings import Settings

_TABLE_COLUMNS = ("id", "detections", "reason", "owner", "valid_from", "valid_until", "findings")


def known_exclusions(settings: Settings) -> tuple[Exclusion, ...]:
    """All of the folder. ExclusionError with every problem; none where there is no folder."""
    return load_exclusions(sorted(settings.exclusions_folder.glob("*.yml")))


def enabled_exclusions(settings: Settings, spark: SparkSession | None = None) -> tuple[Exclusion, ...]:
    """All that hold: see `usable_exclusions`. ExclusionError where one of them cannot be used."""
    found, broken = usable_exclusions(settings, spark)
    if broken:
        raise ExclusionError("\n".join(broken), hint="procnet exclusions list shows ids")
    return found


def usable_exclusions(
    settings: Settings, spark: SparkSession | None = None
) -> tuple[tuple[Exclusion, ...], tuple[str, ...]]:
    """Those that the settings enable, each by its id or the path of its file, and all of `exclusions.table`; and what
    is wrong with those that cannot be used. What they would hide is then seen: nobody misses a finding by it.

    The table is asked where a session is given. DataError where it cannot be read.
    """
    wanted = settings.exclusions.enabled
    files = [Path(w) for w in wanted if w.endswith((".yml", ".yaml"))]
    known, unusable = read_exclusions([(str(f), f) for f in sorted(settings.exclusions_folder.glob("*.yml"))])
    ids = {e.id: e for e in known}
    problems: list[str] = []
    for name in (w for w in wanted if not w.endswith((".yml", ".yaml")) and w not in ids):
        broken = [p for u in unusable if name.lower() in u.names for p in u.problems]
        near = get_close_matches(name, ids, n=1)
        there = f"did you mean {near[0]}?" if near else f"there are {', '.join(ids) or 'none'}"
        problems += broken or [f"no exclusion {name!r} in {settings.exclusions_folder}; {there}"]
    table = [] if settings.exclusions.table is None or spark is None else _rows(spark, settings.exclusions.table)
    of_files, more = read_exclusions([*((str(f), f) for f in files), *table])
    problems += [p for u in more for p in u.problems]
    chosen = {w: ids[w] for w in wanted if w in ids} | {e.id: e for e in of_files}
    return tuple(chosen[i] for i in sorted(chosen)), tuple(problems)


def _rows(spark: SparkSession, table: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Each row of the table as an entry: `id`, `detections` (array; null means all), `reason`, `owner`, `valid_from`,
    `valid_until`, and `findings`, the predicate as YAML text. Times are UTC."""
    read = read_table(spark, table).drop("file")
    if missing := [c for c in _TABLE_COLUMNS if c not in read.columns]:
        raise DataError(
            f"exclusions.table {table} lacks {', '.join(missing)}; it has {', '.join(read.columns)}",
            hint="docs/exclusions.md has its CREATE TABLE",
        )
    entries: list[tuple[str, Mapping[str, Any]]] = []
    for row in read.select(*_TABLE_COLUMNS).toArrow().to_pylist():
        times = {c: row[c].isoformat() for c in ("valid_from", "valid_until") if row[c] is not None}
        scope = {"detections": tuple(row["detections"] or ()) or "all"}
        entries.append((f"{table}: {row['id']}", {**row, **times, **scope}))
    return entries


def unknown_detections(exclusions: Sequence[Exclusion], detections: Sequence[Detection]) -> list[str]:
    """What exclusions name that is no detection: such a one would never hold."""
    known = {d.id for d in detections} | {d.name.lower() for d in detections}
    return [f"{e.place}: there is no detection {n!r}" for e in exclusions for n in sorted(e.scope - known)]


def run_fingerprints(
    detections: Sequence[Detection], exclusions: Sequence[Exclusion], settings: Settings
) -> dict[str, str]:
    """Detection id -> what the ledger knows it by: its fingerprint, and a mark of all else that makes its findings.

    So a new score, message, exclusion or tolerance has a period evaluated again, and a new reason in a file has not.
    """
    attribution = settings.attribution.tolerances
    how = [str(v) for v in (attribution.clock_skew, attribution.end_grace, attribution.start_tolerance)]
    return {d.id: f"{d.fingerprint} {_mark(d, exclusions, [*how, settings.host.match.value])}" for d in detections}


def _mark(detection: Detection, exclusions: Sequence[Exclusion], how: Sequence[str]) -> str:
    shown: Mapping[str, object] = {
        "how": how,
        "name": detection.name,
        "version": detection.version,
        "risk": detection.risk.model_dump(mode="json"),
        "mitre_attack": detection.annotations.mitre_attack,
        "exclusions": sorted(e.fingerprint for e in exclusions if e.covers(detection.id, detection.name)),
    }
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


def hidden_cases(
    spark: SparkSession, exclusions: Sequence[Exclusion], detections: Sequence[Detection], settings: Settings
) -> list[str]:
    """Positive cases of detections that an exclusion would hide, whatever its dates: what tuning may not lose."""
    detections = [d for d in detections if any(e.covers(d.id, d.name) for e in exclusions)]
    if not detections:
        return []
    processes, connections = case_frames(spark, detections)
    found = evaluate(Query(processes, connections, detections, WINDOW, settings)).findings
    if found is None:
        return []
    problems: set[str] = set()
    for exclusion in exclusions:
        marked = [r.asDict(recursive=True) for r in apply_exclusions(found, [exclusion], at_any_time=True).collect()]
        live = [r for r in marked if r["excluded_by"] is None]
        if len(live) == len(marked):
            continue
        for before, after in zip(check_cases(marked, detections), check_cases(live, detections), strict=True):
            if before.problem is None and after.problem is not None:
                problems.add(f"{exclusion.place}: it hides the case {after.case.name!r} of {after.detection.name}")
    return sorted(problems)
