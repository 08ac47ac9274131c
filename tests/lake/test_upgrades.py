"""A lake that an earlier version wrote (make_lake_of_3444ae5.py) goes on after `procnet init`, and loses no finding."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cli.command import procnet
from lake.make_lake_of_3444ae5 import connection

pytestmark = pytest.mark.spark
PERIOD = ("--start", "2026-03-01T10:00Z", "--end", "2026-03-01T16:00Z")
NO_ROWS = "source had no rows"
Command = Callable[..., Any]


@pytest.fixture
def command(spark: SparkSession, tmp_path: Path) -> Command:
    """Runs a command over the earlier version's lake, and returns its exit code and its JSON."""
    shutil.unpack_archive(Path(__file__).with_name("lake_of_3444ae5.tar.xz"), tmp_path, filter="data")
    settings = {
        "lake": str(tmp_path / "lake"),
        "detections": {"folder": str(tmp_path / "detections"), "enabled": ["5d2f6a10"]},
        "attribution": {"state_over": "1h"},
    }
    (tmp_path / "settings.yml").write_text(json.dumps(settings))

    def run(name: str, *argv: object) -> tuple[int, Any]:
        result = procnet(name, "--conf", tmp_path / "settings.yml", "--json", *argv)
        return result.code, json.loads(result.out)

    return run


def findings(command: Command) -> dict[str, dict[str, Any]]:
    code, value = command("findings")
    assert code == 0
    return {f["finding_id"]: f for f in value["findings"]}


def windows(chunks: list[dict[str, Any]]) -> list[str]:
    """Start of each window, as the hour."""
    return sorted(c["start"][11:13] for c in chunks)


def gaps(command: Command) -> list[tuple[str, str]]:
    _, value = command("gaps", *PERIOD)
    return [(gap["start"][11:13], gap["why"]) for gap in value["gaps"]]


def test_before_init_findings_can_be_read_and_other_commands_name_init(command: Command) -> None:
    assert len(findings(command)) == 5
    for argv in (("status",), ("gaps", *PERIOD), ("catch-up",), ("backfill", *PERIOD), ("maintain",)):
        code, value = command(*argv)
        assert (argv, code) == (argv, 3)
        assert re.search("lacks (plan_reason, rows_collected|dest_name)", value["message"])
        assert value["hint"].startswith("procnet init adds columns to a table that an earlier procnet made")


@pytest.mark.long
def test_after_init_runs_of_both_versions_count_and_findings_keep_their_bytes(command: Command, tmp_path: Path) -> None:
    before = findings(command)
    assert command("init") == (0, {"created": ["dns_events", "flow_events"]})
    assert findings(command) == before
    assert gaps(command) == [("10", NO_ROWS), ("14", NO_ROWS), ("15", "failed")]

    _, value = command("catch-up")
    assert windows(value["windows"]) == ["12"], "the earlier version has caught up with the other late row"
    after_catch_up = findings(command)
    assert len(after_catch_up) == len(before) + 1
    assert {i: after_catch_up[i] for i in before} == before

    _, value = command("backfill", "--gaps", "--chunk", "1h", *PERIOD)
    assert windows(value["chunks"]) == ["15"]
    assert {why for _, why in gaps(command)} <= {NO_ROWS}
    assert len(findings(command)) == len(before) + 2

    # Late rows: in a window of the earlier version, in one that a catch-up of today ran, in one of today.
    late = [connection("a", f"{hour}:31:00", "70") for hour in (13, 12, 15)]
    (tmp_path / "late.jsonl").write_text("".join(json.dumps(r) + "\n" for r in late))
    assert command("ingest", "--source", "windows_flat", tmp_path / "late.jsonl")[0] == 0
    _, value = command("catch-up")
    assert value["looked"]
    last = findings(command)
    assert len(last) == len(before) + 5
    _, value = command("catch-up")
    assert not value["looked"]
    _, value = command("backfill", "--chunk", "1h", *PERIOD)
    assert (value["chunks"], windows(value["skipped"])) == ([], ["10", "11", "12", "13", "14", "15"])
    assert {why for _, why in gaps(command)} <= {NO_ROWS}
    assert command("maintain")[0] == 0
    assert command("status")[0] == 0
    assert findings(command) == last
    assert command("detect", *PERIOD)[1]["counts"]["findings"] == len(last)
    assert findings(command) == last, "the findings are those of a run over all rows"
