"""A mistake in a detection file is an error, never a silent default; all are reported at once, with their file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from detection_files import detection, values, write
from procnet.detections.catalog import load_detections, select
from procnet.detections.schema import DetectionFile, Risk
from procnet.detections.version_lock import check_lock, lock_of, read_lock, write_lock
from procnet.errors import ConfigError, DetectionError
from procnet.settings import default_conf_dir

RISK = values()["risk"]


def process(block: dict[str, Any], condition: str = "a") -> dict[str, Any]:
    return {"process": {"a": block, "condition": condition}}


# (keys of the file, the place that the problem names, a part of the problem)
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    (process({"proces_name": "a"}), "process.a.proces_name", "no field proces_name; did you mean process_name"),
    (process({"dest_port": 80}), "process.a.dest_port", "no field dest_port"),  # it is the other side's
    ({"network": {"a": {"user": "x"}, "condition": "a"}}, "network.a.user", "no field user"),
    (process({"process_name": []}), "process.a.process_name", "empty list"),
    (process({"command_line|contains": ""}), "process.a.command_line|contains",
     "contains with an empty text matches every text"),
    (process({"command_line": "https://x.example/a?b=1"}), "process.a.command_line", "looks like a URL"),
    (process({"command_line|re": "(a"}), "process.a.command_line|re", "no regular expression"),
    (process({"command_line|re": "a++"}), "process.a.command_line|re", "use their common subset"),
    (process({"command_line|containz": "a"}), "process.a.command_line|containz", "no modifier containz"),
    (process({"process_id": "four"}), "process.a.process_id", "expected a number, found 'four'"),
    (process({"process_name": "a"}, "a and b"), "process", "no block 'b'; there are a"),
    ({"process": {"a": {"user": "x"}, "b": {"user": "y"}, "condition": "a"}}, "process.b", "does not use this block"),
    ({"process": {"a": {"user": "x"}}}, "process", "no condition says how its blocks a combine"),
    ({"network": {"a": {"dest_ip|cidr": "10.1.0.0/8"}, "condition": "a"}}, "network.a.dest_ip|cidr", "10.0.0.0/8"),
    ({"process": None, "network": None}, "neither a process nor a network block", "match every connection"),
    ({"risk": {**RISK, "message": "{proces_name}"}}, "risk.message", "no column 'proces_name'"),
    ({"risk": {**RISK, "message": "{related}"}}, "risk.message", "holds several values"),
    ({"risk": {**RISK, "message": "{host"}}, "risk.message", "a plain brace is written twice"),
    ({"risk": {**RISK, "message": "{dest_port:05d}"}}, "risk.message", "{dest_port}"),
    ({"risk": {**RISK, "message": "{host!r}"}}, "risk.message", "{host}"),
    ({"risk": {**RISK, "objects": [{"field": "dest", "type": "system"}]}}, "risk.objects.0.field", "no column 'dest'"),
    ({"risk": {**RISK, "objects": []}}, "risk.objects", "at least one is wanted"),
    ({"risk": {**RISK, "score": 101}}, "risk.score", "100"),
    ({"cases": []}, "cases", "at least one is wanted"),
    ({"id": "one"}, "id", "found 'one'"),
    ({"lookback": "a day"}, "lookback", "such as 24h"),
    ({"name": None}, "name", "required"),
    ({"wersion": 2}, "wersion", "not permitted"),
    ({"annotations": {"mitre_attack": ["1218"]}}, "annotations.mitre_attack.0", "found '1218'"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "where", "said"), MISTAKES)
def test_a_mistake_is_reported_with_its_file_and_place(
    tmp_path: Path, written: dict[str, Any], where: str, said: str
) -> None:
    file = write(tmp_path, "a.yml", values(**written))
    with pytest.raises(DetectionError) as e:
        load_detections([file])
    [problem] = e.value.problems
    assert problem.startswith(f"{file}: {where}"), problem
    assert said in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id: [", "not readable as YAML"),
        ("a: b: c", "not readable as YAML"),
        ("id: 1\nid: 2", "the key 'id' is written twice"),
        ("", "expected a mapping of keys to values (found nothing)"),
        ("- id", "expected a mapping of keys to values (found ['id'])"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_detection_is_reported(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "a.yml" if text is None else write(tmp_path, "a.yml", text)
    with pytest.raises(DetectionError) as e:
        load_detections([file])
    [problem] = e.value.problems
    assert problem.startswith(f"{file}: ")
    assert said in problem


def test_all_mistakes_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    """Those of the blocks too where the file's own keys are wrong."""
    blocks = {"process": {"a": {"nope": 1}, "b": {"user": []}, "condition": "a"}, "network": {"c": {"dest_port": "x"}}}
    write(tmp_path, "a.yml", values(1, version=0, **blocks))
    write(tmp_path, "b.yml", values(2, risk={**RISK, "message": "{nope}", "objects": [{"field": "nope", "type": "x"}]}))
    write(tmp_path, "c.yml", "{")
    write(tmp_path, "d.yml", values(3))
    with pytest.raises(DetectionError) as e:
        load_detections(tmp_path)
    problems = [p.removeprefix(f"{tmp_path}/") for p in e.value.problems]
    starts = ("a.yml: version", "a.yml: process.a.nope", "a.yml: process.b.user", "a.yml: process.b: the condition",
              "a.yml: network.c.dest_port", "a.yml: network: no condition", "b.yml: risk.message",
              "b.yml: risk.objects.0.field", "b.yml: risk.objects.0.type", "c.yml: not readable")  # fmt: skip
    assert [s for s in starts if not any(p.startswith(s) for p in problems)] == []
    assert len(problems) == len(starts)
    assert not any("d.yml" in p for p in problems)


