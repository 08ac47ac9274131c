"""Files that the tests of the readers write, and how they read them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from procnet.readers.formats import read_records
from procnet.readers.record import Record

LineAndText = tuple[int, str]


def write_file(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, file_format: str) -> list[Record]:
    return [record for _, record in read_records(str(path), file_format)]


def lines_and_texts(path: Path, file_format: str) -> list[LineAndText]:
    """(line, text) of records of which none has a problem."""
    records = read(path, file_format)
    assert [r.problem for r in records if r.problem] == []
    return [(r.line, r.text) for r in records]


SPACE = "http://schemas.microsoft.com/win/2004/08/events/event"


def xml_event(n: int) -> str:
    return f"<Event xmlns='{SPACE}'><System><EventID>{n}</EventID></System></Event>"


def tarred(members: dict[str, bytes], mode: Any = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()
