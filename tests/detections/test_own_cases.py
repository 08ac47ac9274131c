"""The meaning of detections by the cases in their files: a case passes, or its problem says what was found instead."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession

from detection_files import detection
from procnet.detections.cases import case_frames
from procnet.detections.catalog import load_detections
from procnet.errors import DetectionError
from procnet.runs.regression import run_cases
from procnet.settings import Settings, default_conf_dir

PID = {"process_id": 8}
START = {"at": "10:00:00", **PID, "process_name": "msiexec.exe"}
WEB = {"at": "10:00:05", **PID, "dest_ip": "192.0.2.7", "dest_port": 443}
MSI = {"process_name": "msiexec.exe"}
NOT_X = {"a": MSI, "b": {"user": "x"}, "condition": "a and not b"}


def case(expect: Any, start: dict[str, Any] | None = None, connection: dict[str, Any] | None = None) -> dict[str, Any]:
    """One start, unless it is None, and one connection, each with some columns in their place."""
    processes = [] if start is None else [{**START, **start}]
    return {"name": "it", "processes": processes, "connections": [{**WEB, **(connection or {})}], "expect": expect}


# Process block, network block, and cases that must pass.
LOGIC: list[tuple[dict[str, Any] | None, dict[str, Any] | None, list[dict[str, Any]]]] = [
    (
        NOT_X,
        None,
        [
            case("none", {"user": "x"}),
            case("match", {"user": "y"}),
            case("match", {}),  # an unknown user is not known to be x
            # Without an instance the connection's own record is tested; a field that it does not have is unknown.
            case([{"attribution": "event"}], None, MSI),
            case("none", None, {**MSI, "user": "x"}),
            # With one it is not: the process has the fields of its start.
            case("match", {"user": "y"}, {"user": "x"}),
            case("none", {"process_name": None}, MSI),
        ],
    ),
    ({**NOT_X, "c": {"user|exists": True}, "condition": "a and not b and c"}, None, [case("none", {})]),
    ({**NOT_X, "b": {"user|neq": "x"}, "condition": "a and b"}, None, [case("match", {})]),
    ({**NOT_X, "condition": "a and not not b"}, None, [case("none", {})]),
    ({**NOT_X, "condition": "a and (b or not b)"}, None, [case("match", {})]),
    ({**NOT_X, "b": {"user": "x", "command_line|contains": "/i"}}, None, [case("match", {"user": "x"})]),
    (
        {**NOT_X, "c": {"command_line": "y"}, "condition": "a and not (b or c)"},
        None,
        [case("match", {}), case("none", {"user": "x"})],
    ),
    # A connection without any process matches only a detection without a process block.
    ({"a": MSI, "condition": "not a"}, None, [case("none")]),
    ({"a": {"user": None}, "condition": "a"}, None, [case("none")]),
    (None, {"a": {"dest_port": 443}, "condition": "a"}, [case([{"attribution": "none", "process_name": None}])]),
    (
        None,
        {"a": {"dest_ip|cidr": "192.0.2.0/24"}, "condition": "not a"},
        [case("none"), case("match", None, {"dest_ip": None})],
    ),
    (None, {"a": {"dest_host|endswith": ".example"}, "condition": "a"}, [case("none")]),
    (
        {"a": MSI, "condition": "a"},
        {"a": {"dest_port": 443}, "condition": "not a"},
        [case("none", {}), case("match", {}, {"dest_port": 1}), case("match", {}, {"dest_port": None})],
    ),
]

TWO = [{**WEB, "dest_port": 80}, WEB]
BOTH = {"name": "it", "processes": [START], "connections": TWO}
IP = {"dest_ip": "192.0.2.7"}

# Cases of a detection of msiexec.exe, and the parts of the problem of each: None if it passes.
PROBLEMS: list[tuple[dict[str, Any], list[str] | None]] = [
    (case("match", {}), None),
    (case("match", {"process_name": "other.exe"}), ["expected a finding, found none"]),
    (case("none", {}), ["expected nothing, found", "'process_name': 'msiexec.exe'", "'dest_ip': '192.0.2.7'"]),
    (case([{"dest_port": 443, "process": None, "severity": "low"}], {}), None),
    (case([{"dest_port": 80}], {}), ["expected {'dest_port': 80}, found", "'dest_port': 443"]),
    (case([{"process_time": "10:00:00"}], {}), None),
    (case([{"process_time": "2026-03-01T10:00:00Z"}], {}), None),
    (case([{"process_time": "10:00:01"}], {}), ["expected {'process_time': '10:00:01'}", "'host': 'host'"]),
    (case([], {}), ["more than expected", "'dest_port': 443"]),
    (case([IP, IP], {}), ["expected {'dest_ip': '192.0.2.7'}, found none"]),
    ({**BOTH, "expect": "match"}, None),
    ({**BOTH, "expect": [IP, {**IP, "dest_port": 80}]}, None),
    ({**BOTH, "expect": [IP, {**IP, "dest_port": 443}]}, None),
    ({**BOTH, "expect": [{"dest_port": 80}]}, ["more than expected", "'dest_port': 443"]),
    ({**BOTH, "expect": [{"dest_port": 80}, {"dest_port": 80}]}, ["expected {'dest_port': 80}, found", "443"]),
]


@pytest.mark.spark
def test_cases_hold_or_say_what_was_found(spark: SparkSession) -> None:
    """All in one job, those of the shipped detections too; each has hosts of its own."""
    logic = [detection(n, process=p, network=w, cases=cs) for n, (p, w, cs) in enumerate(LOGIC)]
    reporting = detection(99, cases=[{**c, "name": str(n)} for n, (c, _) in enumerate(PROBLEMS)])
    shipped = load_detections(default_conf_dir() / "detections")
    results = run_cases(spark, [*logic, reporting, *shipped], Settings())

    wrong = [(d.name, d.written.process, d.written.network, r.problem) for r in results if r.problem
             for d in [r.detection] if d != reporting]  # fmt: skip
    assert not wrong, wrong
    assert sum(r.detection in shipped for r in results) == sum(len(d.cases) for d in shipped) > 0

    problems = {r.case.name: r.problem for r in results if r.detection == reporting}
    assert len(problems) == len(PROBLEMS)
    for n, (written, words) in enumerate(PROBLEMS):
        problem = problems[str(n)]
        assert (problem is None) is (words is None), (written, problem)
        assert all(word in (problem or "") for word in words or ()), (written, problem)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (case("none", {"at": None}), "no `at` says when"),
        (case("none", {"at": 36000}), '36000 is no time; write "10:00:00"'),
        (case("none", {}, {"at": "noon"}), "'noon' is no time"),
        (case("none", {}, {"at": "2026-03-02T00:00:00Z"}), "not of that day"),
        (case("none", {}, {"dest_prt": 80}), "no canonical column dest_prt"),
        (case("none", {"dest_port": 80}), "no canonical column dest_port"),
        (case("none", {"process_id": "8"}), "process_id is bigint, found '8'"),
        (case("none", {}, {"dest_port": True}), "dest_port is int, found True"),
        (case("none", {"record_id": 17}), "record_id is string, found 17; put it in quotes"),
        (case("none", {}, {"process_start_time": "soon"}), "'soon' is no time"),
        (case([{"dest": "a"}], {}), "expect: findings have no column dest"),
    ],
)
def test_a_case_that_the_tables_cannot_have_is_reported(written: dict[str, Any], said: str) -> None:
    session: Any = None  # not used before all cases are checked
    with pytest.raises(DetectionError) as e:
        case_frames(session, [detection(1, cases=[written]), detection(2, cases=[written])])
    first, second = e.value.problems
    assert first.startswith("1.yml: case 'it': ")
    assert second.startswith("2.yml: case 'it': ")
    assert said in first
