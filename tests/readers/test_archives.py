"""Compressed files and archives, complete, cut or broken: damage never hides the records before it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from procnet.readers.formats import read_records
from procnet.readers.record import Record
from readers.record_files import lines_and_texts, read, tarred, write_file, xml_event, zipped


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"n": %d}\n' % n for n in numbers)


def many(count: int) -> bytes:
    """Lines that compress badly, so that half of the compressed bytes has about half of them."""
    return lines(*(n * n * 7919 % 1_000_003 for n in range(count)))


def locked(content: bytes) -> bytes:
    """A zip of one member with the flag for a password: bit 0, in both headers."""
    out = bytearray(content)
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        out[out.index(magic) + at] |= 1
    return bytes(out)


MEMBERS = {
    "README.md": b"# no records\n",
    "in/a.json": lines(1, 2),
    "in/.hidden.json": lines(9),
    "__MACOSX/in/a.json": lines(9),
    "in/b.json.gz": gzip.compress(lines(3)),
    "image.png": b"\x89PNG",
}
# The first bytes of a file decide what it is, and not its name.
PACKED: dict[str, tuple[str, bytes, dict[str, list[int]]]] = {
    "gzip": ("a.json.gz", gzip.compress(lines(1, 2)), {"": [1, 2]}),
    "gzip of several parts": ("a.json.gz", gzip.compress(lines(1)) + gzip.compress(lines(2)), {"": [1, 2]}),
    "gzip without its suffix": ("a.json", gzip.compress(lines(1, 2)), {"": [1, 2]}),
    "unpacked on the way": ("a.json.gz", lines(1, 2), {"": [1, 2]}),
    "zip": ("a.zip", zipped(MEMBERS), {"!in/a.json": [1, 2], "!in/b.json.gz": [3]}),
    "tar.gz": ("a.tar.gz", tarred(MEMBERS), {"!in/a.json": [1, 2], "!in/b.json.gz": [3]}),
    "tar": ("a.tar", tarred(MEMBERS, "w"), {"!in/a.json": [1, 2], "!in/b.json.gz": [3]}),
    "zip without records": ("a.zip", zipped({"README.md": b"x"}), {}),
    "no zip": ("a.zip", lines(1), {"": [1]}),
}


@pytest.mark.parametrize("case", PACKED)
def test_packed(tmp_path: Path, case: str) -> None:
    name, content, expected = PACKED[case]
    path = write_file(tmp_path, name, content)
    found: dict[str, list[int]] = {}
    for file, record in read_records(str(path), "json"):
        assert record.problem is None
        numbers = found.setdefault(file.removeprefix(str(path)), [])
        numbers.append(json.loads(record.text)["n"])
        assert record.line == len(numbers)
    assert found == expected


HALF: dict[str, Callable[[], bytes]] = {
    "gz": lambda: gzip.compress(many(20_000)),
    "tar.gz": lambda: tarred({"first.json": lines(1), "second.json": many(20_000), "third.json": lines(2)}),
    "zip": lambda: zipped({"first.json": lines(1), "second.json": many(20_000)}),
}


@pytest.mark.parametrize("file_format", HALF)
def test_half_an_archive(tmp_path: Path, file_format: str) -> None:
    whole = HALF[file_format]()
    path = write_file(tmp_path, f"a.{file_format}", whole[: len(whole) // 2])
    found = list(read_records(str(path), "json"))
    assert [n for n, (_, r) in enumerate(found) if r.problem] == [len(found) - 1]
    file, last = found[-1]
    assert last.problem is not None
    if file_format == "zip":  # the list of its members is at the end
        assert (file, last.problem[:16]) == (str(path), "damaged archive:")
        assert len(found) == 1
        return
    assert last.problem.startswith("damaged gzip: ")
    assert file == str(path) + ("!second.json" if file_format == "tar.gz" else "")
    rows = [r for f, r in found[:-1] if f == file]
    assert 7000 < len(rows) < 13_000
    assert [r.text for r in rows] == many(20_000).decode().splitlines()[: len(rows)]
    assert [r.line for r in (*rows, last)] == list(range(1, len(rows) + 2))
    assert len(found) == len(rows) + (2 if file_format == "tar.gz" else 1)


@pytest.mark.parametrize(
    ("file_format", "text"),
    [("xml", "".join(xml_event(n * n * 7919) + "\n" for n in range(2000))),
     ("csv", "a,b\n" + "".join(f"{n},{n * n * 7919}\n" for n in range(4000)))],
)  # fmt: skip
def test_half_a_gzip_of_another_kind(tmp_path: Path, file_format: str, text: str) -> None:
    packed = gzip.compress(text.encode())
    whole = lines_and_texts(write_file(tmp_path, f"whole.{file_format}.gz", packed), file_format)
    found = read(write_file(tmp_path, f"half.{file_format}.gz", packed[: len(packed) // 2]), file_format)
    assert [n for n, r in enumerate(found) if r.problem] == [len(found) - 1]
    assert (found[-1].problem or "").startswith("damaged gzip: ")
    # For XML the rest of the cut event is a record without a problem of its own.
    good = [(r.line, r.text) for r in found[:-1]]
    complete = good[:-1] if file_format == "xml" else good
    assert complete == whole[: len(complete)]
    assert len(whole) / 4 < len(complete) < len(whole) * 3 / 4


BROKEN: dict[str, tuple[bytes, str]] = {
    "a zip with a password": (locked(zipped({"a.json": lines(1)})), "unreadable archive: "),
    "the beginning of a zip": (b"PK\x03\x04 and no more", "damaged archive: "),
    "the beginning of a gzip": (b"\x1f\x8b", "damaged gzip: "),
    "a gzip of no known method": (b"\x1f\x8b\x00" + b"\0" * 30, "damaged gzip: "),
    "a gzip with a bad block": (gzip.compress(many(50))[:30] + b"\xff" * 40, "damaged gzip: "),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("file_format", ["json", "xml", "csv", "evtx"])
def test_broken(tmp_path: Path, case: str, file_format: str) -> None:
    content, problem = BROKEN[case]
    # Only members with a suffix of the format are opened.
    content = content.replace(b"a.json", f"a.{file_format}".encode()) if len(file_format) == 4 else content
    if case == "a zip with a password" and len(file_format) != 4:
        content = locked(zipped({f"a.{file_format}": lines(1)}))
    found = read(write_file(tmp_path, "a.zip", content), file_format)
    assert [r.problem is not None for r in found] == [False] * (len(found) - 1) + [True]
    assert (found[-1].problem or "").startswith(problem)


@pytest.mark.parametrize("file_format", ["json", "xml", "csv", "evtx"])
def test_no_such_file(tmp_path: Path, file_format: str) -> None:
    """A file that is deleted after its folder was listed must not end the job."""
    path = str(tmp_path / "gone")
    assert list(read_records(path, file_format)) == [
        (path, Record(1, "", "unreadable file: No such file or directory"))
    ]


@pytest.mark.parametrize("file_format", ["json", "xml", "csv"])
def test_an_empty_gzip(tmp_path: Path, file_format: str) -> None:
    assert read(write_file(tmp_path, "a.gz", gzip.compress(b"")), file_format) == []
