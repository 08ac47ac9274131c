"""Backfill: chunks that are done are skipped, some may run at once, and one that fails stops no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from installer_lake import DAY, HOUR, NOON, SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.detections.catalog import load_detections
from procnet.engine.events import versions_of
from procnet.errors import PartlyDone, UsageError, WindowFailed
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs import windows as run_windows
from procnet.runs.backfill import backfill
from procnet.runs.detect import WindowReport, detect
from procnet.runs.recorder import RunRecorder
from procnet.runs.resume import done_windows
from procnet.runs.selection import Selection, run_fingerprints
from procnet.runs.windows import Outcome
from procnet.settings import Settings, default_conf_dir

pytestmark = pytest.mark.spark
SIX = hours_window(0, 6)
FINGERPRINTS = run_fingerprints(SELECTION, Settings())


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    lake = new_lake(spark, tmp_path / "lake")
    append_events(lake, "process_events", (0, {}))
    append_events(lake, "network_events", *((60 * h + 5, {}) for h in range(6)))
    return lake


def run_backfill(lake: Lake, period: Window = SIX, **options: Any) -> list[int]:
    """Runs a backfill in chunks of three hours; returns the hours after noon at which its chunks began."""
    done = backfill(lake, SELECTION, period, chunk=3 * HOUR, **options)
    return [(r.window.start - NOON) // HOUR for r in done.reports]


@pytest.mark.long
def test_a_window_is_done_until_a_date_that_it_reads_changes(spark: SparkSession, lake: Lake) -> None:
    """The ledger's rows are appended here, as runs append them."""
    first, second = hours_window(0, 3), hours_window(3, 6)

    def record_run(window: Window, status: str = "succeeded") -> None:
        versions = {t: v for t, v in versions_of(lake).items() if v is not None}
        recorder = RunRecorder(lake, "backfill", window=window, detections=FINGERPRINTS)
        recorder.attempt().succeeded(status, table_versions=versions)

    def done() -> list[Window]:
        return sorted(done_windows(lake, SELECTION, [first, second]), key=lambda w: w.start)

    assert done() == []
    record_run(first)
    record_run(second, status="failed")
    assert done() == [first]
    record_run(second)
    assert done() == [first, second]
    assert done_windows(lake, SELECTION, [hours_window(0, 6)]) == {hours_window(0, 6)}, "two runs have done it"
    assert done_windows(lake, SELECTION, [hours_window(0, 7)]) == set(), "an hour of it never ran"
    another = next(d for d in load_detections(default_conf_dir() / "detections") if d.id not in FINGERPRINTS)
    assert done_windows(lake, SELECTION.replacing([another]), [first]) == set(), "not of all detections"
    month = 30 * 24 * 60
    append_events(lake, "network_events", (month, {}))  # the lake grows: no row of the past changes
    append_events(lake, "process_events", (month, {}), (-month, {}))  # before every lookback
    assert done() == [first, second]
    append_events(lake, "process_events", (-24 * 60, {"host": "b"}))
    assert done() == []
    record_run(second)
    assert done() == [second], "the first was run over other rows"
    append_events(lake, "network_events", (7, {}))
    assert done() == [], "dates are compared, not times"
    record_run(first)
    record_run(second)
    lake.set_properties("network_events", {"delta.enableChangeDataFeed": "false"})
    assert done() == [], "without a feed it is unknown"
    record_run(first)
    assert done() == [first]


@pytest.mark.long
def test_parallel_chunks_leave_the_findings_of_one_window(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    calls: list[tuple[int, int, bool]] = []

    def progress(done: int, total: int, window: Window, outcome: Outcome) -> None:
        calls.append((done, total, isinstance(outcome, WindowReport)))

    assert run_backfill(lake, parallel=2, progress=progress) == [0, 3], "reports are in order of time"
    assert calls == [(1, 2, True), (2, 2, True)]
    in_parallel = all_findings(lake)
    assert len(in_parallel) == 12
    assert run_backfill(lake, parallel=2, progress=progress) == []
    assert calls[2:] == [(1, 2, False), (2, 2, False)]
    detect(lake, SELECTION, SIX)
    assert all_findings(lake) == in_parallel
    with pytest.raises(UsageError, match="0 chunks at once are none"):
        run_backfill(lake, parallel=0)


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_chunk_that_fails_stops_no_other(lake: Lake, monkeypatch: pytest.MonkeyPatch, parallel: int) -> None:
    def fail_at_noon(lake: Lake, selection: Selection, window: Window, *, kind: str) -> WindowReport:
        if window.start == NOON:
            raise WindowFailed("no space left")
        return WindowReport("id", window, "succeeded", "none", "", {}, {"findings": 0}, {})

    monkeypatch.setattr(run_windows, "detect", fail_at_noon)
    outcomes: list[str] = []
    with pytest.raises(PartlyDone, match=r"1 of 2 chunks failed.*no space left") as failed:
        run_backfill(lake, parallel=parallel, progress=lambda *args: outcomes.append(type(args[3]).__name__))
    assert "--chunk 3h goes on" in str(failed.value.hint)
    assert sorted(outcomes) == ["WindowFailed", "WindowReport"]


@pytest.mark.parametrize("parallel", [1, 2])
def test_an_error_that_is_not_a_windows_ends_the_backfill(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, parallel: int
) -> None:
    calls: list[int] = []

    def fail(*args: Any, **options: Any) -> WindowReport:
        calls.append(1)
        raise UsageError("no such thing")

    monkeypatch.setattr(run_windows, "detect", fail)
    with pytest.raises(UsageError, match="no such thing"):
        run_backfill(lake, Window(NOON, NOON + 9 * DAY), parallel=parallel)
    assert len(calls) <= 3 * parallel, "what had not started was cancelled"
