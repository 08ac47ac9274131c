"""Files of every kind into records: containers, encodings, damage. What cannot be read never hides the rest.

No Spark. All texts are made up; Windows' own log files lie outside of the project and are read when the test runs.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from procnet.readers.formats import read_records
from procnet.readers.record import Record
from real_records import DATA

Told = tuple[int, str]


def read(path: Path, kind: str) -> list[Record]:
    return [record for _, record in read_records(str(path), kind)]


def told(path: Path, kind: str) -> list[Told]:
    """(line, text) of records of which none has a problem."""
    records = read(path, kind)
    assert [r.problem for r in records if r.problem] == []
    return [(r.line, r.text) for r in records]


def made(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- XML ------------------------------------------------------------------------------------------------------------
SPACE = "http://schemas.microsoft.com/win/2004/08/events/event"


def event(n: int) -> str:
    return f"<Event xmlns='{SPACE}'><System><EventID>{n}</EventID></System></Event>"


def pretty(n: int) -> str:
    return f"<Event>\n  <System>\n    <EventID>{n}</EventID>\n  </System>\n</Event>"


CUT = event(8)[:70]  # without its end tag
XML: dict[str, tuple[str, list[Told]]] = {
    "one a line": (f"{event(1)}\n{event(2)}\n", [(1, event(1)), (2, event(2))]),
    "no line break at the end": (f"{event(1)}\n{event(2)}", [(1, event(1)), (2, event(2))]),
    "line breaks of Windows": (f"{event(1)}\r\n\r\n{event(2)}\r\n", [(1, event(1)), (3, event(2))]),
    "over lines": (f"{pretty(1)}\n\n{pretty(2)}\n", [(1, pretty(1)), (7, pretty(2))]),
    "all on one line": (event(1) + event(2) + event(3), [(1, event(1)), (1, event(2)), (1, event(3))]),
    "in a list": (
        f"<?xml version='1.0' encoding='utf-8'?>\n<Events>\n{event(1)}\n{pretty(2)}\n</Events>\n",
        [(3, event(1)), (4, pretty(2))],
    ),
    "in a list on one line": (
        f"<?xml version='1.0'?><Events a='b'>{event(1)},{event(2)}</Events>",
        [(1, event(1)), (1, event(2))],
    ),
    # The names begin alike, and are others.
    "names that begin as an event's": (
        "<Event><EventData><EventX>1</EventX></EventData></Event>",
        [(1, "<Event><EventData><EventX>1</EventX></EventData></Event>")],
    ),
    # What was cut stays a record of its own, and with the line break that ends it.
    "cut in the middle": (f"{event(1)}\n{CUT}\n{event(2)}\n", [(1, event(1)), (2, f"{CUT}\n"), (3, event(2))]),
    "cut in the middle of one line": (event(1) + CUT + event(2), [(1, event(1)), (1, CUT), (1, event(2))]),
    "two cut": (f"{CUT}\n{CUT}\n{event(2)}\n", [(1, f"{CUT}\n"), (2, f"{CUT}\n"), (3, event(2))]),
    "cut at the end": (f"{event(1)}\n\n{CUT}\n", [(1, event(1)), (3, CUT)]),
    "cut in its name": (f"{event(1)}\n<Eve", [(1, event(1)), (2, "<Eve")]),
    "junk between": (f"{event(1)}\nerror 5\n{event(2)}\n", [(1, event(1)), (2, "error 5\n"), (3, event(2))]),
    "junk before and behind": (
        f"C:\\> wevtutil\n{event(1)}\ndone",
        [(1, "C:\\> wevtutil\n"), (2, event(1)), (3, "done")],
    ),
    "nothing but blanks": (" \r\n\t\n", []),
    "no event": ("<Events>\n</Events>", []),
    "empty": ("", []),
}  # fmt: skip


@pytest.mark.parametrize("case", XML)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_xml(tmp_path: Path, case: str, encoding: str) -> None:
    text, expected = XML[case]
    assert told(made(tmp_path, "a.xml", text.encode(encoding)), "xml") == expected


def test_xml_across_the_blocks_of_a_file(tmp_path: Path) -> None:
    """Tags, and characters of two bytes, lie on the border of what is read at once."""
    texts = [f"<Event><Data>{'é' * (n % 977)}</Data></Event>" for n in range(4000)]
    path = made(tmp_path, "a.xml", "\n".join(texts))
    assert path.stat().st_size > 3 << 20
    assert told(path, "xml") == list(enumerate(texts, 1))


def test_a_bad_byte_is_one_bad_character(tmp_path: Path) -> None:
    assert told(made(tmp_path, "a.xml", b"<Event>\xff</Event>\n<Event/>x</Event>"), "xml")[0] == (1, "<Event>�</Event>")


# --- JSON -----------------------------------------------------------------------------------------------------------
JSON: dict[str, tuple[str, list[Told]]] = {
    "one a line": ('{"a": 1}\n{"a": 2}\n', [(1, '{"a": 1}'), (2, '{"a": 2}')]),
    "line breaks of Windows": ('{"a": 1}\r\n\r\n{"a": 2}', [(1, '{"a": 1}'), (3, '{"a": 2}')]),
    "an array": ('[{"a": 1},\n {"a": [2]}]\n', [(1, '{"a": 1}'), (2, '{"a": [2]}')]),
    "over lines": ('{\n  "a": 1\n}\n{\n  "a": 2\n}\n', [(1, '{\n  "a": 1\n}'), (4, '{\n  "a": 2\n}')]),
    "two on a line": ('{"a": 1}{"a": 2}\n{"a": 3}', [(1, '{"a": 1}'), (1, '{"a": 2}'), (2, '{"a": 3}')]),
    "cut in the middle": ('{"a": 1}\n{"a": \n{"a": 3}\n', [(1, '{"a": 1}'), (2, '{"a":'), (3, '{"a": 3}')]),
    "cut at the end": ('{"a": 1}\n{"a": "x', [(1, '{"a": 1}'), (2, '{"a": "x')]),
    "cut over lines": (
        '{\n  "a": 1,\n{\n  "a": 2\n}\n{\n  "a": ',
        [(1, '{\n  "a": 1'), (3, '{\n  "a": 2\n}'), (6, '{\n  "a":')],
    ),
    "junk between": ('{"a": 1}\nerror 5\n{"a": 2}', [(1, '{"a": 1}'), (2, "error 5"), (3, '{"a": 2}')]),
    "nothing but blanks": (" \n\r\n", []),
    "an empty array": ("[]", []),
    "empty": ("", []),
}


@pytest.mark.parametrize("case", JSON)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json(tmp_path: Path, case: str, encoding: str) -> None:
    text, expected = JSON[case]
    assert told(made(tmp_path, "a.json", text.encode(encoding)), "json") == expected


# --- CSV ------------------------------------------------------------------------------------------------------------
CSV: dict[str, tuple[str, list[tuple[int, dict[str, str]]]]] = {
    "plain": ("a,b\n1,2\n3,4\n", [(2, {"a": "1", "b": "2"}), (3, {"a": "3", "b": "4"})]),
    "no line break at the end": ("a,b\r\n1,2", [(2, {"a": "1", "b": "2"})]),
    "tabs": ("a\tb\n1,5\t2\n", [(2, {"a": "1,5", "b": "2"})]),
    "one column": ("a\n1\n", [(2, {"a": "1"})]),
    "cells of several lines": (
        'a,Message\n1,"x: 1\r\ny: ""2"""\n3,z\n',
        [(2, {"a": "1", "Message": 'x: 1\r\ny: "2"'}), (4, {"a": "3", "Message": "z"})],
    ),
    "blank lines": ("a,b\n\n1,2\n\n3,4\n", [(3, {"a": "1", "b": "2"}), (5, {"a": "3", "b": "4"})]),
    "blanks around names": (" a , b\n1, 2\n", [(2, {"a": "1", "b": " 2"})]),
    "empty cells": ("a,b\n,\n", [(2, {"a": "", "b": ""})]),
    "unicode": ("a,b\né,\u2028\n", [(2, {"a": "é", "b": "\u2028"})]),
    "a header alone": ("a,b\n", []),
    "empty": ("", []),
}


