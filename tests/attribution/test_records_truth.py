"""The rules on the real records: what they name, compared with the truth that lies beside the records."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import real_records as records
from oracle import attribute

pytestmark = [
    pytest.mark.records,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (records.SCORE.exists() and records.TRUTH.exists() and records.DATA.exists()),
        reason="the real records and their truth are not beside this checkout",
    ),
]
FOLDERS = ("eqllib", "mordor_subset/mordor_flat", "mordor_subset/winlogbeat6", "mordor_subset/winlogbeat7")


@dataclass(frozen=True)
class Figures:
    right: int
    claimed: int
    sure: tuple[int, int]
    likely: tuple[int, int]


@pytest.fixture(scope="module")
def lake() -> tuple[records.Rows, records.Rows]:
    processes, connections = records.canonical(*FOLDERS)
    return processes, [c for c in connections if c["dest_port"] in (80, 443)]


def test_names_the_process_of_every_sure_connection(
    lake: tuple[records.Rows, records.Rows], tmp_path: Path, capsys: Any
) -> None:
    assert figures(*lake, tmp_path, capsys) == WITH_GUIDS


def test_without_guids(lake: tuple[records.Rows, records.Rows], tmp_path: Path, capsys: Any) -> None:
    """Eight of the sure connections have no process id either: only the guid can name their process."""
    bare = [[{**row, "process_guid": None} for row in rows] for rows in lake]
    assert figures(bare[0], bare[1], tmp_path, capsys) == WITHOUT_GUIDS


# Workstation5's process 9984 is found because an instance begins with the first of its records: its 4688 is 0.034 s
# before the connection, its Sysmon record, which leads, 1.086 s after it.
WITH_GUIDS = Figures(349, 349, (148, 148), (149, 149))
WITHOUT_GUIDS = Figures(339, 339, (140, 148), (149, 149))


def figures(processes: records.Rows, connections: records.Rows, folder: Path, capsys: Any) -> Figures:
    """Returns the scorer's figures for the oracle's answers, read from the text that it prints."""
    import re

    answers = attribute(processes, connections, max_age=timedelta(hours=24))
    rows = []
    for c, a in zip(connections, answers, strict=True):
        instance = a.instance or {}
        rows.append({"detection_id": "web", "attribution": a.attribution,
                     **{k: c[k] for k in ("host", "process_id", "event_time", "dest_ip", "dest_port")},
                     **{k: instance.get(k) for k in ("process_guid", "process_time")}})  # fmt: skip
    findings = pd.DataFrame(rows).astype({"process_id": "Int64"})
    findings.to_parquet(folder / "findings.parquet")
    spec = importlib.util.spec_from_file_location("score", records.SCORE)
    assert spec is not None
    assert spec.loader is not None
    score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(score)
    found, truth = score.load(str(folder / "findings.parquet"), str(records.TRUTH))
    capsys.readouterr()
    # The other folders of the truth are not in this lake.
    sources = truth.index[truth.source.isin(["eqllib", "mordor_subset"])]
    score.score(found, truth, list(sources))
    text = capsys.readouterr().out
    one = re.search(r"precision [\d.]+ \((\d+)/(\d+)\), recall [\d.]+ \((\d+)/(\d+) .*likely ones (\d+)/(\d+)\)", text)
    assert one is not None, text
    n = [int(x) for x in one.groups()]
    return Figures(n[0], n[1], (n[2], n[3]), (n[4], n[5]))
