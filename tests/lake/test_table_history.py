"""Commits that remove or return rows as whole files: RESTORE, TRUNCATE, REPLACE. Catch-up sees these rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from installer_lake import HOUR, NOW, SELECTION, all_findings, append_events, hours_window, new_lake
from procnet.lake.schema import replace_table_sql
from procnet.lake.tables import Lake
from procnet.runs.backfill import backfill
from procnet.runs.catch_up import catch_up
from procnet.runs.detect import detect
from procnet.runs.gaps import gaps_of

pytestmark = [pytest.mark.spark, pytest.mark.long]
PERIOD = hours_window(0, 2)


def lake_with_runs(spark: SparkSession, folder: Path) -> Lake:
    """Two starts, in versions 1 and 2 of process_events, with a connection each in both hours; both hours have run."""
    lake = new_lake(spark, folder)
    append_events(lake, "process_events", (0, {}))
    append_events(lake, "process_events", (1, {"process_id": 9}))
    append_events(lake, "network_events", *((m, {"process_id": p}) for p in (8, 9) for m in (5, 70)))
    for hour in (0, 1):
        detect(lake, SELECTION, hours_window(hour, hour + 1))
    return lake


def processes(lake: Lake) -> list[int]:
    return sorted({f["process_id"] for f in all_findings(lake)})


def test_after_a_restore_catch_up_gives_the_findings_of_a_fresh_run(spark: SparkSession, tmp_path: Path) -> None:
    lake = lake_with_runs(spark, tmp_path)
    process_events, network_events = lake.ref("process_events"), lake.ref("network_events")
    steps = {
        "rows are removed": (f"RESTORE TABLE {process_events} TO VERSION AS OF 1", [8]),
        "rows return": (f"RESTORE TABLE {process_events} TO VERSION AS OF 2", [8, 9]),
        "no row is left": (f"TRUNCATE TABLE {network_events}", []),
        "all return": (f"RESTORE TABLE {network_events} TO VERSION AS OF 1", [8, 9]),
    }
    for step, (statement, wanted) in steps.items():
        spark.sql(statement).collect()
        assert catch_up(lake, SELECTION).looked, step
        after_catch_up = all_findings(lake)
        assert (step, processes(lake)) == (step, wanted)
        detect(lake, SELECTION, PERIOD)
        assert all_findings(lake) == after_catch_up, step


def test_a_replaced_table_of_events_is_a_gap(spark: SparkSession, tmp_path: Path) -> None:
    """Another table by its id: its change feed says nothing of the rows that the runs have read."""
    lake = lake_with_runs(spark, tmp_path)
    table = lake.ref("process_events")
    spark.sql(replace_table_sql(table, "process_events", lake.settings.maintenance, "another id")).collect()
    assert not catch_up(lake, SELECTION).looked
    assert [(g.window, g.why) for g in gaps_of(lake, SELECTION, PERIOD, NOW)] == [(PERIOD, "tables rewound")]
    backfill(lake, SELECTION, PERIOD, chunk=HOUR)
    assert processes(lake) == []
    append_events(lake, "process_events", (0, {}))
    assert catch_up(lake, SELECTION).looked
    assert processes(lake) == [8]


def test_findings_that_a_restore_took_back_are_a_gap(spark: SparkSession, tmp_path: Path) -> None:
    lake = lake_with_runs(spark, tmp_path)
    before = all_findings(lake)
    spark.sql(f"RESTORE TABLE {lake.ref('findings')} TO VERSION AS OF 1").collect()
    assert len(all_findings(lake)) < len(before)
    (gap,) = gaps_of(lake, SELECTION, PERIOD, NOW)
    assert (gap.window, gap.why) == (hours_window(1, 2), "tables rewound")
    report = backfill(lake, SELECTION, PERIOD, chunk=HOUR)
    assert [r.window for r in report.reports] == [gap.window]
    assert all_findings(lake) == before