@pytest.mark.parametrize("case", CSV)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_csv(tmp_path: Path, case: str, encoding: str) -> None:
    text, expected = CSV[case]
    found = told(made(tmp_path, "a.csv", text.encode(encoding)), "csv")
    assert [(line, json.loads(row)) for line, row in found] == expected


def test_a_csv_row_of_another_width_does_not_end_the_file(tmp_path: Path) -> None:
    path = made(tmp_path, "a.csv", "a,b\n1\n1,2,3\n4,5\n")
    assert read(path, "csv") == [
        Record(2, '["1"]', "1 cells under 2 names"),
        Record(3, '["1", "2", "3"]', "3 cells under 2 names"),
        Record(4, '{"a": "4", "b": "5"}'),
    ]


def test_a_csv_quote_that_never_ends_is_told(tmp_path: Path) -> None:
    """No row of it can be told from text: the rest is one record, and it has a problem."""
    first, rest = read(made(tmp_path, "a.csv", 'a,b\n1,2\n"3,4\n5,6\n'), "csv")
    assert (first.line, first.problem, rest.line, rest.problem) == (2, None, 3, "1 cells under 2 names")


def test_long_csv_cells(tmp_path: Path) -> None:
    """A script block is longer than the 128 KB at which Python's reader gives up."""
    cell = "x y\n" * 100_000
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b"], [cell, "1"], ["2", "3"]])
    found = told(made(tmp_path, "a.csv", text.getvalue()), "csv")
    assert [(line, json.loads(row)) for line, row in found] == [
        (2, {"a": cell, "b": "1"}),
        (100_003, {"a": "2", "b": "3"}),
    ]


