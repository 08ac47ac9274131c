"""A long period: what is done stays done while other days change, chunks may run at once, and one may fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from installer_lake import CHOSEN, DAY, HOUR, NOON, findings, hours, new_lake, put
from procnet.engine.events import versions_of
from procnet.errors import PartlyDone, UsageError, WindowFailed
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs import windows as each
from procnet.runs.backfill import backfill
from procnet.runs.detect import WindowReport, detect
from procnet.runs.exclusions import run_fingerprints
from procnet.runs.recorder import Clock, record
from procnet.runs.resume import done_windows
from procnet.runs.windows import Outcome
from procnet.settings import Settings

pytestmark = pytest.mark.spark
SIX = hours(0, 6)
TOLD = run_fingerprints(CHOSEN.detections, CHOSEN.exclusions, Settings())
LOOKBACK = max(d.lookback for d in CHOSEN.detections)


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    lake = new_lake(spark, tmp_path / "lake")
    put(lake, "process_events", (0, {}))
    put(lake, "network_events", *((60 * h + 5, {}) for h in range(6)))
    return lake


def run(lake: Lake, period: Window = SIX, **said: Any) -> list[int]:
    """The hours after noon that were run."""
    done = backfill(lake.spark, lake.settings, period, CHOSEN.detections, chunk=3 * HOUR, **said)
    return [(r.window.start - NOON) // HOUR for r in done.reports]


@pytest.mark.long
def test_a_window_is_done_until_a_date_that_it_reads_changes(spark: SparkSession, lake: Lake) -> None:
    """By ledger rows alone, as runs leave them."""
    first, second = hours(0, 3), hours(3, 6)

    def ran(window: Window, **said: Any) -> None:
        versions = {t: v for t, v in versions_of(lake).items() if v is not None}
        of = {"window": window, "detections": TOLD, "table_versions": versions, **said}
        record(lake, Clock(), "backfill", **{"status": "succeeded", **of})

    def done() -> list[Window]:
        return sorted(done_windows(lake, [first, second], TOLD, LOOKBACK), key=lambda w: w.start)

    assert done() == []
    ran(first)
    ran(second, status="failed")
    assert done() == [first]
    ran(second)
    assert done() == [first, second]
    assert done_windows(lake, [hours(0, 6)], TOLD, LOOKBACK) == set(), "as a whole"
    assert done_windows(lake, [first], {**TOLD, "another": "detection"}, LOOKBACK) == set()
    month = 30 * 24 * 60
    put(lake, "network_events", (month, {}))  # the lake grows: nothing of the past is another one
    put(lake, "process_events", (month, {}), (-month, {}))  # and that is older than anybody looks back
    assert done() == [first, second]
    put(lake, "process_events", (-24 * 60, {"host": "b"}))
    assert done() == []
    ran(second)
    assert done() == [second], "first was run over other rows"
    put(lake, "network_events", (7, {}))
    assert done() == [], "by whole days"
    ran(first)
    ran(second)
    lake.set_properties("network_events", {"delta.enableChangeDataFeed": "false"})
    assert done() == [], "without a feed nobody knows"
    ran(first)
    assert done() == [first]


@pytest.mark.long
def test_chunks_at_once_leave_what_they_leave_one_by_one(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    told: list[tuple[int, int, bool]] = []

    def tell(done: int, of: int, window: Window, outcome: Outcome) -> None:
        told.append((done, of, isinstance(outcome, WindowReport)))

    assert run(lake, parallel=2, tell=tell) == [0, 3], "reports are in order of time"
    assert told == [(1, 2, True), (2, 2, True)]
    at_once = findings(lake)
    assert len(at_once) == 12
    assert run(lake, parallel=2, tell=tell) == []
    assert told[2:] == [(1, 2, False), (2, 2, False)]
    detect(spark, lake.settings, SIX, CHOSEN.detections)
    assert findings(lake) == at_once
    with pytest.raises(UsageError, match="0 chunks at once are none"):
        run(lake, parallel=0)


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_chunk_that_fails_stops_no_other(lake: Lake, monkeypatch: pytest.MonkeyPatch, parallel: int) -> None:
    def some(*args: Any, **said: Any) -> WindowReport:
        if args[2].start == NOON:
            raise WindowFailed("no space left")
        return WindowReport("id", args[2], "succeeded", "", {"findings": 0}, {})

    monkeypatch.setattr(each, "detect", some)
    told: list[tuple[int, str]] = []
    with pytest.raises(PartlyDone, match=r"1 of 2 chunks failed.*no space left") as failed:
        run(lake, parallel=parallel, tell=lambda done, of, window, outcome: told.append((done, type(outcome).__name__)))
    assert "--chunk 3h goes on" in str(failed.value.hint)
    assert sorted(name for _, name in told) == ["Report", "WindowFailed"]


@pytest.mark.parametrize("parallel", [1, 2])
def test_an_error_that_is_no_windows_ends_it(lake: Lake, monkeypatch: pytest.MonkeyPatch, parallel: int) -> None:
    calls: list[int] = []

    def wrong(*args: Any, **said: Any) -> WindowReport:
        calls.append(1)
        raise UsageError("no such thing")

    monkeypatch.setattr(each, "detect", wrong)
    with pytest.raises(UsageError, match="no such thing"):
        run(lake, Window(NOON, NOON + 9 * DAY), parallel=parallel)
    assert len(calls) <= 3 * parallel, "what had not begun was left"
