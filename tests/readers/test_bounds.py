"""No small file takes much memory: records, archives and their headers are bounded, and what is around them is read."""

from __future__ import annotations

import gzip
import io
import json
import re
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from procnet.readers import json_lines
from procnet.readers.formats import read_records
from procnet.readers.record import BEGINNING, MAX_RECORD, Record
from readers.record_files import tarred, write_file, xml_event, zipped

LIMIT = 1024
LONG = "x" * 3 * LIMIT
PROBLEM = "longer than 1,024 characters (ingest.max_record)"
MIB = 1 << 20


def read(path: Path, file_format: str, max_record: int = LIMIT) -> list[Record]:
    return [record for _, record in read_records(str(path), file_format, max_record)]


def one(n: int) -> str:
    return json.dumps({"n": n})


def long_object(value: str = LONG) -> str:
    return json.dumps({"long": value})


Expected = list[tuple[int, str | None]]  # line and text, None for a record that is too long
CASES: dict[str, tuple[str, str, Expected]] = {
    "a line": ("json", f"{one(1)}\n{long_object()}\n{one(2)}\n", [(1, one(1)), (2, None), (3, one(2))]),
    "the first line": ("json", f"{long_object()}\n{one(2)}", [(1, None), (2, one(2))]),
    "a line that is no JSON": ("json", f"{one(1)}\n{LONG}\n{one(2)}", [(1, one(1)), (2, None), (3, one(2))]),
    "many objects in a line": (
        "json",
        "".join(map(one, range(1000))) + f"\n{one(5)}",
        [*((1, one(n)) for n in range(1000)), (2, one(5))],
    ),
    "one object of many in a line": (
        "json",
        f"{one(1) * 200}{long_object()}{one(2) * 200}\n{one(3)}",
        [*[(1, one(1))] * 200, (1, None), *[(1, one(2))] * 200, (2, one(3))],
    ),
    "an array in a line": (
        "json",
        f"[{','.join(map(one, range(1000)))}]",
        [(1, one(n)) for n in range(1000)],
    ),
    "an element of an array": (
        "json",
        f"[{one(1)}, {long_object()}, {one(2)}]",
        [(1, one(1)), (1, None), (1, one(2))],
    ),
    "an element with braces, quotes and backslashes in its text": (
        "json",
        f"[{one(1)},{long_object(LONG + '}]' + chr(34) * 7 + chr(92) * 9 + '{}{' + LONG)},{one(2)}]",
        [(1, one(1)), (1, None), (1, one(2))],
    ),
    "an element of many backslashes": (
        "json",
        f"[{one(1)},{long_object(chr(92) * 3000)},{one(2)}]",
        [(1, one(1)), (1, None), (1, one(2))],
    ),
    "a pretty-printed object": (
        "json",
        "".join(json.dumps({"a": n, "long": LONG * (n == 2)}, indent=1) + "\n" for n in (1, 2, 3)),
        [(1, '{\n "a": 1,\n "long": ""\n}'), (5, None), (9, '{\n "a": 3,\n "long": ""\n}')],
    ),
    "a pretty-printed object that is cut": (
        "json",
        '[\n {\n  "a": 1\n },\n {\n  "b": {\n   "c": "' + LONG + '\n {\n  "a": 3\n }\n]',
        [(2, '{\n  "a": 1\n }'), (5, None), (8, '{\n  "a": 3\n }')],
    ),
    "a broken element": (
        "json",
        f'[{one(1)},{{"a": no}},{one(2)},{long_object()},{one(3)}]',
        [(1, one(1)), (1, '{"a": no}'), (1, one(2)), (1, None), (1, one(3))],
    ),
    "an event": (
        "xml",
        f"{xml_event(1)}\n<Event><Data>{LONG}</Data></Event>\n{xml_event(2)}",
        [(1, xml_event(1)), (2, None), (3, xml_event(2))],
    ),
    "an event without its end": (
        "xml",
        f"{xml_event(1)}<Event><Data>{LONG}\n{xml_event(2)}\n{xml_event(3)}",
        [(1, xml_event(1)), (1, None), (2, xml_event(2)), (3, xml_event(3))],
    ),
    "cut events": (
        "xml",
        "<Event>1\n" * 1000 + xml_event(2),
        [*((n, "<Event>1\n") for n in range(1, 1001)), (1001, xml_event(2))],
    ),
    "text that is no event": ("xml", f"{LONG}\n{xml_event(2)}", [(1, None), (2, xml_event(2))]),
    "blanks": ("xml", f"\n{' ' * 3000}\n{' ' * 3000}{xml_event(2)}", [(3, xml_event(2))]),
    "a row": ("csv", f"n\n1\n{LONG}\n2\n", [(2, '{"n": "1"}'), (3, None), (4, '{"n": "2"}')]),
    "a row of many cells": ("csv", f"n\n1\n{'x,' * LIMIT}\n2\n", [(2, '{"n": "1"}'), (3, None), (4, '{"n": "2"}')]),
    "a cell with line breaks and quotes": (
        "csv",
        'n,m\n1,2\n"' + 'a ""b"", c\n' * 300 + '",x\n3,4\n',
        [(2, '{"n": "1", "m": "2"}'), (3, None), (304, '{"n": "3", "m": "4"}')],
    ),
    "a long cell in quotes": (
        "csv",
        f'n,m\n1,2\n1,"{LONG} "",""\n{LONG}\n",x\n3,4\n',
        [(2, '{"n": "1", "m": "2"}'), (3, None), (6, '{"n": "3", "m": "4"}')],
    ),
    "many cells in quotes": (
        "csv",
        "n,m\n1,2\n" + '"a\n",' * 300 + "x\n3,4\n",
        [(2, '{"n": "1", "m": "2"}'), (3, None), (304, '{"n": "3", "m": "4"}')],
    ),
    # Its rest has no row, so all of it is in one record.
    "a quote that never ends": ("csv", f'n\n1\n"2\n{"3,4" * LIMIT}\n5\n', [(2, '{"n": "1"}'), (3, None)]),
    "a header": ("csv", f"{LONG}\n1\n2\n", [(1, None)]),
    "a row whose object is long": ("csv", f"{'n' * 1000}\n{'x' * 1000}\n", [(2, None)]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_record_that_is_too_long_hides_no_other(tmp_path: Path, case: str, encoding: str) -> None:
    file_format, text, expected = CASES[case]
    found = read(write_file(tmp_path, "a", text.encode(encoding)), file_format)
    assert [(r.line, r.text if r.problem is None else None) for r in found] == expected
    for record in found:
        assert record.problem in (None, PROBLEM)
        assert record.problem is None or 0 < len(record.text) <= BEGINNING
        assert record.problem is None or file_format == "csv" or record.text in text, "its beginning is there"


@pytest.mark.parametrize("case", CASES)
def test_the_blocks_of_a_file_make_no_difference(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag, a quote or an escape may be cut by the end of a block, at every place."""
    file_format, text, _ = CASES[case]
    path = write_file(tmp_path, "a", text)
    whole = read(path, file_format)
    for size in (1, 7, 100):
        monkeypatch.setattr("procnet.readers.decode._BLOCK", size)
        assert read(path, file_format) == whole


class Zeros(io.RawIOBase):
    """A file of `size` equal bytes."""

    def __init__(self, size: int, byte: bytes = b"\0") -> None:
        self._left, self._byte = size, byte

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        n = min(len(buffer), self._left)
        buffer[:n] = self._byte * n
        self._left -= n
        return n


def packed(size: int, before: bytes = b"", byte: bytes = b"\0") -> bytes:
    """A gzip of `before` and equal bytes, a thousandth as large."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as stream:
        stream.write(before)
        for _ in range(size // MIB):
            stream.write((byte * (MIB // len(byte) + 1))[:MIB])
    return out.getvalue()


def tar_of(write: Callable[[tarfile.TarFile], None]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("first.json"), None)
        write(tar)
    return out.getvalue()


def long_name(tar: tarfile.TarFile) -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.size, entry.type = 64 * MIB, tarfile.GNUTYPE_LONGNAME
    tar.addfile(entry, io.BufferedReader(Zeros(entry.size, b"n")))


def many_members(tar: tarfile.TarFile) -> None:
    assert tar.fileobj is not None
    tar.fileobj.write(tarfile.TarInfo("a.json").tobuf() * 20_000)


def bzip2_member() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.json", bytes(32 * MIB))
    return out.getvalue()


# name: (format, content, problem of the last record). Each unpacks to 30 MiB or more.
BOMBS: dict[str, tuple[str, Callable[[], bytes], str | None]] = {
    "zeros as json": ("json", lambda: packed(32 * MIB), "longer than"),
    "zeros as csv": ("csv", lambda: packed(32 * MIB), "longer than"),
    "zeros as xml": ("xml", lambda: packed(32 * MIB), "longer than"),
    "zeros as evtx": ("evtx", lambda: packed(32 * MIB), "no EVTX"),
    "blanks": ("json", lambda: packed(32 * MIB, byte=b" "), None),
    "a text": ("json", lambda: packed(32 * MIB, b'{"a": "', b"a"), "longer than"),
    "braces": ("json", lambda: packed(16 * MIB, b"[", b"{"), "longer than"),
    "a cell": ("csv", lambda: packed(32 * MIB, b'n\n"', b"a" * 999 + b"\n"), "longer than"),
    "an event": ("xml", lambda: packed(32 * MIB, b"<Event>", b"a"), "longer than"),
    "a member of a zip": ("json", lambda: zipped({"a.json": bytes(32 * MIB)}), "longer than"),
    "a member of a tar": ("json", lambda: tarred({"a.json": bytes(32 * MIB)}), "longer than"),
    "a member of a zip, by bzip2": ("json", bzip2_member, "longer than"),
    "a name in a tar": ("json", lambda: tar_of(long_name), "damaged archive: a header of more than 1,048,576 bytes"),
    "many members of a tar": ("json", lambda: tar_of(many_members), None),
}  # fmt: skip


@pytest.mark.parametrize("case", BOMBS)
def test_memory_is_bounded(tmp_path: Path, case: str) -> None:
    """At the default bound a reader takes 16 MiB at most."""
    file_format, content, problem = BOMBS[case]
    path = write_file(tmp_path, "a", content())
    tracemalloc.start()
    try:
        found = [record.problem for _, record in read_records(str(path), file_format)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found[-1] or "")[: len(problem)] == problem if problem else found == []
    assert len(found) <= 2
    assert peak < 24 * MIB, f"{peak / MIB:.0f} MiB"


def test_a_long_array_is_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is searched for in the rest of the buffer for each of its elements."""
    searches: list[int] = []
    original = json_lines._next_begin
    monkeypatch.setattr(json_lines, "_next_begin", lambda text: searches.append(1) or original(text))
    path = write_file(tmp_path, "a.json", f"[{','.join(map(one, range(5000)))}]")
    assert [r.text for r in read(path, "json")] == [one(n) for n in range(5000)]
    assert len(searches) == 1


def test_a_windows_event_of_any_length_fits() -> None:
    """Two command lines of the greatest length, with every character escaped, as fields and in the message."""
    longest = chr(0xFFFD) * 32_767
    fields = {"CommandLine": longest, "ParentCommandLine": longest}
    text = json.dumps({**fields, "Message": f"CommandLine: {longest}\nParentCommandLine: {longest}"})
    assert len(text) < MAX_RECORD * 3 / 4 + LIMIT * 10


def overlapping(members: int, size: int) -> bytes:
    """A zip whose members share the bytes of one."""
    content = zipped({"a.json": bytes(size)})
    directory = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[directory:end]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, members, members, len(entry) * members, directory, 0)
    return content[:directory] + entry * members + tail


def holes(tar: tarfile.TarFile) -> None:
    """A member of a terabyte that has no bytes."""
    entry = tarfile.TarInfo("holes.json")
    entry.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[386:482] = b"00000000000\0" * 8  # where the parts with bytes are
    header[483:495] = struct.pack(">B3xQ", 0x80, 1 << 40)  # the size with holes, base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert tar.fileobj is not None
    tar.fileobj.write(bytes(header))


NESTED = {
    "gzip in a tar.gz": lambda: tarred({"a.json.gz": packed(64 * MIB) * 2, "b.json": b"{}"}),
    "gzip in a zip": lambda: zipped({"a.json.gz": packed(64 * MIB) * 2, "b.json": b"{}"}),
    "members that share their bytes": lambda: overlapping(40, 2 * MIB),
    "holes of a tar": lambda: tar_of(holes),
}


@pytest.mark.parametrize("case", NESTED)
def test_a_file_may_not_unpack_to_any_size(tmp_path: Path, case: str) -> None:
    """More than 1,100 times its size, and more than 64 MiB."""
    path = write_file(tmp_path, "a", NESTED[case]())
    found = read(path, "json", MAX_RECORD)
    assert found[-1].problem == (
        "unreadable archive: it unpacks to more than 1,100 times its size; the rest is not read"
    )
    assert len(found) <= 40


def test_a_member_with_a_password_hides_no_other(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.json": one(1).encode(), "b.json": one(2).encode()}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    first, second = read(write_file(tmp_path, "a.zip", bytes(content)), "json")
    assert (first.problem or "").startswith("unreadable archive: ")
    assert second == Record(1, one(2))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_the_methods_of_a_zip(tmp_path: Path, method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in ("in/a.json", "b.json"):
            archive.writestr(name, "".join(f"{one(n)}\n" for n in range(9000)))
    found = list(read_records(str(write_file(tmp_path, "a.zip", out.getvalue())), "json"))
    assert [r for _, r in found] == [Record(n + 1, one(n)) for n in range(9000)] * 2


def test_an_evtx_chunk_with_a_ring_is_broken(tmp_path: Path) -> None:
    """A list of names that leads back to its beginning: the package would follow it for ever."""
    chunk = bytearray(65536)
    chunk[:8] = b"ElfChnk\0"
    chunk[128:132] = chunk[1000:1004] = struct.pack("<I", 1000)
    header = b"ElfFile\0" + struct.pack("<QQQIHHHH", 0, 0, 1, 128, 1, 3, 4096, 1)
    found = read(write_file(tmp_path, "a.evtx", header.ljust(4096, b"\0") + bytes(chunk)), "evtx")
    assert found == [Record(0, "", "broken EVTX chunk")]


def test_an_error_that_no_reader_expects_is_a_problem_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def split(*_: object) -> None:
        raise OverflowError("too large")

    monkeypatch.setitem(__import__("procnet.readers.formats", fromlist=["_"])._SPLITTERS, "json", split)
    path = write_file(tmp_path, "a.zip", zipped({"a.json": b"{}", "b.json": b"{}"}))
    assert read(path, "json") == [Record(1, "", "unreadable file: OverflowError: too large")] * 2


def test_the_reason_names_the_setting() -> None:
    assert re.search(r"ingest\.max_record", PROBLEM)
