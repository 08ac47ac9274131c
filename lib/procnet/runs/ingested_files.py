"""Which files an ingest need not read: those of which the ledger says that they were read, as they are, before.

A file is known by its content and by how it is read, as Databricks' COPY INTO knows it by its name: a folder that grows
is asked for again every hour, and only what is new in it should cost anything. The rows are compared all the same, so
a file that is read twice (`again`) adds nothing either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from procnet.lake.ledger import ingested_before
from procnet.lake.tables import Lake
from procnet.sources.mapping import SourceMapping

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Inputs:
    """Files to read, with their marks for the ledger, and those that were read before."""

    marks: Mapping[str, str]
    known: Sequence[str] = ()

    @property
    def files(self) -> list[str]:
        """What is left to read."""
        return list(self.marks)


def files_to_read(lake: Lake, source: SourceMapping, host: str | None, files: Sequence[str], *, again: bool) -> Inputs:
    """WindowProgress files apart by the lake's ledger; `again` reads all. The tables must be there."""
    tables = [lake.identity(t) for t in ("process_events", "network_events", "quarantine")]
    how = "\n".join([source.model_dump_json(exclude={"path"}), source.shared.model_dump_json(), host or "", *tables])
    marks = {f: mark for f in files if (mark := _mark(f, how)) is not None}
    known = set() if again or not marks else ingested_before(lake, marks.values())
    return Inputs(
        {f: marks.get(f, "unreadable") for f in files if marks.get(f) not in known},
        [f for f, mark in marks.items() if mark in known],
    )


def _mark(file: str, how: str) -> str | None:
    digest = hashlib.sha256(f"{how}\n{file}\n".encode())
    try:
        with open(file, "rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError:  # the reader puts it aside with its reason, as often as it is asked for
        return None
    return digest.hexdigest()
