"""Two ingests that evaluate the rows for a table at the same time: after both have looked at the table.

As a command: `python ingests_at_once.py FOLDER ingest ...`, with the same FOLDER for both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa  # type: ignore[import-untyped]
from pyspark.sql import DataFrame

from procnet.lake.tables import Lake
from procnet.runs import ingest

Add = Callable[[Lake, str, DataFrame, "list[date] | None"], int]
PATIENCE = 120  # seconds


def waiting_for_each_other(add: Add, folder: Path) -> Add:
    """`add`, whose rows are computed when two runs have begun to compute the rows of the table.

    Each writes a file into `folder`. The table's snapshot is older, since it is part of the plan that is computed.
    """

    folder.mkdir(exist_ok=True)

    def waiting_add(lake: Lake, table: str, rows: DataFrame, dates: list[date] | None) -> int:
        own = str(folder / f"{table}.{uuid4().hex}.computed")

        def wait(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            Path(own).touch()
            end = time.monotonic() + PATIENCE
            while len(list(folder.glob(f"{table}.*.computed"))) < 2:
                assert time.monotonic() < end, "the other ingest did not come"
                time.sleep(0.01)
            yield from batches

        return add(lake, table, rows.coalesce(1).mapInArrow(wait, rows.schema), dates)

    return waiting_add


def main(arguments: list[str]) -> Any:
    from procnet.cli.main import main as procnet

    folder, *words = arguments
    ingest._add = waiting_for_each_other(ingest._add, Path(folder))
    return procnet(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
