"""What a run is to evaluate: detections and exclusions that can be used, and what is enabled and cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyspark.sql import SparkSession

from procnet.config_file import Unusable
from procnet.detections.catalog import load_detections, read_catalogue, select
from procnet.detections.detection import Detection
from procnet.errors import DetectionError
from procnet.findings.exclusions import Exclusion
from procnet.runs.exclusions import usable_exclusions
from procnet.settings import Settings


@dataclass(frozen=True)
class Selection:
    """What can run, and in `broken` what is wrong with all that was to run too: ledger and exit code tell of it."""

    detections: tuple[Detection, ...]
    exclusions: tuple[Exclusion, ...] = ()
    broken: tuple[str, ...] = ()


def select_detections(settings: Settings, named: Sequence[str]) -> Selection:
    """The detections that are named, or those that are enabled, without exclusions yet.

    What is named must be right: DetectionError where it is not, or is not known. Of what is enabled one broken file
    stops no other; DetectionError where an enabled name is no detection's, as a typing error is, or where none can run.
    """
    usable, unusable = read_catalogue(settings.detections_folder)
    wanted = list(named or settings.detections.enabled)
    broken = [] if named else _broken(wanted, usable, unusable)
    there = [w for w in wanted if w not in {name for name, _ in broken}]
    detections = select(usable, there, unusable)
    problems = tuple(dict.fromkeys(p for _, told in broken for p in told))
    if problems and not detections:
        raise DetectionError(problems, hint="procnet detections lint shows all of them again")
    return Selection(detections, broken=problems)


def with_exclusions(chosen: Selection, settings: Settings, spark: SparkSession | None) -> Selection:
    """The same with the exclusions that hold; those of `exclusions.table` where a session is given."""
    exclusions, broken = usable_exclusions(settings, spark)
    return replace(chosen, exclusions=exclusions, broken=(*chosen.broken, *broken))


def _broken(
    wanted: Sequence[str], usable: Sequence[Detection], unusable: Sequence[Unusable]
) -> list[tuple[str, tuple[str, ...]]]:
    """Each wanted one that cannot be loaded, with what is wrong with it."""
    found = []
    for want in wanted:
        if want.endswith((".yml", ".yaml")):
            try:
                load_detections([Path(want)])
            except DetectionError as e:
                found.append((want, e.problems))
            continue
        is_there = any(want.lower() in (d.id, d.name.lower(), d.path.stem) or d.id.startswith(want) for d in usable)
        # A file that cannot be read at all does not say which detection it was.
        of_it = [u for u in unusable if want.lower() in u.names] or [u for u in unusable if len(u.names) == 1]
        if not is_there and of_it:
            found.append((want, tuple(p for u in of_it for p in u.problems)))
    return found
