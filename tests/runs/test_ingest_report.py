"""What is a fault of an ingest, what its message says, and which files the next ingest reads again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from procnet.runs.ingest_report import FaultyFile, IngestReport

GOOD = IngestReport("windows_flat", 0, 1000, 60, 40, 0, {}, 0, {"11": 900}, {})
GARBAGE, POOR = FaultyFile("/in/a.json", 12, 0), FaultyFile("/in/b.zip!c.json", 20, 15)

CASES: list[tuple[str, IngestReport, str | None]] = [
    ("all is well", GOOD, None),
    ("other events only", replace(GOOD, process_events=0, network_events=0, skipped={"11": 1000}), None),
    ("all files were read before", IngestReport.of_nothing("windows_flat", 3), None),
    ("no record", IngestReport.of_nothing("windows_flat", 0), "nothing usable came in: there is no record"),
    ("all quarantined", IngestReport("windows_xml", 0, 1206, 0, 0, 0, {}, 0, {}, {"no XML": 1206}, 1206),
     "of 1206 records none is one of windows_xml: no XML (1206)"),
    ("records without an event id", IngestReport("windows_flat", 0, 50, 0, 0, 0, {}, 0, {"none": 50}, {}),
     "of 50 records none is one of windows_flat: they are of another format"),
    ("the same of a source of tables", IngestReport("defender", 0, 50, 0, 0, 0, {}, 0, {"row": 50}, {}),
     "none is one of defender"),
    ("one file of several", replace(GOOD, faulty_files=(GARBAGE,)),
     "nothing usable came of 1 files: /in/a.json (12 records)"),
    ("a tenth of the wanted records", replace(GOOD, process_events=80, quarantined={"no time": 13}),
     None),
    ("more than a tenth of the wanted records", replace(GOOD, quarantined={"no time": 12}),
     "12 of 112 wanted records were quarantined: no time (12)"),
    ("one cut line in an hour of other events", replace(GOOD, process_events=0, network_events=0,
     skipped={"11": 999}, quarantined={"no JSON": 1}, unreadable=1), None),
    ("more than a tenth of all records are unreadable", replace(GOOD, quarantined={"no JSON": 101}, unreadable=101),
     "101 of 201 wanted records were quarantined: no JSON (101)"),
]  # fmt: skip


@pytest.mark.parametrize(("report", "fault"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_fault(report: IngestReport, fault: str | None) -> None:
    assert (report.fault is None) == (fault is None)
    assert fault is None or fault in str(report.fault)
    assert report.as_dict()["fault"] == report.fault


def test_a_file_without_anything_usable_is_read_again() -> None:
    digests = {"/in/a.json": "1", "/in/b.zip": "2", "/in/c.json": "3"}
    both = replace(GOOD, faulty_files=(GARBAGE, POOR))
    assert set(both.finished_files(digests)) == {"/in/b.zip", "/in/c.json"}
    too_many = replace(both, quarantined={"no time": 50})
    assert set(too_many.finished_files(digests)) == {"/in/c.json"}
    assert GOOD.finished_files(digests) == digests


def test_more_faulty_files_than_are_collected_leave_all_files_to_the_next_ingest() -> None:
    report = replace(GOOD, faulty_files=tuple(replace(GARBAGE, file=f"/in/{i}") for i in range(1000)))
    assert report.finished_files({"/in/5000": "1"}) == {}
