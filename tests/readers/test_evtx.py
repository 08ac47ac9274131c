"""Windows event log files, complete, cut or broken. The real ones are not in the repository: tests skip."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from procnet.readers.formats import read_records
from procnet.readers.record import Record
from readers.record_files import read, write_file, zipped
from real_records import DATA

SYSMON = DATA / "ocsf_examples" / "sysmon.evtx"
SIGMA = DATA / "sigma_regression"
HEADER, CHUNK = 4096, 65536
PER_CHUNK = [41, 40, 39, 43, 43, 39, 40, 51, 22]  # records of sysmon.evtx, as its chunks' headers number them


def needs_sysmon(function: Callable[..., None]) -> Callable[..., None]:
    """Skips a test where the real file is absent."""
    skip = pytest.mark.skipif(not SYSMON.is_file(), reason=f"no sample records at {SYSMON}")
    return pytest.mark.records(skip(function))  # type: ignore[no-any-return]


def event_ids(records: list[Record]) -> Counter[int]:
    """Number of records without a problem by event id, which is an object where it has qualifiers."""
    return Counter(json.loads(r.text)["Event"]["System"]["EventID"] for r in records if r.problem is None)


@needs_sysmon
def test_evtx() -> None:
    """Eight chunks of garbage follow the nine in use; the header, which was never closed, declares one chunk."""
    found = read(SYSMON, "evtx")
    assert [r.problem for r in found if r.problem] == []
    assert len(found) == sum(PER_CHUNK) == 358
    assert {n: event_ids(found)[n] for n in (1, 3)} == {1: 227, 3: 2}
    assert [r.line for r in found] == list(range(1742, 2100))


@needs_sysmon
@pytest.mark.parametrize("chunk", [0, 1, 7])
def test_a_broken_evtx_chunk_costs_its_own_events(tmp_path: Path, chunk: int) -> None:
    data = bytearray(SYSMON.read_bytes())
    at = HEADER + chunk * CHUNK
    assert data[at : at + 8] == b"ElfChnk\0"
    data[at : at + 8] = b"\0broken\0"
    found = read(write_file(tmp_path, "a.evtx", bytes(data)), "evtx")
    first = 1742 + sum(PER_CHUNK[:chunk])
    readable = [n for n in range(1742, 2100) if not first <= n < first + PER_CHUNK[chunk]]
    assert [r.line for r in found if r.problem is None] == readable
    assert [(r.line, r.problem) for r in found if r.problem] == [(chunk, "broken EVTX chunk")]


@needs_sysmon
def test_a_cut_evtx(tmp_path: Path) -> None:
    """Cut in the middle of the third chunk."""
    data = SYSMON.read_bytes()[: HEADER + 2 * CHUNK + CHUNK // 2]
    found = read(write_file(tmp_path, "a.evtx", data), "evtx")
    assert [r.line for r in found if r.problem is None] == list(range(1742, 1742 + sum(PER_CHUNK[:2])))
    assert [r.problem for r in found if r.problem] == ["cut EVTX: chunks are missing at the end"]


@needs_sysmon
def test_evtx_in_archives(tmp_path: Path) -> None:
    path = write_file(tmp_path, "a.zip", zipped({"in/b.evtx": SYSMON.read_bytes(), "in/c.txt": b"x"}))
    found = list(read_records(str(path), "evtx"))
    assert {file for file, _ in found} == {f"{path}!in/b.evtx"}
    assert [r.problem for _, r in found] == [None] * 358


@pytest.mark.records
@pytest.mark.skipif(not SIGMA.is_dir(), reason=f"no sample records at {SIGMA}")
def test_evtx_equals_the_output_of_another_reader() -> None:
    """Each file has its event beside it as JSON, with one digit more in its time."""
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
    (record,) = read(write_file(tmp_path, "a.evtx", NO_EVTX[case]), "evtx")
    assert record.text == ""
    assert record.problem
