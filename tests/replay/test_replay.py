"""Replay: expectations files, the files of a dataset, verdicts, reports, and whole runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
import yaml
from pyspark.sql import SparkSession

from cli.command import files_of, procnet
from procnet.cli.junit import to_junit
from procnet.contract import FINDINGS
from procnet.demo.fleet import make_fleet
from procnet.detections.catalog import load_detections
from procnet.errors import ConfigError, UsageError
from procnet.replay.datasets import Recording, given_files, recordings_of
from procnet.replay.expectations import (
    DatasetEntry,
    ExpectationEntry,
    ExpectationsFile,
    expectations_file,
    parse_where,
    read_expectations,
)
from procnet.replay.replay import Dataset, ReplayReport, datasets_of
from procnet.replay.verdicts import Expectation, expectations_of, judge_expectation
from procnet.runs.ingest_report import IngestReport
from procnet.settings import default_conf_dir
from real_records import DATA

CATALOGUE = load_detections(default_conf_dir() / "detections")
HTTP, ANY_PORT = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99", "0c9a8f3e-5d0b-4a0e-9a55-6f0d1c7be2a4"
ENABLED = [d for d in CATALOGUE if d.id == HTTP]
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
HOSTILE = '\x00\x1b]0;owned\x07\ud800\ufffe <failure/> "&" ]]> \u202egpj.exe'


def written(folder: Path, values: Any) -> Path:
    file = folder / "expectations.yml"
    file.write_text(values if isinstance(values, str) else yaml.safe_dump(values), encoding="utf-8")
    return file


def one(**expected: Any) -> dict[str, Any]:
    return {"datasets": [{"source": "eqllib", "expect": [{"detection": HTTP, **expected}]}]}


# Content of an expectations file, and words of the error.
WRONG: list[tuple[Any, tuple[str, ...]]] = [
    ("datasets: [", ("not readable as YAML",)),
    ("", ("expected a mapping of keys to values (found nothing)",)),
    ({"datasets": []}, ("datasets: at least one is wanted",)),
    ({"datasets": [{"source": "eqllib"}]}, ("datasets.0: nothing is expected", "others: 0")),
    ({**one(exactly=1), "othrs": 0}, ("othrs: Extra inputs",)),
    (one(exactly=1, exact=1), ("datasets.0.expect.0.exact: Extra inputs",)),
    (one(), ("datasets.0.expect.0: how many? write exactly, at_least or at_most",)),
    (one(exactly=1, at_most=2), ("exactly says all",)),
    (one(at_least=3, at_most=2), ("no number is at least 3 and at most 2",)),
    (one(at_least=0), ("datasets.0.expect.0.at_least: ",)),
    (one(exactly=-1), ("datasets.0.expect.0.exactly: ",)),
    (one(exactly=True), ("datasets.0.expect.0.exactly: ",)),
    (one(exactly="2"), ("datasets.0.expect.0.exactly: ",)),
    (one(exactly=1, where={"dest_prt": 80}), ("expect.0.where: dest_prt: there is no field dest_prt; did you mean",)),
    (one(exactly=1, where={"event_time|gt": 5}), ("event_time is a time or a list, and where compares only text",)),
    (one(exactly=1, where={"mitre_attack": "T1"}), ("mitre_attack is a time or a list",)),
    (one(exactly=1, where={"dest_port": "http", "dest_ip": 7}), ("dest_port: expected a number", "dest_ip is text")),
    (one(exactly=1, where={}), ("expected field: value pairs, found {}",)),
    (one(exactly=1, detection="nosuch"), ("datasets.0.expect.0.detection: no detection 'nosuch' among 18",)),
    (one(exactly=1, detection="mine.yml"), ("expect.0.detection: ", "mine.yml: cannot be read")),
]  # fmt: skip


@pytest.mark.parametrize(("values", "words"), WRONG, ids=[w[0] for _, w in WRONG])
def test_the_problem_of_a_wrong_file_is_reported(tmp_path: Path, values: Any, words: tuple[str, ...]) -> None:
    file = written(tmp_path, values)
    with pytest.raises(ConfigError) as caught:
        read_expectations(file, CATALOGUE)
    assert [w for w in words if w not in caught.value.message] == [], caught.value.message
    assert caught.value.exit_code == 2
    assert all(line.startswith(f"{file}: ") for line in caught.value.message.splitlines())


def test_all_problems_of_a_file_are_reported_together(tmp_path: Path) -> None:
    values = {"datasets": [{"fils": ["a"], "expect": [{"detection": "nosuch", "exactly": 1}, {"detection": HTTP}]}]}
    with pytest.raises(ConfigError) as caught:
        read_expectations(written(tmp_path, values), CATALOGUE)
    places = [line.split(": ")[1] for line in caught.value.message.splitlines()]
    assert sorted(places) == ["datasets.0.expect.0.detection", "datasets.0.expect.1", "datasets.0.fils"]
    with pytest.raises(ConfigError, match=r"cannot be read.*\n  next: give the file by --expect"):
        read_expectations(tmp_path / "none.yml", CATALOGUE)


def test_repetitions_are_refused(tmp_path: Path) -> None:
    """By whatever name the detection goes, and in whatever order `where` is written."""
    where = {"dest_port": [80, 443], "host": "a"}
    entries = [
        {"detection": HTTP, "exactly": 1},
        {"detection": HTTP, "exactly": 1, "excluded": True},
        {"detection": HTTP, "exactly": 1, "where": where},
        {"detection": ANY_PORT, "exactly": 1},
    ]
    read_expectations(written(tmp_path, {"datasets": [{"expect": entries}, {"expect": entries}]}), CATALOGUE)
    again = [
        {"detection": "B0FD38C7", "at_least": 5},
        {"detection": HTTP, "at_most": 9, "where": {"host": "A", "dest_port": [443, 80]}},
    ]
    copy = default_conf_dir() / "detections" / "msiexec_any_port.yml"
    (tmp_path / "copy.yml").write_text(copy.read_text(encoding="utf-8"), encoding="utf-8")
    other = {"detection": "copy.yml", "exactly": 0, "where": {"host": "b"}}
    with pytest.raises(ConfigError) as caught:
        read_expectations(written(tmp_path, {"datasets": [{"expect": [*entries, *again, other]}]}), CATALOGUE)
    problems = caught.value.message.splitlines()
    assert [re.sub(r".*: datasets", "datasets", p)[:20] for p in problems] == [
        f"datasets.0.expect.{n}:"[:20] for n in (4, 5, 6)
    ]
    assert "it counts the same findings of Windows HTTP" in problems[0]
    assert "as expect.0; make them one" in problems[0]
    assert "as expect.2; make them one" in problems[1]
    assert "have one id; name one of them" in problems[2]


def test_a_detection_file_lies_beside_the_expectations_and_stands_in_for_its_id(tmp_path: Path) -> None:
    text = (default_conf_dir() / "detections" / "msiexec_any_port.yml").read_text(encoding="utf-8")
    (tmp_path / "mine.yml").write_text(text.replace("dest_port|gte: 1}", "dest_port: 8000}"), encoding="utf-8")
    quiet = {"expect": [{"detection": "mine.yml", "exactly": 1}]}
    free = {"others": None, "expect": [{"detection": ANY_PORT, "exactly": 1}]}
    values = {"others": 0, "datasets": [quiet, free]}
    expected = read_expectations(written(tmp_path, values), CATALOGUE)
    recording = Recording(("/a/b.json",), "windows_flat", None)
    first, second = datasets_of(expected, [recording, recording], CATALOGUE)
    assert len(first.detections) == len(CATALOGUE) == 18
    assert [d.path.name for d in first.detections if d.id == ANY_PORT] == ["mine.yml"]
    assert first.expected[-1].ids == {d.id for d in CATALOGUE} - {ANY_PORT}
    assert (first.expected[-1].label, first.expected[-1].wanted) == ("all other enabled detections (17)", "exactly 0")
    # Where a dataset says that others may find what they like, they do not run.
    assert [d.id for d in second.detections] == [ANY_PORT]


def test_a_shipped_file_is_found_by_its_name() -> None:
    shipped = default_conf_dir() / "expectations" / "demo.yml"
    assert expectations_file("demo") == shipped
    assert expectations_file("nosuch") == Path("nosuch")
    assert expectations_of(read_expectations(shipped, CATALOGUE), 0, ENABLED)[0].ids == {HTTP}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for name in ("day/a.json", "day/b.json.gz", "night/a.json", "night/deep/c.jsonl", "night/LICENSE", "day/odd.data"):
        (tmp_path / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / name).write_text("{}")
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["*"], ["day/a.json", "day/b.json.gz", "night/a.json", "night/deep/c.jsonl"]),
        (["a.json"], ["day/a.json", "night/a.json"]),
        (["night/a.json"], ["night/a.json"]),
        (["raw/day/a.json"], ["day/a.json"]),
        (["night"], ["night/a.json", "night/deep/c.jsonl"]),
        (["b*", "deep"], ["day/b.json.gz", "night/deep/c.jsonl"]),
        (["odd.data"], ["day/odd.data"]),
    ],
)
def test_a_dataset_means_files_by_name_path_folder_or_glob(
    tmp_path: Path, raw: Path, names: list[str], chosen: list[str]
) -> None:
    values = {"datasets": [{"files": names, "others": 0}]}
    expected = read_expectations(written(tmp_path, values), CATALOGUE)
    (recording,) = recordings_of(expected, given_files([str(raw)]), source="windows_flat", host="pc1")
    assert [str(Path(f).relative_to(raw)) for f in recording.files] == chosen
    assert (recording.source, recording.host) == ("windows_flat", "pc1")


def test_missing_files_and_sources_are_reported_together(tmp_path: Path, raw: Path) -> None:
    datasets = [{"others": 0}, {"others": 0, "source": "nosuch"}, {"others": 0, "source": "eqllib", "files": ["x*"]},
                {"others": 0, "source": "eqllib"}, {"others": 0, "source": "eqllib"}]  # fmt: skip
    expected = read_expectations(written(tmp_path, {"datasets": datasets}), CATALOGUE)
    with pytest.raises(ConfigError) as caught:
        recordings_of(expected, given_files([str(raw / "day")]), source=None, host=None)
    no_source, unknown, no_file, same = caught.value.message.splitlines()
    assert "datasets.0: no source is given for its files" in no_source
    assert "datasets.1.source: unknown source 'nosuch'; known sources: cim" in unknown
    assert "datasets.2.files: 'x*' is none of the 3 given files: a.json, b.json.gz, odd.data" in no_file
    assert "datasets.4: the same files, source and host as datasets.3; make them one" in same
    with pytest.raises(UsageError, match=r"nowhere does not exist; the nearest folder there is .*raw \(day, night\)"):
        given_files([str(raw / "nowhere")])
    assert [g.file.name for g in given_files([str(raw / "day" / "*.json"), str(raw / "night")])] == [
        "a.json", "LICENSE", "a.json", "c.jsonl",
    ]  # fmt: skip


def finding(**values: Any) -> dict[str, Any]:
    known = {"detection_id": HTTP, "detection_name": "HTTP", "event_time": NOON, "host": "ws-1", "process_id": 77,
             "process_name": "msiexec.exe", "dest_ip": "203.0.113.7", "dest_port": 443,
             "attribution": "guid"}  # fmt: skip
    return {name: values.get(name, known.get(name)) for name in FINDINGS.names}


ROWS = [
    finding(process="msiexec /i http://a/b.msi"),
    finding(dest_port=80),
    finding(excluded_by="own-servers"),
    finding(detection_id=ANY_PORT, detection_name="any port", dest_port=8000),
]


@pytest.mark.parametrize(
    ("fields", "where", "found", "ok", "why"),
    [
        ({"at_least": 2, "at_most": 2}, None, 2, True, None),
        ({"at_least": 2}, None, 2, True, None),
        ({"at_most": 2}, None, 2, True, None),
        ({"at_most": 1}, None, 2, False, None),
        ({"at_least": 3, "at_most": 4}, None, 2, False, "1 more are excluded by own-servers"),
        ({"at_least": 1, "at_most": 1, "excluded": True}, None, 1, True, None),
        ({"at_least": 3, "excluded": True}, None, 1, False, "2 more are live: no exclusion applies to them"),
        ({"at_least": 1}, {"dest_port": 80}, 1, True, None),
        ({"at_least": 1}, {"command_line|contains": "B.MSI"}, 1, True, None),
        ({"at_least": 0, "at_most": 0}, {"user|exists": True}, 0, True, None),
        ({"at_least": 1}, {"host": "WS-1", "dest_port": 81}, 0, False,
         "3 do not satisfy where; the closest one fails dest_port is 81 (it has 443)"),
        ({"at_least": 2}, {"dest_port": 443, "process_id": 77}, 1, False,
         "1 more are excluded by own-servers; 1 do not satisfy where; the closest one fails dest_port is 443"),
        ({"at_most": 0, "ids": frozenset({HTTP, ANY_PORT})}, None, 3, False, "HTTP 2, any port 1"),
        ({"at_least": 1, "ids": frozenset({"other"})}, None, 0, False, None),
    ],
)  # fmt: skip
def test_findings_are_judged(fields: dict[str, Any], where: Any, found: int, ok: bool, why: str | None) -> None:
    tree = parse_where(where)[0] if where else None
    expected = Expectation(**{"label": "x", "ids": frozenset({HTTP}), "where": tree, **fields})
    verdict = judge_expectation(expected, ROWS)
    assert (len(verdict.findings), verdict.ok) == (found, ok)
    assert (verdict.why or "").startswith(why or "")
    assert (verdict.why is None) == (why is None)


def test_bounds_in_words() -> None:
    bounds = [(2, 2), (0, 0), (1, None), (None, 3), (1, 3)]
    wanted = [Expectation("x", frozenset(), least, most).wanted for least, most in bounds]
    assert wanted == ["exactly 2", "exactly 0", "at least 1", "at most 3", "1 to 3"]


def test_junit_holds_hostile_text_and_is_read_again() -> None:
    rows = [finding(host=HOSTILE, process_name=HOSTILE, detection_name=HOSTILE)] * 7
    expectation = Expectation(f"{HOSTILE}, where host is {HOSTILE}", frozenset({HTTP}), 0, 0)
    bad, good = (
        judge_expectation(expectation, rows),
        judge_expectation(replace(expectation, label="fine", at_least=None, at_most=9), rows),
    )
    recording = Recording((f"/tmp/{HOSTILE}.json",), "windows_flat", None)
    dataset = Dataset(recording, (), (expectation,))
    done = [ReplayReport(dataset, IngestReport.of_nothing("windows_flat", 0), None, (bad, good), 3.0)] * 2
    top = Xml.fromstring(to_junit(done))
    assert (top.tag, top.get("tests"), top.get("failures"), top.get("time")) == ("testsuites", "4", "2", "6.000")
    suite = top[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("time")) == (
        "2",
        "1",
        "0",
        "3.000",
    )
    failed, passed = suite.findall("testcase")
    assert [c.get("time") for c in (failed, passed)] == ["1.500", "1.500"]
    assert passed.get("name") == "fine: at most 9"
    assert list(passed) == []
    (failure,) = failed
    assert failure.tag == "failure"
    assert failure.get("message") == "found 7, wanted exactly 0"
    assert failure.text is not None
    lines = failure.text.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "and 2 more"
    assert lines[0].startswith("2026-03-01T12:00:00.000000Z \\u0000\\u001b]0;owned\\u0007")
    text = "".join([*failed.attrib.values(), failure.text])
    assert ' <failure/> "&" ]]> ' in text
    assert re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", text) is None


def sysmon(event_id: int, second: int, **fields: Any) -> dict[str, Any]:
    base = {"EventID": event_id, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "ws-1.example"}
    image = "C:\\Windows\\System32\\msiexec.exe"
    return {**base, "@timestamp": f"2026-03-01T10:00:{second:02d}Z", "ProcessId": "77", "Image": image, **fields}


def connection(second: int, ip: str, port: int, **fields: Any) -> dict[str, Any]:
    return sysmon(3, second, DestinationIp=ip, DestinationPort=str(port), Initiated="true", **fields)


EXCLUSION = {
    "id": "own-servers", "detections": "all", "reason": "ours", "owner": "us",
    "valid_from": NOON.replace(month=1), "valid_until": NOON.replace(month=12),
    "findings": {"servers": {"dest_ip": "203.0.113.9"}, "condition": "servers"},
}  # fmt: skip


@pytest.mark.spark
@pytest.mark.long
def test_each_dataset_is_judged_by_its_own_records_and_no_lake_is_touched(spark: SparkSession, tmp_path: Path) -> None:
    """The start is in one dataset, and a connection without an image in the other: they must not be joined."""
    day = [sysmon(1, 0), connection(5, "203.0.113.7", 443), connection(6, "203.0.113.9", 443),
           connection(7, "203.0.113.7", 8080)]  # fmt: skip
    night = [connection(9, "203.0.113.8", 443, Image="<unknown process>")]
    for name, records in (("day", day), ("night", night)):
        (tmp_path / "raw").mkdir(exist_ok=True)
        (tmp_path / "raw" / f"{name}.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "own.yml").write_text(yaml.safe_dump(EXCLUSION))
    values = {
        "others": 0,
        "datasets": [
            {"files": ["day.jsonl"], "source": "windows_flat", "expect": [
                {"detection": HTTP, "exactly": 1, "where": {"dest_ip": "203.0.113.7", "process_id": 77}},
                {"detection": HTTP, "exactly": 1, "excluded": True, "where": {"excluded_by": "own-servers"}},
                {"detection": HTTP, "exactly": 2}]},
            {"files": ["night.jsonl"], "source": "windows_flat", "expect": [{"detection": ANY_PORT, "at_least": 1}]},
        ],
    }  # fmt: skip
    lake = tmp_path / "lake"
    lake.mkdir()
    enabled = ("--set", f"detections.enabled=[{HTTP}, {ANY_PORT}]", "--set", f"exclusions.enabled=[{tmp_path}/own.yml]")
    call = ("replay", tmp_path / "raw", "--expect", written(tmp_path, values), "--junit", tmp_path / "j.xml", *enabled)
    said = procnet(*call, "--lake", lake, "--json")
    assert said.code == 4, said.err
    result = json.loads(said.out)
    assert (result["ok"], result["expectations"], result["failed"], result["unused_files"]) == (False, 6, 3, [])
    first, second = result["datasets"]
    assert [(e["found"], e["ok"]) for e in first["expectations"]] == [(1, True), (1, True), (1, False), (2, False)]
    assert first["expectations"][2]["why"] == "1 more are excluded by own-servers"
    assert [f["dest_port"] for f in first["expectations"][3]["findings"]] == [443, 8080], "the other enabled detection"
    assert first["period"] == {"start": "2026-03-01T10:00:05.000000Z", "end": "2026-03-01T10:00:07.000001Z"}
    assert [(e["found"], e["ok"]) for e in second["expectations"]] == [(0, False), (0, True)]
    assert second["expectations"][0]["why"] == (
        "no finding of it: 0 of 0 process starts satisfy its process block, "
        "1 of 1 connections satisfy its network block"
    )
    suites = Xml.parse(tmp_path / "j.xml").getroot()
    assert [(s.get("name"), s.get("tests"), s.get("failures")) for s in suites] == [
        ("day.jsonl as windows_flat", "4", "2"), ("night.jsonl as windows_flat", "2", "1"),
    ]  # fmt: skip
    assert files_of(lake) == {}
    assert "3 of 6 expectations hold" in said.err


@pytest.mark.spark
@pytest.mark.long
def test_records_of_another_format_prove_nothing(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "raw.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    file = written(tmp_path, {"datasets": [{"others": 0}]})
    said = procnet("replay", tmp_path / "raw.jsonl", "--expect", file, "--source", "windows_flat", "--json")
    assert said.code == json.loads(said.out)["exit_code"] == 3
    assert "no record of raw.jsonl as windows_flat could be used; of 2 read: 2 skipped: event none" in said.err
    assert "next: procnet sources check windows_flat" in said.err


def test_a_wrong_call_ends_before_a_session_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_session(*_: object, **__: object) -> None:
        raise AssertionError("a session was opened")

    monkeypatch.setattr("procnet.cli.replay.open_session", no_session)
    (tmp_path / "a.json").write_text("{}")
    good = written(tmp_path, {"datasets": [{"source": "eqllib", "others": 0}]})
    calls = {
        "no expectations": (tmp_path / "a.json", "--expect", tmp_path / "none.yml"),
        "no dataset": (tmp_path / "b.json", "--expect", good),
        "another source": (tmp_path / "a.json", "--expect", good, "--source", "nosuch"),
        "no folder for the report": (tmp_path / "a.json", "--expect", good, "--junit", tmp_path / "none" / "j.xml"),
        "an exclusion": (tmp_path / "a.json", "--expect", good, "--set", "exclusions.enabled=[nosuch]"),
    }
    said = {what: procnet("replay", *call) for what, call in calls.items()}
    assert {what: s.code for what, s in said.items()} == dict.fromkeys(calls, 2)
    assert {what for what, s in said.items() if "\n  next: " not in s.err or "Traceback" in s.err} == set()


@pytest.mark.spark
@pytest.mark.long
def test_the_shipped_expectations_hold_for_the_demo(spark: SparkSession, tmp_path: Path) -> None:
    """On the smallest fleet, which runs each scenario twice."""
    make_fleet(tmp_path / "raw", hosts=2, hours=1, seed=3)
    said = procnet("replay", tmp_path / "raw", "--expect", "demo")
    assert said.code == 0, said.out + said.err
    assert max(map(len, said.out.splitlines())) <= 100
    assert re.search(r"^Windows HTTP Network Communication From MSIExec +at least 66 +66 +yes *$", said.out, re.M)


def test_every_key_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")
    keys = {k for m in (ExpectationsFile, DatasetEntry, ExpectationEntry) for k in m.model_fields}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == keys


@pytest.mark.spark
@pytest.mark.long
@pytest.mark.records
@pytest.mark.skipif(not (DATA / "eqllib").is_dir(), reason=f"no real records at {DATA}")
def test_real_records_hold_what_is_surely_in_them(spark: SparkSession) -> None:
    said = procnet("replay", DATA, "--expect", Path(__file__).parent / "family.yml", "--json")
    assert said.code == 0, said.out + said.err
    result = json.loads(said.out)
    assert [len(d["expectations"]) for d in result["datasets"]] == [2, 2, 2, 1, 1]
    installer, shipped = result["datasets"][0]["expectations"]
    assert (installer["found"], shipped["found"]) == (2, 0)
    assert {(f["process_id"], f["dest_ip"], f["dest_port"]) for f in installer["findings"]} == {
        (1952, "192.168.162.135", 8000)
    }
    assert {f["event_time"][:10] for f in installer["findings"]} == {"2018-12-04"}
