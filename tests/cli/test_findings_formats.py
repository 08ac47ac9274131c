"""`procnet findings --format ocsf, es, elastic`: a line for each event, in the order and with the filters of json."""

from __future__ import annotations

import csv
import errno
import json
import unicodedata
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cli.command import CommandResult, procnet
from procnet.cli import findings
from procnet.contract import FINDINGS

FORMATS = ("json", "ocsf", "es", "elastic")
HOSTILE = "'\"\n\x1b]0;x\x07\x7f {a} \u202egpj.exe\u2028"
# Where each format has id and message.
PLACES = {
    "json": (("finding_id",), ("message",)),
    "ocsf": (("finding_info", "uid"), ("message",)),
    "es": (("finding_id",), ("risk_message",)),
    "elastic": (("kibana", "alert", "uuid"), ("kibana", "alert", "reason")),
}


def finding(name: str, second: int, **known: Any) -> tuple[Any, ...]:
    time = datetime(2026, 3, 1, 10, 0, second, tzinfo=timezone.utc)
    row = {"finding_id": name, "event_time": time, "finding_date": time.date(), "host": "ws-1",
           "risk_objects": [{"value": "ws-1", "type": "system"}], **known}  # fmt: skip
    return tuple(row.get(n) for n in FINDINGS.names)


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of three findings, written out of order and in two files."""
    folder = tmp_path_factory.mktemp("formats")
    found = [finding("c", 2, message=HOSTILE), finding("b", 1), finding("a", 2, host="ws-2.example")]
    spark.createDataFrame(found, FINDINGS).repartition(2).write.format("delta").save(str(folder / "findings"))
    return folder


def read(result: CommandResult, form: str) -> list[tuple[Any, Any]]:
    """(id, message) of each line."""
    assert result.code == 0, result.err
    events = [json.loads(line) for line in result.out.split("\n")[:-1]]
    return [(at(e, PLACES[form][0]), at(e, PLACES[form][1])) for e in events]


def at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name)
    return value


@pytest.mark.spark
@pytest.mark.parametrize("form", FORMATS)
def test_lines_are_in_order_and_give_no_orders(lake: Path, form: str) -> None:
    result = procnet("findings", "--lake", lake, "--format", form)
    assert read(result, form) == [("b", None), ("a", None), ("c", HOSTILE)]
    assert [c for c in result.out if c == "\u2028" or (c != "\n" and unicodedata.category(c)[0] == "C")] == []
    assert form == "json" or "null" not in result.out


@pytest.mark.spark
def test_filters_and_files_are_those_of_json(lake: Path, tmp_path: Path) -> None:
    of_host = procnet("findings", "--lake", lake, "--format", "ocsf", "--host", "WS-2")
    assert read(of_host, "ocsf") == [("a", None)]
    file = tmp_path / "f.jsonl"
    result = procnet("findings", "--lake", lake, "--format", "elastic", "--output", file, "--json")
    assert json.loads(result.out) == {"written": str(file), "format": "elastic"}
    assert read(CommandResult(0, file.read_text("utf-8"), ""), "elastic") == [("b", None), ("a", None), ("c", HOSTILE)]


@pytest.mark.spark
def test_nested_columns_are_json_in_csv(lake: Path) -> None:
    result = procnet("findings", "--lake", lake, "--format", "csv", "--host", "ws-2")
    (row,) = csv.DictReader(StringIO(result.out))
    assert json.loads(row["risk_objects"]) == [{"value": "ws-1", "type": "system"}]
    assert list(row) == FINDINGS.names
    assert "Row(" not in result.out


@pytest.mark.spark
def test_a_file_is_replaced_only_by_force_and_only_by_a_whole_one(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f.json"
    file.write_text("yesterday")
    file.chmod(0o600)
    command = ("findings", "--lake", lake, "--format", "json", "--output", file)
    refused = procnet(*command)
    assert (refused.code, file.read_text()) == (2, "yesterday")
    assert "--force" in refused.err
    with monkeypatch.context() as patch:
        patch.setattr(findings, "_write", fill_the_disk)
        full = procnet(*command, "--force")
    assert (full.code, full.err.count("\n"), file.read_text()) == (4, 2, "yesterday")
    assert "a disk is full: No space left on device" in full.err
    assert [p.name for p in tmp_path.iterdir()] == ["f.json"]
    assert procnet(*command, "--force").code == 0
    assert len(file.read_text("utf-8").splitlines()) == 3
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["f.json"]


def fill_the_disk(_rows: object, _format: str, file: Any) -> None:
    file.write("half of the rows")
    raise OSError(errno.ENOSPC, "No space left on device")
