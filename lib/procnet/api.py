"""The runs as functions of a session and settings, for notebooks and jobs: `import procnet` has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pyspark.sql import SparkSession

from procnet.detections import catalog
from procnet.detections.detection import Detection
from procnet.errors import DetectionError
from procnet.findings.exclusions import Exclusion
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs import backfill as backfill_run
from procnet.runs import detect as detect_run
from procnet.runs import ingest as ingest_run
from procnet.runs.backfill import BackfillReport
from procnet.runs.detect import WindowReport
from procnet.runs.ingest_report import IngestReport
from procnet.runs.selection import Selection, enabled_exclusions, select_detections
from procnet.runs.windows import WindowProgress
from procnet.settings import Settings, load_settings

if TYPE_CHECKING:
    from typing_extensions import Unpack  # typing has it from Python 3.11 on


def load_detections(place: Path | str | Iterable[Path] | None = None) -> tuple[Detection, ...]:
    """The detections of a folder or of single files, sorted by id; without a place the enabled ones.

    Args:
        place: A folder (its *.yml), or paths of files. None means the enabled detections of `load_settings()`, as the
            command line runs them.

    Raises:
        DetectionError: With every problem of every file, including ids and names that are used twice.
    """
    if place is not None:
        return catalog.load_detections(place)
    enabled = select_detections(load_settings(), ())
    if enabled.broken:
        raise DetectionError(enabled.broken, hint="procnet detections lint shows all of them again")
    return enabled.detections


class IngestOptions(TypedDict, total=False):
    """Options of `ingest`."""

    host: str | None
    again: bool
    now: datetime


class RunOptions(TypedDict, total=False):
    """Options of `detect` that schedulers need and notebooks rarely do."""

    broken: Sequence[str]
    kind: str


class BackfillOptions(TypedDict, total=False):
    """Options of `backfill`."""

    broken: Sequence[str]
    windows: Sequence[Window] | None
    chunk: timedelta
    parallel: int
    progress: WindowProgress


def ingest(
    spark: SparkSession,
    settings: Settings,
    source: str | Path,
    paths: Sequence[str | Path],
    **options: Unpack[IngestOptions],
) -> IngestReport:
    """Reads raw files or tables and appends the new rows to the tables of events and to quarantine.

    Args:
        spark: A session with Delta, such as that of `open_session`.
        settings: They name the lake; tables that are missing are created.
        source: Name of a source (`procnet sources list`), or the path of a mapping file.
        paths: Files, globs or folders, or the names of tables for a source of tables.
        host: Host of records that name none.
        again: Read files too that an earlier ingest has read as they are now. No row is added twice.
        now: The rows' `ingest_time`, with a time zone; by default the present time.

    Returns:
        Counts of records: events by kind, new rows by table, duplicates, skipped and quarantined records.

    Raises:
        SourceError: The source is unknown or its mapping file is wrong.
        DataError: A path does not exist, or a table cannot be read.
        ConfigError: The settings name no lake, or commits to it could be lost.
    """
    now = options.get("now") or datetime.now(timezone.utc)
    return ingest_run.ingest(Lake(spark, settings), source, paths, now=now, **_without(options, "now"))


def detect(
    spark: SparkSession,
    settings: Settings,
    window: Window,
    detections: Sequence[Detection] | None = None,
    *,
    exclusions: Sequence[Exclusion] | None = None,
    **options: Unpack[RunOptions],
) -> WindowReport:
    """Evaluates one window and replaces its findings in the lake; then appends the run to the ledger.

    Args:
        spark: A session with Delta, such as that of `open_session`.
        settings: They name the lake and set tolerances, lateness and budgets.
        window: Connections with `start <= event_time < end` are evaluated; UTC.
        detections: As returned by `load_detections`. None means the enabled ones of the settings.
        exclusions: They set `excluded_by` of findings. None means the enabled exclusions of the settings.
        broken: Problems of detections that could not be loaded, for the ledger.
        kind: Kind of the ledger's row: `detect` (default), `backfill` or `catch_up`. Only `detect` uses the state of
            the window before and leaves its own.

    Returns:
        The ledger's row of the window: status, plan, counts, seconds by stage.

    Raises:
        UsageError: No detection is given or enabled, or retention has deleted events that the window needs.
        DataError: A table or column is missing.
        ConfigError: The settings name no lake, or commits to it could be lost.
        ExclusionError: `exclusions` is None, and an enabled exclusion cannot be used.
        WindowFailed: The window could not be evaluated or written. Its findings are as before; repeating it is safe.
    """
    lake, selection = (
        Lake(spark, settings),
        _selection(spark, settings, detections, exclusions, options.get("broken", ())),
    )
    return detect_run.detect(lake, selection, window, **_without(options, "broken"))


def backfill(
    spark: SparkSession,
    settings: Settings,
    period: Window,
    detections: Sequence[Detection] | None = None,
    *,
    exclusions: Sequence[Exclusion] | None = None,
    **options: Unpack[BackfillOptions],
) -> BackfillReport:
    """Evaluates a period in disjoint chunks, and skips those that an earlier run has done over the same data.

    Args:
        spark: A session with Delta, such as that of `open_session`.
        settings: As for `detect`.
        period: The time to evaluate, UTC.
        detections: As returned by `load_detections`. None means the enabled ones of the settings.
        exclusions: As for `detect`.
        broken: As for `detect`.
        windows: The parts of the period to evaluate; None means all of it.
        chunk: Length of a chunk, by default a day; chunks begin at multiples of it since 1970-01-01.
        parallel: Chunks that run at the same time, by default 1, in threads of the session.
        progress: Called once a chunk with: chunks done, chunks in all, the chunk, its WindowReport or WindowFailed, or
            None where it was skipped.

    Returns:
        The reports of the chunks that ran, and the chunks that were skipped.

    Raises:
        UsageError: As for `detect`; also for `parallel` below 1.
        DataError, ConfigError, ExclusionError: As for `detect`.
        PartlyDone: Chunks failed. The others are done; the same call goes on with what is left.
    """
    lake = Lake(spark, settings)
    selection = _selection(spark, settings, detections, exclusions, options.get("broken", ()))
    windows = options.get("windows")
    periods = [period] if windows is None else windows
    return backfill_run.backfill(lake, selection, *periods, **_without(options, "broken", "windows"))


def _selection(
    spark: SparkSession,
    settings: Settings,
    detections: Sequence[Detection] | None,
    exclusions: Sequence[Exclusion] | None,
    broken: Sequence[str],
) -> Selection:
    if detections is None:
        enabled = select_detections(settings, ())
        detections, broken = enabled.detections, (*broken, *enabled.broken)
    chosen = enabled_exclusions(settings, spark) if exclusions is None else exclusions
    return Selection(tuple(detections), tuple(chosen), tuple(broken))


def _without(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The options that the run itself takes; it refuses an unknown one with TypeError."""
    return {name: value for name, value in options.items() if name not in names}
