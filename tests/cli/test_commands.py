"""Every command, called as by a user, on one small lake."""

from __future__ import annotations

import csv
import gzip
import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from cli.command import CommandResult, files_of, procnet
from procnet.cli.demo import print_demo
from procnet.contract import FINDINGS, PROCESS_EVENTS, TABLES
from procnet.demo.demo import Demo, Detected, Score
from procnet.demo.fleet import make_fleet
from procnet.demo.splunk_search import SplunkScore
from procnet.runs.ingest_report import IngestReport
from procnet.settings import default_conf_dir

pytestmark = pytest.mark.spark
MSIEXEC = "b0fd38c7-f71a-43a2-870e-f3ca06bcdd99"
ANY_PORT = default_conf_dir() / "detections" / "msiexec_any_port.yml"
PERIOD = ("--start", "2026-03-01T10:00:00Z", "--end", "2026-03-01T11:00:00Z")
LONG_ADDRESS = "2001:db8:1111:2222:3333:4444:5555:6666"
# Escape sequences of a terminal, a formula, markup, a mark that reverses the direction of the text after it.
HOSTILE = "=cmd|'/C calc'!A0 \x1b[31m\x1b]0;owned\x07 <script>alert(1)</script> [bold]\u202egpj.exe\u2028\n+1"
HOSTILE_HOST = "=pc\x1b[2j\u202e<b>"


