"""Finds the files of an ingest that an earlier ingest has read as they are now.

A file is known by its name, its content and how it is read (Databricks' COPY INTO knows it by its name). So an hourly
ingest of a folder that grows reads only what is new in it. Rows are compared with the lake's in any case: a file that
is read twice (`again`) adds nothing either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from procnet.contract import EVENT_TABLES
from procnet.lake.ledger import ingested_before
from procnet.lake.tables import Lake
from procnet.readers.record import MAX_RECORD
from procnet.sources.mapping import SourceMapping

_BLOCK = 1 << 20  # bytes read at a time
_UNREADABLE = "unreadable"  # in place of the digest


@dataclass(frozen=True)
class IngestFiles:
    """The files to read with their digests, as the ledger's `inputs`; and the files that were read before."""

    digests: Mapping[str, str]
    known: Sequence[str] = ()

    @property
    def to_read(self) -> list[str]:
        """The files to read."""
        return list(self.digests)


def files_to_read(
    lake: Lake, source: SourceMapping, host: str | None, files: Sequence[str], *, again: bool
) -> IngestFiles:
    """Splits files into those to read and those that the ledger knows; `again` reads all. The tables must exist.

    A file that cannot be opened is always read: the reader quarantines it with the reason.
    """
    tables = [lake.identity(t) for t in (*EVENT_TABLES, "quarantine")]
    how = "\n".join([source.model_dump_json(exclude={"path"}), source.shared.model_dump_json(), host or "", *tables])
    if (max_record := lake.settings.ingest.max_record) != MAX_RECORD:  # digests of earlier versions remain valid
        how += f"\nmax_record {max_record}"
    digests = {f: digest for f in files if (digest := _digest(f, how)) is not None}
    known = set() if again or not digests else ingested_before(lake, digests.values())
    return IngestFiles(
        {f: digests.get(f, _UNREADABLE) for f in files if digests.get(f) not in known},
        [f for f, digest in digests.items() if digest in known],
    )


def _digest(file: str, how: str) -> str | None:
    """Returns the SHA-256 of how the file is read, its name and its content; None where it cannot be opened."""
    digest = hashlib.sha256(f"{how}\n{file}\n".encode())
    try:
        with open(file, "rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
