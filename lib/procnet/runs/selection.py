"""Selects the detections and exclusions of a run, and fingerprints them for the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path

from pyspark.sql import SparkSession

from procnet.config_file import UnusableFile, shortened
from procnet.detections.catalog import ALL, is_named, load_detections, named_by, read_catalogue, select
from procnet.detections.detection import Detection
from procnet.errors import DetectionError, ExclusionError
from procnet.findings.exclusion_schema import load_exclusions, read_exclusions
from procnet.findings.exclusions import Exclusion
from procnet.runs.exclusions_table import read_exclusions_table
from procnet.settings import AttributionSettings, Settings


@dataclass(frozen=True)
class Selection:
    """What a run evaluates. `broken` has the problems of enabled detections and exclusions that could not be loaded:
    the ledger records them, and the exit code is that of a partly done run."""

    detections: tuple[Detection, ...]
    exclusions: tuple[Exclusion, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def longest_lookback(self) -> timedelta:
        """The longest lookback of the detections; zero without detections."""
        return max((d.lookback for d in self.detections), default=timedelta(0))

    def replacing(self, detections: Sequence[Detection] = (), exclusions: Sequence[Exclusion] = ()) -> Selection:
        """A selection with these detections and exclusions in place of those of the same id, or added; sorted by id."""
        new_detections = {d.id: d for d in self.detections} | {d.id: d for d in detections}
        new_exclusions = {e.id: e for e in self.exclusions} | {e.id: e for e in exclusions}
        return replace(
            self,
            detections=tuple(new_detections[i] for i in sorted(new_detections)),
            exclusions=tuple(new_exclusions[i] for i in sorted(new_exclusions)),
        )


def select_detections(settings: Settings, names: Sequence[str]) -> Selection:
    """Returns the named detections, or the enabled ones where no name is given; exclusions are not loaded yet.

    Raises DetectionError where a named detection is unknown or broken. An enabled detection that is broken becomes a
    problem in `broken`, and the others run. DetectionError also where an enabled name matches no detection (a typing
    error), and where no enabled detection can run. `all` as a name means every detection of the folder, as if all were
    enabled.
    """
    usable, unusable = read_catalogue(settings.detections_folder)
    wanted = list(names or settings.detections.enabled)
    tolerated = [n for n in wanted if not names or n.lower() == ALL]
    broken = _broken_detections(tolerated, usable, unusable)
    runnable = [n for n in wanted if n not in broken or n.lower() == ALL or named_by(usable, n, unusable)]
    detections = select(usable, runnable, unusable)
    problems = tuple(dict.fromkeys(p for of_name in broken.values() for p in of_name))
    if problems and not detections:
        raise DetectionError(problems, hint="procnet detections lint shows all of them again")
    return Selection(detections, broken=problems)


def _broken_detections(
    names: Sequence[str], usable: Sequence[Detection], unusable: Sequence[UnusableFile]
) -> dict[str, tuple[str, ...]]:
    """Returns the problems of each name whose detection cannot be loaded."""
    broken: dict[str, tuple[str, ...]] = {}
    for name in names:
        if name.lower() == ALL:
            broken[name] = tuple(p for u in unusable for p in u.problems)
            continue
        if name.endswith((".yml", ".yaml")):
            try:
                load_detections([Path(name)])
            except DetectionError as e:
                broken[name] = e.problems
            continue
        is_usable = any(is_named(d, name) for d in usable)
        # A file that is no YAML has no id or name to match: it may be the missing detection.
        candidates = [u for u in unusable if name.lower() in u.names] or [u for u in unusable if len(u.names) == 1]
        if not is_usable and candidates:
            broken[name] = tuple(p for u in candidates for p in u.problems)
    return broken


def not_selected(selection: Selection, settings: Settings) -> int:
    """Returns the number of usable detections of the folder that the selection lacks."""
    usable, _ = read_catalogue(settings.detections_folder)
    return len({d.id for d in usable} - {d.id for d in selection.detections})


def with_exclusions(selection: Selection, settings: Settings, spark: SparkSession | None) -> Selection:
    """Returns the selection with the usable enabled exclusions; see `usable_exclusions`."""
    exclusions, broken = usable_exclusions(settings, spark)
    return replace(selection, exclusions=exclusions, broken=(*selection.broken, *broken))


def known_exclusions(settings: Settings) -> tuple[Exclusion, ...]:
    """Returns all exclusions of the exclusions folder. Raises ExclusionError with every problem."""
    return load_exclusions(sorted(settings.exclusions_folder.glob("*.yml")))


def enabled_exclusions(settings: Settings, spark: SparkSession | None = None) -> tuple[Exclusion, ...]:
    """Returns the enabled exclusions; see `usable_exclusions`. Raises ExclusionError where one cannot be used."""
    exclusions, problems = usable_exclusions(settings, spark)
    if problems:
        raise ExclusionError("\n".join(problems), hint="procnet exclusions list shows ids")
    return exclusions


def usable_exclusions(
    settings: Settings, spark: SparkSession | None = None
) -> tuple[tuple[Exclusion, ...], tuple[str, ...]]:
    """Returns the enabled exclusions, sorted by id, and the problems of those that cannot be used.

    Enabled are `exclusions.enabled` of the settings (an id of the exclusions folder, or the path of a file) and, where
    a session is given, every row of `exclusions.table`. An exclusion that cannot be used excludes nothing: its findings
    stay live. Raises DataError where the table cannot be read.
    """
    names = settings.exclusions.enabled
    files = [Path(n) for n in names if n.endswith((".yml", ".yaml"))]
    in_folder, unusable = read_exclusions([(str(f), f) for f in sorted(settings.exclusions_folder.glob("*.yml"))])
    by_id = {e.id: e for e in in_folder}
    problems: list[str] = []
    for name in (n for n in names if not n.endswith((".yml", ".yaml")) and n not in by_id):
        of_name = [p for u in unusable if name.lower() in u.names for p in u.problems]
        problems += of_name or [_unknown_exclusion(name, settings.exclusions_folder, list(by_id))]
    table = settings.exclusions.table
    rows = [] if table is None or spark is None else read_exclusions_table(spark, table)
    named, unusable = read_exclusions([*((str(f), f) for f in files), *rows])
    problems += [p for u in unusable for p in u.problems]
    enabled = {n: by_id[n] for n in names if n in by_id} | {e.id: e for e in named}
    return tuple(enabled[i] for i in sorted(enabled)), tuple(problems)


def _unknown_exclusion(name: str, folder: Path, ids: Sequence[str]) -> str:
    similar = get_close_matches(name, ids, n=1)
    suggestion = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(ids) or 'none'}"
    return f"no exclusion {shortened(name)} in {folder}; {suggestion}"


def unknown_detections(exclusions: Sequence[Exclusion], detections: Sequence[Detection]) -> list[str]:
    """Returns a problem for each detection name in an exclusion's scope that no detection has: it would never apply."""
    known = {d.id for d in detections} | {d.name.lower() for d in detections}
    return [f"{e.place}: there is no detection {n!r}" for e in exclusions for n in sorted(e.scope - known)]


