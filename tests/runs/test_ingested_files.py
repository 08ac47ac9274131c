"""Which files an ingest opens: all but those that the ledger knows as they are now, read as they would be now."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

import pytest
from pyspark.sql import SparkSession

from procnet.lake.tables import Lake
from procnet.runs.ingested_files import Inputs, files_to_read
from procnet.runs.recorder import Clock, record
from procnet.settings import Settings
from procnet.sources.mapping import read_mapping


@pytest.mark.spark
def test_a_file_is_known_by_its_content_and_by_how_it_is_read(spark: SparkSession, tmp_path: Path) -> None:
    lake, source = Lake(spark, Settings(lake=tmp_path / "lake")), read_mapping("windows_flat")
    lake.create()
    files = [tmp_path / n for n in ("a.json", "b.json", "gone.json")]
    a, b, gone = map(str, files)
    for file in files[:2]:
        file.write_text("{}")

    def asked(*names: str, host: str | None = None, source_name: str = "windows_flat", again: bool = False) -> Inputs:
        return files_to_read(lake, read_mapping(source_name), host, names, again=again)

    first = files_to_read(lake, source, None, [a, gone], again=False)
    assert first.files == [a, gone]
    record(lake, Clock(), "ingest", "failed", inputs=first.marks)
    assert asked(a).files == [a], "what failed is read again"
    record(lake, Clock(), "ingest", "succeeded", inputs=first.marks)
    assert asked(a, b, gone) == Inputs({b: asked(b).marks[b], gone: "unreadable"}, [a]), "another name is another file"
    assert asked(a, again=True).files == [a]
    assert asked(a, host="pc1").files == [a]
    assert asked(a, source_name="winlogbeat7").files == [a]
    files[0].write_text("{} ")
    assert asked(a).files == [a]
    files[0].write_text("{}")
    assert asked(a).known == [a]
    spark.sql(f"DROP TABLE {lake.ref('network_events')}")
    rmtree(tmp_path / "lake" / "network_events", ignore_errors=True)
    lake.create()
    assert asked(a).files == [a], "the rows are gone with their table"
