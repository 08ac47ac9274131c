"""Runs that are paused or killed while others work: nothing is lost, whatever ran at once (docs/semantics.md, R8)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from conftest import INTERPRETED
from installer_lake import DAY, SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.lake import write
from procnet.lake.tables import Lake
from procnet.runs import detect as detect_module
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import WindowReport, detect
from procnet.runs.gaps import gaps_of
from procnet.settings import Settings
from procnet.spark.session import SHORT_RUN

pytestmark = pytest.mark.spark
HERE = Path(__file__).parent
FIRST, SECOND = hours_window(0, 1), hours_window(1, 2)
BOTH = hours_window(0, 2)
NEVER = timedelta(seconds=120).total_seconds()


class Killed(BaseException):
    """Ends a thread as SIGKILL ends a process: no handler of the code under test catches it."""


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    lake = new_lake(spark, tmp_path / "lake")
    append_events(lake, "process_events", (0, {}))
    append_events(lake, "network_events", *((30 * n + 5, {}) for n in range(4)))
    return lake


def append_late_connections(lake: Lake) -> None:
    append_events(lake, "network_events", *((30 * n + 20, {}) for n in range(4)))


def fresh_findings(lake: Lake, tmp_path: Path) -> list[dict[str, Any]]:
    """The findings of a lake without history that reads the same events."""
    tables = {t: str(lake.settings.lake / t) for t in ("process_events", "network_events")}  # type: ignore[operator]
    fresh = Lake(lake.spark, Settings(lake=tmp_path / "fresh", tables=tables))
    fresh.create()
    detect(fresh, SELECTION, BOTH)
    return all_findings(fresh)


def run_to_rest(lake: Lake) -> None:
    """What a scheduler runs: catch-up, and a backfill of the gaps."""
    catch_up(lake, SELECTION)
    now = datetime(2026, 3, 1, 15, tzinfo=timezone.utc)
    if gaps := gaps_of(lake, SELECTION, BOTH, now):
        backfill(lake, SELECTION, *(g.window for g in gaps))


@contextmanager
def paused_before(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, run: Callable[[], WindowReport]
) -> Iterator[Future[WindowReport]]:
    """Runs in a thread until it calls the function `name`; it goes on when the context ends."""
    original, go_on, reached, thread_id = getattr(module, name), threading.Event(), threading.Event(), list[int]()

    def paused(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() in thread_id and not reached.is_set():
            reached.set()
            assert go_on.wait(NEVER)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, paused)

    def in_thread() -> WindowReport:
        thread_id.append(threading.get_ident())
        return run()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(in_thread)
        try:
            assert reached.wait(NEVER), future.exception(0) if future.done() else "the run never came there"
            yield future
        finally:
            go_on.set()


PAUSES = {
    "evaluated, findings not compared yet": (detect_module, "replace_findings"),
    "compared, before Delta's transaction starts": (write, "_overwrite"),
}


@pytest.mark.long
@pytest.mark.parametrize("pause", PAUSES)
def test_a_slow_run_does_not_overwrite_newer_findings(
    pause: str, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect(lake, SELECTION, FIRST)
    append_events(lake, "network_events", (6, {}))  # so that the slow run has something to write
    with paused_before(monkeypatch, *PAUSES[pause], lambda: detect(lake, SELECTION, FIRST)) as slow:
        append_late_connections(lake)
        assert catch_up(lake, SELECTION).findings
    assert slow.result().counts["conflicts"] == 1, "it was evaluated again"
    assert not catch_up(lake, SELECTION).reports, "and the next check finds nothing to run"
    detect(lake, SELECTION, SECOND)
    assert all_findings(lake) == fresh_findings(lake, tmp_path)


@pytest.mark.long
def test_a_slow_run_that_dies_after_its_commit_is_made_good_by_the_next_check(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit has overwritten newer findings, and it has no row in the ledger."""
    detect(lake, SELECTION, BOTH)
    append_events(lake, "network_events", (6, {}))
    refuse = write._refuse_overtaken

    def slow_run() -> WindowReport:
        monkeypatch.setattr(write, "_refuse_overtaken", refuse_or_die)
        return detect(lake, SELECTION, BOTH)

    def refuse_or_die(run: Any, history: Any) -> None:
        if history.version_of(run.run_id) is not None:
            monkeypatch.setattr(write, "_refuse_overtaken", refuse)
            raise Killed
        refuse(run, history)

    with paused_before(monkeypatch, write, "_overwrite", slow_run) as slow:
        monkeypatch.setattr(write, "_refuse_overtaken", refuse)  # of the check's own runs
        append_late_connections(lake)
        catch_up(lake, SELECTION)
        newest = all_findings(lake)
        monkeypatch.setattr(write, "_refuse_overtaken", refuse_or_die)
    with pytest.raises(Killed):
        slow.result()
    assert all_findings(lake) != newest, "older findings are in the table"
    run_to_rest(lake)
    assert all_findings(lake) == newest == fresh_findings(lake, tmp_path)


