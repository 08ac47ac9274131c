"""Which exclusions hold in a run, what a run is known by, and what an exclusion would hide that it must not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from pyspark.sql import SparkSession

from procnet.detections.cases import WINDOW, case_frames, judge
from procnet.detections.detection import Detection
from procnet.errors import ExclusionError
from procnet.findings.exclusion_file import load_exclusions
from procnet.findings.exclusions import Exclusion, mark
from procnet.runs.find import find
from procnet.settings import Settings


def known_exclusions(settings: Settings) -> tuple[Exclusion, ...]:
    """All of the folder. ExclusionError with every problem; none where there is no folder."""
    return load_exclusions(sorted(settings.exclusions_folder.glob("*.yml")))


def enabled_exclusions(settings: Settings) -> tuple[Exclusion, ...]:
    """Those that the settings enable, each by its id, or the path of its file."""
    wanted = settings.exclusions.enabled
    if not wanted:
        return ()
    files = [Path(w) for w in wanted if w.endswith((".yml", ".yaml"))]
    known = {e.id: e for e in known_exclusions(settings)}
    problems = []
    for name in (w for w in wanted if not w.endswith((".yml", ".yaml"))):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            there = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
            problems.append(f"no exclusion {name!r} in {settings.exclusions_folder}; {there}")
    if problems:
        raise ExclusionError("\n".join(problems), hint="procnet exclusions list shows ids")
    chosen = {w: known[w] for w in wanted if w in known} | {e.id: e for e in load_exclusions(files)}
    return tuple(chosen[i] for i in sorted(chosen))


def unknown_detections(exclusions: Sequence[Exclusion], detections: Sequence[Detection]) -> list[str]:
    """What exclusions name that is no detection: such a one would never hold."""
    known = {d.id for d in detections} | {d.name.lower() for d in detections}
    return [f"{e.path}: there is no detection {n!r}" for e in exclusions for n in sorted(e.scope - known)]


def ran_as(detections: Sequence[Detection], exclusions: Sequence[Exclusion], settings: Settings) -> dict[str, str]:
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
    found = find(processes, connections, detections, WINDOW, settings).findings
    if found is None:
        return []
    problems: set[str] = set()
    for exclusion in exclusions:
        marked = [r.asDict(recursive=True) for r in mark(found, [exclusion], at_any_time=True).collect()]
        live = [r for r in marked if r["excluded_by"] is None]
        if len(live) == len(marked):
            continue
        for before, after in zip(judge(marked, detections), judge(live, detections), strict=True):
            if before.problem is None and after.problem is not None:
                problems.add(f"{exclusion.path}: it hides the case {after.case.name!r} of {after.detection.name}")
    return sorted(problems)