def run_fingerprints(selection: Selection, settings: Settings) -> dict[str, str]:
    """Returns detection id -> the fingerprint by which the ledger compares runs: that of the detection's predicate, and
    a digest of everything else that shapes its findings.

    A new score, message, exclusion or tolerance makes another fingerprint, so that its periods are evaluated again; a
    new `reason` in an exclusion file does not.
    """
    attribution = settings.attribution.tolerances
    tolerances = [str(v) for v in (attribution.clock_skew, attribution.end_grace, attribution.start_tolerance)]
    # The defaults are left out: the runs of an older procnet, which knew neither, still count.
    default, joined = AttributionSettings(), list[str]()
    for name in ("name_age", "flow_skew"):
        if (value := getattr(settings.attribution, name)) != getattr(default, name):
            joined.append(f"{name} {value}")
    how = [*tolerances, *joined, settings.host.match.value]
    return {d.id: f"{d.fingerprint} {_digest(d, selection.exclusions, how)}" for d in selection.detections}


def _digest(detection: Detection, exclusions: Sequence[Exclusion], how: Sequence[str]) -> str:
    parts: Mapping[str, object] = {
        "how": how,
        "name": detection.name,
        "version": detection.version,
        "risk": detection.risk.model_dump(mode="json"),
        "mitre_attack": detection.annotations.mitre_attack,
        "exclusions": sorted(e.fingerprint for e in exclusions if e.covers(detection.id, detection.name)),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