@pytest.mark.long
def test_a_check_for_late_rows_does_not_count_for_a_first_run_that_it_did_not_know(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect(lake, SELECTION, SECOND)
    with paused_before(monkeypatch, detect_module, "replace_findings", lambda: detect(lake, SELECTION, FIRST)) as first:
        append_late_connections(lake)
        check = catch_up(lake, SELECTION)
        assert (check.looked, len(check.reports)) == (True, 1)
    first.result()
    assert len(all_findings(lake)) < len(fresh := fresh_findings(lake, tmp_path)), "rows came during the first run"
    assert len(catch_up(lake, SELECTION).reports) == 1
    assert all_findings(lake) == fresh
    assert not catch_up(lake, SELECTION).looked, "now all is checked"


@pytest.mark.long
def test_gaps_and_backfill_agree_on_what_is_done(lake: Lake, tmp_path: Path) -> None:
    """Two hours of a day run with other tolerances, after the day: their findings are to be made again."""
    day = hours_window(-12, 12)
    backfill(lake, SELECTION, day, chunk=DAY)
    settings = lake.settings
    other = settings.attribution.model_copy(update={"clock_skew": timedelta(seconds=9)})
    detect(replace(lake, settings=settings.model_copy(update={"attribution": other})), SELECTION, BOTH)
    now = datetime(2026, 3, 2, 13, tzinfo=timezone.utc)
    assert [(g.window, g.why) for g in gaps_of(lake, SELECTION, day, now)] == [(BOTH, "edited since")]
    assert [r.window for r in backfill(lake, SELECTION, day, chunk=DAY).reports] == [day]
    assert gaps_of(lake, SELECTION, day, now) == []
    assert not backfill(lake, SELECTION, day, chunk=DAY).reports


RACES = {
    "a slow run does not overwrite newer findings": (FIRST, FIRST),
    "a check does not count for a first run": (SECOND, FIRST),
}


@pytest.mark.long
@pytest.mark.parametrize("race", RACES)
def test_the_races_between_processes(race: str, lake: Lake, tmp_path: Path) -> None:
    done, slow = RACES[race]
    detect(lake, SELECTION, done)
    append_events(lake, "network_events", (6, {}))
    reached, go_on = tmp_path / "reached", tmp_path / "go_on"
    os.mkfifo(reached)
    os.mkfifo(go_on)
    window = ("--start", slow.start.isoformat(), "--end", slow.end.isoformat())
    detections = [w for d in SELECTION.detections for w in ("--detection", d.id)]
    lake_option = ("--lake", str(lake.settings.lake))
    command = [sys.executable, str(HERE / "pause_point.py"), str(reached), str(go_on)]
    command += ["detect", *lake_option, *window, *detections]
    command += [w for k, v in (SHORT_RUN | INTERPRETED).items() for w in ("--set", f"spark.{k}={v}")]
    # With these variables of pyspark the child would be a client of this process's Connect server.
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_CONNECT", "SPARK_LOCAL_REMOTE"))}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        reached.read_text()
        append_late_connections(lake)
        catch_up(lake, SELECTION)
        go_on.write_text("go on")
        out, _ = process.communicate(timeout=NEVER)
    assert process.returncode == 0, out
    run_to_rest(lake)
    assert all_findings(lake) == fresh_findings(lake, tmp_path)
