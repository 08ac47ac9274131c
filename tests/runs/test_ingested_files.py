"""An ingest opens all files but those that the ledger has, with the same content and read in the same way."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree

import pytest
from pyspark.sql import SparkSession

from procnet.lake.tables import Lake
from procnet.runs.ingested_files import IngestFiles, files_to_read
from procnet.runs.recorder import RunRecorder
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

    def split(
        *names: str, host: str | None = None, source_name: str = "windows_flat", again: bool = False
    ) -> IngestFiles:
        return files_to_read(lake, read_mapping(source_name), host, names, again=again)

    first = files_to_read(lake, source, None, [a, gone], again=False)
    assert first.to_read == [a, gone]
    RunRecorder(lake, "ingest").attempt().failed("no space left", inputs=first.digests)
    assert split(a).to_read == [a], "what failed is read again"
    RunRecorder(lake, "ingest").attempt().succeeded(inputs=first.digests)
    assert split(a, b, gone) == IngestFiles({b: split(b).digests[b], gone: "unreadable"}, [a]), (
        "another name is another file"
    )
    assert split(a, again=True).to_read == [a]
    assert split(a, host="pc1").to_read == [a]
    assert split(a, source_name="winlogbeat7").to_read == [a]
    files[0].write_text("{} ")
    assert split(a).to_read == [a]
    files[0].write_text("{}")
    assert split(a).known == [a]
    spark.sql(f"DROP TABLE {lake.ref('network_events')}")
    rmtree(tmp_path / "lake" / "network_events", ignore_errors=True)
    lake.create()
    assert split(a).to_read == [a], "the rows are gone with their table"