def test_an_id_and_a_name_are_given_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", values(1))
    write(tmp_path, "b.yml", values(1, name="Another"))
    write(tmp_path, "c.yml", values(2, name="ANOTHER"))
    with pytest.raises(DetectionError) as e:
        load_detections(tmp_path)
    same_id, same_name = e.value.problems
    assert same_id == f"{tmp_path / 'b.yml'}: id {values(1)['id']} is that of {tmp_path / 'a.yml'} too"
    assert same_name == f"{tmp_path / 'c.yml'}: name ANOTHER is that of {tmp_path / 'b.yml'} too"


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DetectionError, match=f"no folder of detections at {tmp_path / 'x'}"):
        load_detections(tmp_path / "x")


@pytest.mark.parametrize("wanted", ["00000002-0000-4000-8000-000000000000", "00000002", "Detection 2", "2"])
def test_a_detection_is_selected_by_id_its_beginning_name_or_file_name(wanted: str) -> None:
    detections = [detection(n) for n in (1, 2)]
    assert select(detections, [wanted]) == (detections[1],)


def test_a_named_file_replaces_the_detection_of_its_id(tmp_path: Path) -> None:
    file = write(tmp_path, "mine.yml", values(2, version=9))
    assert [d.version for d in select([detection(n) for n in (1, 2)], ["detection 2", str(file)])] == [9]


def test_all_names_that_select_nothing_are_reported_at_once_with_what_there_is(tmp_path: Path) -> None:
    bad = write(tmp_path, "bad.yml", values(3, version=0))
    detections = [detection(1), detection(2), detection(10_000_001, id="00000001-1111-4000-8000-000000000000")]
    with pytest.raises(DetectionError) as e:
        select(detections, ["detection 3", "zzz", "00000001", str(bad), str(tmp_path / "gone.yml")])
    near, unknown, several, broken, gone = e.value.problems
    assert near.startswith("no detection 'detection 3' among 3; near: detection ")
    assert unknown.startswith("no detection 'zzz' among 3; there are ")
    assert all(d.name in unknown and d.id in unknown for d in detections)
    assert several == f"'00000001' may mean {detections[0].id} detection 1, {detections[2].id} detection 10000001"
    assert broken.startswith(f"{bad}: version")
    assert gone.startswith(f"{tmp_path / 'gone.yml'}: ")