# --- Archives -------------------------------------------------------------------------------------------------------
def lines(*numbers: int) -> bytes:
    return b"".join(b'{"n": %d}\n' % n for n in numbers)


def many(count: int) -> bytes:
    """Lines that do not pack well, so that half of the packed bytes holds about half of them."""
    return lines(*(n * n * 7919 % 1_000_003 for n in range(count)))


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


def locked(content: bytes) -> bytes:
    """A zip of one member that says that it has a password: bit 0 of the flags, in both headers."""
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
# The name of a file does not say what it is: its first bytes do.
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
    path = made(tmp_path, name, content)
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


@pytest.mark.parametrize("kind", HALF)
def test_half_an_archive(tmp_path: Path, kind: str) -> None:
    whole = HALF[kind]()
    path = made(tmp_path, f"a.{kind}", whole[: len(whole) // 2])
    found = list(read_records(str(path), "json"))
    assert [n for n, (_, r) in enumerate(found) if r.problem] == [len(found) - 1]
    file, last = found[-1]
    assert last.problem is not None
    if kind == "zip":  # its list of members stands at the end
        assert (file, last.problem[:16]) == (str(path), "damaged archive:")
        assert len(found) == 1
        return
    assert last.problem.startswith("damaged gzip: ")
    assert file == str(path) + ("!second.json" if kind == "tar.gz" else "")
    rows = [r for f, r in found[:-1] if f == file]
    assert 7000 < len(rows) < 13_000
    assert [r.text for r in rows] == many(20_000).decode().splitlines()[: len(rows)]
    assert [r.line for r in (*rows, last)] == list(range(1, len(rows) + 2))
    assert len(found) == len(rows) + (2 if kind == "tar.gz" else 1)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("xml", "".join(event(n * n * 7919) + "\n" for n in range(2000))),
     ("csv", "a,b\n" + "".join(f"{n},{n * n * 7919}\n" for n in range(4000)))],
)  # fmt: skip
def test_half_a_gzip_of_another_kind(tmp_path: Path, kind: str, text: str) -> None:
    packed = gzip.compress(text.encode())
    whole = told(made(tmp_path, f"whole.{kind}.gz", packed), kind)
    found = read(made(tmp_path, f"half.{kind}.gz", packed[: len(packed) // 2]), kind)
    assert [n for n, r in enumerate(found) if r.problem] == [len(found) - 1]
    assert (found[-1].problem or "").startswith("damaged gzip: ")
    # XML keeps the event that the cut went through, as the text that is left of it.
    good = [(r.line, r.text) for r in found[:-1]]
    kept = good[:-1] if kind == "xml" else good
    assert kept == whole[: len(kept)]
    assert len(whole) / 4 < len(kept) < len(whole) * 3 / 4


BROKEN: dict[str, tuple[bytes, str]] = {
    "a zip with a password": (locked(zipped({"a.json": lines(1)})), "unreadable archive: "),
    "the beginning of a zip": (b"PK\x03\x04 and no more", "damaged archive: "),
    "the beginning of a gzip": (b"\x1f\x8b", "damaged gzip: "),
    "a gzip of no known method": (b"\x1f\x8b\x00" + b"\0" * 30, "damaged gzip: "),
    "a gzip with a bad block": (gzip.compress(many(50))[:30] + b"\xff" * 40, "damaged gzip: "),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("kind", ["json", "xml", "csv", "evtx"])
def test_broken(tmp_path: Path, case: str, kind: str) -> None:
    content, problem = BROKEN[case]
    # A member must be of the kind to be opened at all.
    content = content.replace(b"a.json", f"a.{kind}".encode()) if len(kind) == 4 else content
    if case == "a zip with a password" and len(kind) != 4:
        content = locked(zipped({f"a.{kind}": lines(1)}))
    found = read(made(tmp_path, "a.zip", content), kind)
    assert [r.problem is not None for r in found] == [False] * (len(found) - 1) + [True]
    assert (found[-1].problem or "").startswith(problem)


@pytest.mark.parametrize("kind", ["json", "xml", "csv", "evtx"])
def test_no_such_file(tmp_path: Path, kind: str) -> None:
    """It was there when the folder was listed: one more thing that must not end the job."""
    path = str(tmp_path / "gone")
    assert list(read_records(path, kind)) == [(path, Record(1, "", "unreadable file: No such file or directory"))]


@pytest.mark.parametrize("kind", ["json", "xml", "csv"])
def test_an_empty_gzip(tmp_path: Path, kind: str) -> None:
    assert read(made(tmp_path, "a.gz", gzip.compress(b"")), kind) == []


# --- EVTX -----------------------------------------------------------------------------------------------------------
SYSMON = DATA / "ocsf_examples" / "sysmon.evtx"
SIGMA = DATA / "sigma_regression"
HEADER, CHUNK = 4096, 65536
PER_CHUNK = [41, 40, 39, 43, 43, 39, 40, 51, 22]  # records of sysmon.evtx, as its chunks' headers number them

samples = [
    pytest.mark.records,
    pytest.mark.skipif(not SYSMON.is_file(), reason=f"no sample records at {SYSMON}"),
]


def with_marks(function: Callable[..., None]) -> Callable[..., None]:
    for mark in samples:
        function = mark(function)
    return function


def event_ids(records: list[Record]) -> Counter[int]:
    """Of the records without a problem; an id is a number, or an object where it has qualifiers."""
    return Counter(json.loads(r.text)["Event"]["System"]["EventID"] for r in records if r.problem is None)


@with_marks
def test_evtx() -> None:
    """Behind the nine chunks in use lie eight of garbage; and the header, never closed, says that one is in use."""
    found = read(SYSMON, "evtx")
    assert [r.problem for r in found if r.problem] == []
    assert len(found) == sum(PER_CHUNK) == 358
    assert {n: event_ids(found)[n] for n in (1, 3)} == {1: 227, 3: 2}
    assert [r.line for r in found] == list(range(1742, 2100))


@with_marks
@pytest.mark.parametrize("chunk", [0, 1, 7])
def test_a_broken_evtx_chunk_costs_its_own_events(tmp_path: Path, chunk: int) -> None:
    data = bytearray(SYSMON.read_bytes())
    at = HEADER + chunk * CHUNK
    assert data[at : at + 8] == b"ElfChnk\0"
    data[at : at + 8] = b"\0broken\0"
    found = read(made(tmp_path, "a.evtx", bytes(data)), "evtx")
    first = 1742 + sum(PER_CHUNK[:chunk])
    kept = [n for n in range(1742, 2100) if not first <= n < first + PER_CHUNK[chunk]]
    assert [r.line for r in found if r.problem is None] == kept
    assert [(r.line, r.problem) for r in found if r.problem] == [(chunk, "broken EVTX chunk")]


@with_marks
def test_a_cut_evtx(tmp_path: Path) -> None:
    """Cut in the middle of the third chunk."""
    data = SYSMON.read_bytes()[: HEADER + 2 * CHUNK + CHUNK // 2]
    found = read(made(tmp_path, "a.evtx", data), "evtx")
    assert [r.line for r in found if r.problem is None] == list(range(1742, 1742 + sum(PER_CHUNK[:2])))
    assert [r.problem for r in found if r.problem] == ["cut EVTX: chunks are missing at the end"]


@with_marks
def test_evtx_in_archives(tmp_path: Path) -> None:
    path = made(tmp_path, "a.zip", zipped({"in/b.evtx": SYSMON.read_bytes(), "in/c.txt": b"x"}))
    found = list(read_records(str(path), "evtx"))
    assert {file for file, _ in found} == {f"{path}!in/b.evtx"}
    assert [r.problem for _, r in found] == [None] * 358


@pytest.mark.records
@pytest.mark.skipif(not SIGMA.is_dir(), reason=f"no sample records at {SIGMA}")
def test_evtx_is_what_another_reader_made_of_it() -> None:
    """Beside each file lies its event as JSON, with one digit more in its time."""
    files = sorted(SIGMA.glob("*.evtx"))
    assert len(files) == 3
    for file in files:
        (record,) = read(file, "evtx")
        assert record.problem is None
        found = json.loads(record.text)
        expected = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        times = [e["Event"]["System"].pop("TimeCreated")["#attributes"]["SystemTime"] for e in (found, expected)]
        assert found == expected
        assert times[0].rstrip("Z") == times[1][:26]


NO_EVTX = {
    "text": b"hello", "empty": b"", "its first bytes": b"ElfFile\0", "half a header": b"ElfFile\0" + b"\0" * 50,
    "zeros": b"ElfFile\0" + b"\0" * (HEADER + CHUNK), "another log": b"LfLe" * 2000,
}  # fmt: skip


@pytest.mark.parametrize("case", NO_EVTX)
def test_no_evtx(tmp_path: Path, case: str) -> None:
    (record,) = read(made(tmp_path, "a.evtx", NO_EVTX[case]), "evtx")
    assert record.text == ""
    assert record.problem