def sysmon(event_id: int, second: int, **fields: Any) -> dict[str, Any]:
    base = {"EventID": event_id, "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "WS-1.example"}
    image = "C:\\Windows\\System32\\msiexec.exe"
    return {**base, "@timestamp": f"2026-03-01T10:00:{second:02d}Z", "ProcessId": "77", "Image": image, **fields}


def connection(second: int, ip: str, port: int, **fields: Any) -> dict[str, Any]:
    return sysmon(3, second, DestinationIp=ip, DestinationPort=str(port), Initiated="true", **fields)


RECORDS = (
    sysmon(1, 0, CommandLine=HOSTILE, User=HOSTILE),
    connection(5, "203.0.113.7", 443, DestinationHostname="=evil.example"),
    connection(6, "203.0.113.7", 8080),
    sysmon(1, 0, Hostname=HOSTILE_HOST, Image="C:\\a\\@\x1b[1mupdate.exe", OriginalFileName="msiexec.exe"),
    connection(7, LONG_ADDRESS, 80, Hostname=HOSTILE_HOST, Image="C:\\a\\@\x1b[1mupdate.exe"),
)
BAD = (json.dumps(RECORDS[1])[:60], json.dumps(sysmon(5, 9, ProcessId="many")))


@dataclass(frozen=True)
class CommandRuns:
    """The result of each command, in order; the lake and the folder of raw records."""

    lake: Path
    raw: Path
    results: dict[str, CommandResult]


@pytest.fixture(scope="module")
def ran(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> CommandRuns:
    raw, lake, out = (tmp_path_factory.mktemp(n) for n in ("raw", "lake", "out"))
    (raw / "mixed.jsonl").write_text("\n".join([*map(json.dumps, RECORDS), *BAD]) + "\n", encoding="utf-8")
    ends = "\n".join(json.dumps(sysmon(5, 9, ProcessId=str(900 + n), RecordNumber=n * n * 7919)) for n in range(400))
    packed = gzip.compress(ends.encode())
    (raw / "cut.json.gz").write_bytes(packed[: len(packed) // 2])
    at = ("--lake", lake)
    ingest = ("ingest", *at, "--source", "windows_flat")
    # A file of the kernel that anyone can open and no one can read.
    unreadable = [p for p in (Path("/proc/self/mem"),) if p.exists()]
    calls: dict[str, tuple[object, ...]] = {
        "init": ("init", *at),
        "ingest": (*ingest, raw, *unreadable, "--json"),
        "detect now": ("detect", *at, "--json"),
        "backfill": ("backfill", *at, *PERIOD, "--json"),
        "backfill again": ("backfill", *at, *PERIOD),
        "detect by file": ("detect", *at, *PERIOD, "--detection", ANY_PORT, "--json"),
        "table": ("findings", *at, "--detection", "b0fd38c7"),
        "json": ("findings", *at, "--format", "json", "--detection", MSIEXEC),
        "csv": ("findings", *at, "--format", "csv"),
        "parquet": ("findings", *at, "--format", "parquet", "--output", out / "p", "--json"),
        "to a file": ("findings", *at, "--format", "csv", "--output", out / "f.csv"),
        "of a host": ("findings", *at, "--host", "WS-1", "--json"),
        "of an hour": ("findings", *at, "--start", "2026-03-01T11:00:00Z", "--end", "2026-03-01T12:00:00Z", "--json"),
        "check": ("sources", "check", "windows_flat", raw / "mixed.jsonl"),
        "status": ("status", *at),
        "status --json": ("status", *at, "--last", "1", "--json"),
    }
    results = {what: procnet(*argv) for what, argv in calls.items()}
    results["files"] = CommandResult(0, (out / "f.csv").read_text(encoding="utf-8"), str(out / "p"))
    return CommandRuns(lake, raw, results)


def test_every_command_ends_well_and_json_is_one_object_on_stdout(ran: CommandRuns) -> None:
    # Nothing usable came of the file that no one can read, which the ingest says with exit code 5.
    expected = {"ingest": 5} if Path("/proc/self/mem").exists() else {}
    assert {what: s.code for what, s in ran.results.items() if s.code} == expected
    with_json = ("ingest", "detect now", "backfill", "detect by file", "parquet", "of a host", "of an hour",
             "status --json")  # fmt: skip
    for what in with_json:
        assert ran.results[what].out.count("\n") == 1, what
        assert isinstance(json.loads(ran.results[what].out), dict), what


def test_init_names_the_tables(ran: CommandRuns) -> None:
    lines = ran.results["init"].out.splitlines()[1:]
    assert {line.split()[0] for line in lines} == set(TABLES)
    assert all(line.split()[-1] == "new" for line in lines)


def test_ingest_keeps_what_it_cannot_use_with_reason_file_and_line(spark: SparkSession, ran: CommandRuns) -> None:
    result = json.loads(ran.results["ingest"].out)
    reasons = {reason.partition(":")[0]: n for reason, n in result["quarantined"].items()}
    unreadable = {"unreadable file": 1} if Path("/proc/self/mem").exists() else {}
    assert reasons == {"damaged gzip": 1, "no JSON": 1, "process_id is no number": 1, **unreadable}
    assert result["process_events"] > 100, "rows before the cut are read"
    assert result["network_events"] == 3
    rows = spark.read.format("delta").load(str(ran.lake / "quarantine")).where("file like '%mixed.jsonl'").collect()
    mixed = str(ran.raw / "mixed.jsonl")
    assert {(r.file, r.line, r.reason, r.raw) for r in rows} == {
        (mixed, 6, "no JSON", BAD[0]), (mixed, 7, "process_id is no number", BAD[1]),
    }  # fmt: skip


def test_detect_without_times_takes_the_last_complete_hour(ran: CommandRuns) -> None:
    result = json.loads(ran.results["detect now"].out)
    end = datetime.fromisoformat(result["end"].replace("Z", "+00:00"))
    late = (datetime.now(timezone.utc) - end).total_seconds()
    assert 600 <= late < 4800, "ten minutes' delay, an hour's grid, and what the tests themselves take"
    assert end.minute == 0
    assert result["status"] == "nothing_to_read"


def test_what_a_backfill_has_done_is_not_done_again(ran: CommandRuns) -> None:
    result = json.loads(ran.results["backfill"].out)
    assert result["findings"] == 2
    assert [c["status"] for c in result["chunks"]] == ["succeeded"]
    assert result["skipped"] == []
    assert "0 chunks evaluated, 0 findings; 1 were done already" in ran.results["backfill again"].err


def test_a_detection_is_tried_by_its_file(ran: CommandRuns) -> None:
    assert json.loads(ran.results["detect by file"].out)["counts"]["findings"] == 3, "port 8080 too"
    assert json.loads(ran.results["of an hour"].out) == {"findings": []}
    assert len(json.loads(ran.results["of a host"].out)["findings"]) == 3, (
        "two of ws-1's connections, one of them twice"
    )


def test_findings_are_readable_at_100_columns(ran: CommandRuns) -> None:
    head, plain, long, *rest = ran.results["table"].out.splitlines()
    assert rest == []
    assert head.split() == ["time", "severity", "detection", "host", "user", "process", "destination"]
    assert max(map(len, (head, plain, long))) <= 100
    assert plain.startswith("2026-03-01 10:00:05  ")
    assert "  ws-1  " in plain
    assert plain.rstrip().endswith(":443")
    assert "2026-03-01 10:00:07" in long
    note, count = ran.results["table"].err.splitlines()
    assert note.startswith("a destination in parentheses is a name that this process may not have asked for")
    assert count == "2 findings"


def test_hostile_text_gives_no_orders(ran: CommandRuns) -> None:
    for what in ("table", "json", "csv", "status"):
        said = ran.results[what].out
        assert [c for c in said if c not in "\r\n" and unicodedata.category(c)[0] == "C"] == [], what
    assert "=pc\\u" in ran.results["table"].out


def test_hostile_text_is_itself_in_json(ran: CommandRuns) -> None:
    rows = [json.loads(line) for line in ran.results["json"].out.split("\n")[:-1]]
    assert [(r["event_time"], r["host"], r["process"]) for r in rows] == [
        ("2026-03-01T10:00:05.000000Z", "ws-1.example", HOSTILE),
        ("2026-03-01T10:00:07.000000Z", HOSTILE_HOST, None),
    ]
    assert list(rows[0]) == FINDINGS.names


def test_hostile_text_is_no_formula_in_csv(ran: CommandRuns) -> None:
    head, *rows = csv.reader(StringIO(ran.results["csv"].out))
    assert head == FINDINGS.names
    assert len(rows) == 5, "one line a finding, whatever a command line holds"
    assert [cell for row in rows for cell in row if cell[:1] in set("=+-@\t\r\n")] == []
    assert "'=evil.example" in rows[0] + rows[1]


def test_findings_go_to_a_file_or_a_folder(spark: SparkSession, ran: CommandRuns) -> None:
    written, folder = ran.results["files"].out, ran.results["files"].err
    assert written.splitlines() == ran.results["csv"].out.splitlines()
    assert ran.results["to a file"].out == ""
    assert spark.read.parquet(folder).count() == 5
    assert json.loads(ran.results["parquet"].out) == {"written": folder, "format": "parquet"}


def test_a_source_is_shown_and_checked(ran: CommandRuns) -> None:
    assert "windows_xml" in procnet("sources", "list").out
    shown = procnet("sources", "show", "winlogbeat7").out
    assert "record.winlog.computer_name" in shown
    text = ran.results["check"].out
    assert "msiexec.exe" in text
    assert "what to change:" in text
    assert "cannot be used: process_id is no number" in " ".join(text.split())
    for out in (text, shown):
        assert max(map(len, out.splitlines())) <= 100


def test_status_says_what_is_there_and_what_ran(ran: CommandRuns) -> None:
    lines = [line.split() for line in ran.results["status"].out.splitlines() if line.strip()]
    assert ["network_events", "3", "2026-03-01", "10:00:05", "2026-03-01", "10:00:07"] in lines
    runs = [(line[2], line[-3], line[-2]) for line in lines if "+" in line]
    assert runs[0] == ("detect", "succeeded", "3")
    assert ("backfill", "succeeded", "2") in runs
    ingests = [line[3].rstrip(",") for line in lines if line[2:3] == ["ingest"]]  # a problem may follow the status
    assert ingests == ["succeeded"], "what came in is in the ledger too"
    assert max(map(len, ran.results["status"].out.splitlines())) <= 100
    result = json.loads(ran.results["status --json"].out)
    assert [(s["source"], s["connections"] > 0) for s in result["sources"]] == [("windows_flat", True)]
    rows = {t["table"]: t["rows"] for t in result["tables"]}
    assert (rows["network_events"], rows["dns_events"], rows["findings"]) == (3, 0, 5)
    assert len(result["runs"]) == 1


def test_the_catalogue_needs_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_session(*_: object, **__: object) -> None:
        raise AssertionError("a session was opened")

    monkeypatch.setattr("procnet.cli.options.open_session", no_session)
    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", no_session)
    listed = procnet("detections", "list")
    assert listed.code == 0
    assert "b0fd38c7  Windows HTTP" in listed.out
    shown = procnet("detections", "show", "b0fd38c7")
    assert shown.out.startswith(f"id               {MSIEXEC} ")
    assert "process_name is msiexec.exe or original_file_name is msiexec.exe" in shown.out
    assert max(map(len, (listed.out + shown.out).splitlines())) <= 100
    assert json.loads(procnet("detections", "show", ANY_PORT, "--json").out)["asks"]["lookback"] == "1d"
    assert procnet("detections", "lint").err == "18 detections, no problem\n"
    assert (
        json.loads(procnet("detections", "list", "--json").out)["detections"][-1]["id"]
        == "f1c07594-a141-11eb-8407-acde48001122"
    )


def test_a_case_that_fails_is_reported_with_exit_code_2(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    head, _, cases = ANY_PORT.read_text(encoding="utf-8").partition("cases:\n")
    file.write_text(f"{head}cases:\n{cases.replace('expect: none', 'expect: match')}", encoding="utf-8")
    said = procnet("detections", "test", file)
    assert said.code == 2
    assert "FAILED Network Communication From MSIExec On Any Port: no port at all" in said.out
    assert said.out.endswith("3 of 4 cases hold, 1 detections\n")


# name, arguments, exit code, words of the error; `{...}` are places of the fixture below
WRONG: list[tuple[str, str, int, tuple[str, ...]]] = [
    ("no lake", "findings --lake {none}", 3, ("table findings does not exist", "{none}/findings", "procnet init")),
    ("no lake", "status --lake {none}", 3, ("table process_events does not exist", "--lake DIR")),
    ("a lake that is a file", "init --lake {file}", 2, ("lake {file} is a file", "give --lake DIR a folder")),
    ("no column", "detect --lake {lacking} {period}", 3, ("lacks command_line", "procnet init")),
    ("empty folder", "ingest --lake {lake} --source windows_flat {empty}", 3, ("no records in folder", "is empty")),
    ("no file", "ingest --lake {lake} --source windows_flat {none}/*.json", 3, ("does not exist", "check the path")),
    ("no table", "ingest --lake {lake} --source cim {none}", 3, ("no table", "catalog.schema.table")),
    ("a bucket", "ingest --lake {lake} --source windows_flat s3://b/x", 3, ("not a path of a file system", "mount it")),
    ("source", "ingest --lake {lake} --source nosuch {empty}", 2, ("unknown source 'nosuch'", "windows_flat")),
    ("source file", "ingest --lake {lake} --source {none}.yml {empty}", 2, ("{none}.yml does not exist",)),
    ("end before start", "detect --lake {lake} --start 2026-03-02T00:00Z --end 2026-03-01T00:00Z", 2,
     ("ends before it starts", "swap")),
    ("no width", "detect --lake {lake} --start 2026-03-02T00:00Z --end 2026-03-02T00:00Z", 2, ("has no width",)),
    ("no zone", "detect --lake {lake} --start 2026-03-02T00:00 --end 2026-03-02T01:00Z", 2,
     ("'2026-03-02T00:00' has no time zone", "2026-03-02T00:00:00Z")),
    ("no time", "findings --lake {lake} --start soon --end 2026-03-02T01:00Z", 2, ("'soon' is no time",)),
    ("one time", "findings --lake {lake} --start 2026-03-02T00:00Z", 2, ("go together",)),
    ("chunk", "backfill --lake {lake} {period} --chunk some", 2, ("--chunk: 'some' is no duration", "--chunk 1d")),
    ("chunk of nothing", "backfill --lake {lake} {period} --chunk 0d", 2, ("has no width", "--chunk 1d")),
    ("detection", "detect --lake {lake} {period} --detection nosuch", 2, ("'nosuch'", "procnet detections list")),
    ("detection file", "detect --lake {lake} {period} --detection {none}.yml", 2, ("{none}.yml: cannot be read",)),
    ("none", "detect --lake {lake} {period} --set detections.enabled=[]", 2, ("enabled is empty", "--detection")),
    ("one id twice", "detect --lake {lake} {period} --set detections.folder={twice}", 2,
     ("a.yml", "b.yml: id 0c9a8f3e-5d0b-4a0e-9a55-6f0d1c7be2a4 is that of", "lint")),
    ("--set", "status --lake {lake} --set nonsense", 2, ("'nonsense' is no key=value", "clock_skew=2s")),
    ("--set key", "status --lake {lake} --set windw.length=1h", 2, ("windw", "page settings of the documentation")),
    ("--set value", "status --lake {lake} --set window.length=soon", 2, ("window.length", "'soon'", "24h")),
    ("--set width", "detect --lake {lake} --set window.length=0h", 2, ("window.length", "greater than")),
    ("--set YAML", "status --lake {lake} --set window.length=[1", 2, ("'window.length=[1': not readable as YAML",)),
    ("a column of another type", "detect --lake {typed} {period}", 3, ("process_id is string, not bigint", "cim")),
    ("--conf", "status --lake {lake} --conf {none}.yml", 2, ("{none}.yml does not exist", "--conf FILE")),
    ("parquet on a screen", "findings --lake {lake} --format parquet", 2, ("needs a place", "--output FOLDER")),
    ("parquet over a folder", "findings --lake {lake} --format parquet --output {full}", 2, ("is there already",)),
    ("no folder for the output", "findings --lake {lake} --format csv --output {none}/f", 2, ("cannot be written",)),
    ("too small a fleet", "demo --lake {none} --hosts 1", 2, ("1 hosts", "--hosts 20")),
]  # fmt: skip


@pytest.fixture(scope="module")
def places(spark: SparkSession, ran: CommandRuns, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    here = tmp_path_factory.mktemp("places")
    for name in ("empty", "twice", "full", "lacking", "typed"):
        (here / name).mkdir()
    (here / "file").write_text("no folder")
    (here / "full" / "file").write_text("content")
    text = ANY_PORT.read_text(encoding="utf-8")
    (here / "twice" / "a.yml").write_text(text, encoding="utf-8")
    (here / "twice" / "b.yml").write_text(text.replace("On Any Port", "Again"), encoding="utf-8")
    columns = ", ".join(f"{f.name} {f.dataType.simpleString()}" for f in PROCESS_EVENTS if f.name != "command_line")
    spark.sql(f"create table delta.`{here}/lacking/process_events` ({columns}) using delta")
    typed = PROCESS_EVENTS.simpleString().removeprefix("struct<").removesuffix(">").replace(":", " ")
    typed = typed.replace("process_id bigint", "process_id string", 1)
    spark.sql(f"create table delta.`{here}/typed/process_events` ({typed}) using delta")
    names = {n: str(here / n) for n in ("empty", "twice", "full", "lacking", "typed", "file", "none")}
    return {**names, "lake": str(ran.lake), "period": " ".join(PERIOD)}


@pytest.mark.parametrize(("what", "argv", "code", "words"), WRONG, ids=[f"{w[0]}-{w[1].split()[0]}" for w in WRONG])
def test_bad_input_is_reported(
    ran: CommandRuns, places: dict[str, str], what: str, argv: str, code: int, words: tuple[str, ...]
) -> None:
    before = files_of(ran.lake)
    said = procnet(*argv.format(**places).split(), "--json")
    result = json.loads(said.out)
    assert (said.code, result["exit_code"]) == (code, code)
    assert [w for w in words if w.format(**places) not in said.err] == [], said.err
    assert "Traceback" not in said.err
    assert "\n  next: " in said.err
    assert result["message"] in said.err
    assert files_of(ran.lake) == before
    assert (Path(places["full"]) / "file").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("findings --format xml", "invalid choice: 'xml' (choose from"),
        ("status --last -1", "'-1' is not a whole number from 0 to"),
        ("backfill --start 2026-03-01T00:00Z", "--start and --end go together"),
        ("nonsense", "invalid choice: 'nonsense'"),
    ],
)
def test_what_cannot_be_read_as_a_command(argv: str, words: str) -> None:
    said = procnet(*argv.split())
    assert said.code == 2
    assert words in said.err
    assert said.out == ""
    result = json.loads(procnet(*argv.split(), "--json").out)
    assert (result["error"], result["exit_code"]) == ("UsageError", 2)
    assert words in result["message"]


def test_the_screen_of_the_demo_fits_100_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = make_fleet(tmp_path, hosts=6, hours=6)
    unnamed = {"dest_name": None, "dest_host": None}
    rows = [{**vars(a), **unnamed, "process_name": "fleet-updater.exe"} for a in fleet.answers]
    reasons = {"the process start is not recorded within a day: only the connection names it (D7)": 6}
    ingested = IngestReport("windows_flat", 0, 755, 310, 443, 6, {"process_events": 308}, 6, {}, {"no JSON": 1})
    flows = IngestReport("zeek_conn", 0, 300, 0, 0, 0, {"flow_events": 300}, 0, {}, {}, flow_events=300)
    detected = Detected(rows, Score(66, 66, (), ()), SplunkScore(62, 15, 34, reasons, reasons), 3, True)
    monkeypatch.setenv("COLUMNS", "100")
    print_demo(Demo(fleet, ingested, flows, detected, {}), {"make": 0.1}, Path("demo-lake"))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    for a in fleet.answers[:12]:
        assert any(f"{a.event_time:%Y-%m-%d %H:%M:%S}" in line and a.dest_ip in line for line in out.splitlines())
    assert "procnet findings --lake demo-lake --format json" in out
    assert re.search(r"^names: process \d+, .*; 0 differ from the reverse look-up$", out, re.M)
    assert re.search(r"^flows: \d+ findings have a flow", out, re.M)
    assert "\nnames and flows: all as the fleet wrote them\n" in out