def test_the_lock_says_what_to_do(tmp_path: Path) -> None:
    edited = {"image": {"process_name": "other.exe"}, "condition": "image"}
    write_lock(tmp_path, [detection(n, version=2) for n in (1, 2, 3, 4, 5)])
    lock = read_lock(tmp_path)
    assert check_lock([detection(n, version=2) for n in (1, 2, 3, 4, 5)], lock) == []
    now = [
        detection(1, version=2, description="other prose"),
        detection(2, version=2, process=edited),
        detection(3, version=3, process=edited),
        detection(4, version=1),
        detection(6),
    ]
    changed, bumped, lowered, new, gone = check_lock(now, lock)
    assert changed == (
        "detection 2: its conditions or its lookback are not those of the locked version 2; raise its version"
    )
    assert bumped.startswith("detection 3: version 3 is not locked yet, 2 is")
    assert "lint --lock" in bumped
    assert lowered == "detection 4: version 1 is below 2, which is locked; raise its version"
    assert new.startswith("detection 6: not in the lock")
    assert "lint --lock" in new
    assert gone == "detection 5: locked, and gone; deprecate it instead"


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\na: {}\n=======\n", "- a\n", "a: {version: 1}\n", "a: 1\n"])
def test_a_file_that_is_no_lock_is_reported(tmp_path: Path, text: str) -> None:
    """For example one with the markers of a merge conflict."""
    (tmp_path / "detections.lock").write_text(text)
    with pytest.raises(ConfigError, match=r"detections\.lock.*\n.*lint --lock"):
        read_lock(tmp_path)


def test_no_lock_locks_nothing(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == {}


CHANGES: list[tuple[dict[str, Any], bool]] = [
    ({"process": {"image": {"process_name": "MSIEXEC.exe"}, "condition": "image"}}, False),  # case does not count
    ({"network": {"web": {"dest_port": [443, "80"]}, "condition": "web"}}, False),  # nor does order
    ({"lookback": "1d"}, False),
    ({"description": "other", "misses": "other", "cases": [*values()["cases"]] * 2}, False),
    ({"lookback": "1h"}, True),
    ({"network": None}, True),
    ({"network": {"web": {"dest_port": [80]}, "condition": "web"}}, True),
    ({"process": {"image": {"process_name|cased": "MSIEXEC.exe"}, "condition": "image"}}, True),
    ({"process": {"image": {"process_name": "msiexec.exe"}, "condition": "not image"}}, True),
]


@pytest.mark.parametrize(("change", "differs"), CHANGES)
def test_the_fingerprint_is_of_conditions_and_lookback(change: dict[str, Any], differs: bool) -> None:
    assert (detection(**change).fingerprint != detection().fingerprint) is differs


def test_a_side_is_not_the_other() -> None:
    """Both blocks may have the same test, which then is not of the same thing."""
    block = {"a": {"process_id": 4}, "condition": "a"}
    one = detection(process=block, network=None).fingerprint
    assert one != detection(process=None, network={"a": {"dest_port": 4}, "condition": "a"}).fingerprint


def test_the_shipped_detections_are_those_of_their_lock() -> None:
    folder = default_conf_dir() / "detections"
    detections = load_detections(folder)
    assert check_lock(detections, read_lock(folder)) == []
    assert dict(read_lock(folder)) == lock_of(detections)


def test_the_documentation_names_the_required_keys() -> None:
    page = (Path(__file__).parents[2] / "docs" / "detections.md").read_text(encoding="utf-8")
    (sentence,) = re.findall(r"^Required are (.*?)\. The others", page, re.DOTALL | re.M)
    required = {n for model in (DetectionFile, Risk) for n, f in model.model_fields.items() if f.is_required()}
    assert set(re.findall(r"`(\w+)`", sentence)) == required
