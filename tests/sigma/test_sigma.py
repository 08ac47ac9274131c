"""Sigma rules are imported in full or refused, and match what pySigma matches: two hundred made rules are compared."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sigma_rules import IMPORTED, REFUSED, Record, Rule, generated, net, one, record, rule

from cli.command import procnet
from procnet.contract import ACCEPTED_NAMES, FINDINGS, NAME_KINDS, NETWORK_EVENTS, PROCESS_EVENTS
from procnet.detections.catalog import load_detections
from procnet.detections.schema import Case
from procnet.errors import DetectionError
from procnet.predicates.compile import to_sql
from procnet.predicates.interpret import holds
from procnet.predicates.model import Predicate
from procnet.predicates.parse import _MODIFIERS
from procnet.runs.regression import run_cases
from procnet.settings import Settings
from procnet.sigma import fields
from procnet.sigma.convert import Imported, import_rules, read_rules
from procnet.sigma.fields import FIELDS

Row = dict[str, Any]


@cache
def imported() -> tuple[tuple[str, Sequence[Rule], Imported], ...]:
    return tuple((k, rules, import_rules(rules)) for k, rules in generated() if not k.startswith("- "))


def test_of_two_hundred_rules_some_are_imported_and_the_others_give_their_reason() -> None:
    count = {"imported": 0, "refused": 0}
    for kind, rules in generated():
        if not kind.startswith("- "):
            import_rules(rules)
            count["imported"] += 1
            continue
        with pytest.raises(DetectionError) as e:
            import_rules(rules)
        assert REFUSED[kind[2:]][1] in str(e.value), kind
        count["refused"] += 1
    assert count == {"imported": 150, "refused": 50}
    assert {k for k, _ in generated()} == {*IMPORTED, *(f"- {k}" for k in REFUSED)}, "every kind is among them"


def test_every_modifier_of_a_detection_file_is_the_result_of_some_rule() -> None:
    text = json.dumps([[i.values.get("process"), i.values.get("network")] for _, _, i in imported()])
    found = {m for key in re.findall(r'"([a-z_]+\|[a-z|]+)":', text) for m in key.split("|")[1:]}
    assert found == _MODIFIERS


def test_the_imported_rules_are_a_catalogue_without_a_problem(tmp_path: Path) -> None:
    for n, (_, _, made) in enumerate(imported()):
        (tmp_path / f"{n}.yml").write_text(made.text, encoding="utf-8")
    assert {d.fingerprint for d in load_detections(tmp_path)} == {i.detection.fingerprint for _, _, i in imported()}
    without = {kind for kind, _, i in imported() if i.values["cases"][0]["expect"] != "match"}
    assert without == set(), "an example was found for every rule"


# (the block of a rule, the section and the block that it becomes)
SPELLED: list[tuple[Any, str, dict[str, Any]]] = [
    ({"Image|endswith": "\\MsiExec.exe"}, "process", {"process_name": "msiexec.exe"}),
    ({"Image|endswith": ["\\a.exe", "\\T\\b.exe"]}, "process", {"process_path|endswith": ["\\a.exe", "\\T\\b.exe"]}),
    ({"Image|endswith": "msiexec.exe"}, "process", {"process_path|endswith": "msiexec.exe"}),
    ({"Image": "C:\\Windows\\msiexec.exe"}, "process", {"process_path": "C:\\Windows\\msiexec.exe"}),
    ({"ParentImage|endswith": "/bash"}, "process", {"parent_process_name": "bash"}),
    ({"Image|cased|endswith": "\\A.exe"}, "process", {"process_path|cased|endswith": "\\A.exe"}),
    ({"CommandLine|contains": "\\\\\\\\srv\\share"}, "process", {"command_line|contains": "\\\\srv\\share"}),
    ({"CommandLine|contains": "a*b\\"}, "process", {"command_line": "*a*b\\\\*"}),
    ({"CommandLine|contains|windash": " -a"}, "process", {"command_line|windash|contains": " -a"}),
    ({"CommandLine|windash|contains": "\"-a"}, "process",
     {"command_line|contains": ["\"-a", "\"/a", "\"–a", "\"—a", "\"―a"]}),
    ({"CommandLine|wide|base64offset|contains": "http"}, "process",
     {"command_line|contains": ["aAB0AHQAcA", "gAdAB0AHAA", "oAHQAdABwA"]}),
    ({"CommandLine|re|ignorecase|dotall": "a.b"}, "process", {"command_line|re|i": "(?s)a.b"}),
    ({"CommandLine": ""}, "process", {"command_line": None}),
    ({"User": 5}, "process", {"user": "5"}),
    ({"IntegrityLevel": ["High", "S-1-16-12288"]}, "process", {"integrity_level": "high"}),
    ({"Initiated": "false"}, "network", {"direction": "inbound"}),
    ({"Initiated": True}, "network", {"direction": "outbound"}),
    ({"DestinationIsIpv6": "true"}, "network", {"protocol_version": "ipv6"}),
    ({"DestinationPort": ["443", 80]}, "network", {"dest_port": [443, 80]}),
    ({"DestinationIp": "0:0:0:0:0:0:0:1"}, "network", {"dest_ip": "::1"}),
    ({"DestinationIp": "::ffff:10.0.0.1"}, "network", {"dest_ip": "10.0.0.1"}),
    ({"Computer": "DC1"}, "network", {"host": "dc1"}),
    ({"DestinationHostname": ["CDN.X.example.", "-"]}, "network", {"dest_name": ["cdn.x.example", None]}),
]  # fmt: skip


@pytest.mark.parametrize(("written", "side", "block"), SPELLED)
def test_a_block_as_a_detection_file_spells_it(written: Any, side: str, block: dict[str, Any]) -> None:
    values = import_rules([net(written)]).values
    assert values[side] == {"selection": block, "condition": "selection"}
    assert {"process", "network"} - values.keys() == {"process", "network"} - {side}


@pytest.mark.parametrize(
    ("block", "tests_names"),
    [
        ({"DestinationHostname|endswith": ".example"}, True),
        ({"Computer|fieldref": "DestinationHostname"}, True),
        ({"DestinationIp": "192.0.2.1", "DestinationPortName": "http"}, False),
    ],
)
def test_a_rule_on_the_remote_name_takes_names_of_every_kind_and_a_note_says_so(
    block: dict[str, Any], tests_names: bool
) -> None:
    made = import_rules([net(block)])
    assert made.values.get("dest_name_by") == ([*NAME_KINDS] if tests_names else None)
    assert made.detection.dest_name_by == (NAME_KINDS if tests_names else ACCEPTED_NAMES)
    assert any("chooses its reverse name" in n for n in made.not_carried) is tests_names
    assert ("chooses its reverse name" in made.values["misses"]) is tests_names
    assert [*made.values].index("network") + tests_names == [*made.values].index("lookback") - 1


def test_all_reasons_of_a_refusal_are_reported_at_once() -> None:
    wrong = {"a": ["words"], "b": {"Company": "x", "User|expand": "%x%"}, "condition": "a or b"}
    with pytest.raises(DetectionError) as e:
        import_rules([rule(wrong), rule(wrong, "file_event")])
    where = [p.partition(": ")[2].split(":")[0] for p in e.value.problems]
    assert where == ["a", "b.Company", "b.User|expand", "logsource category file_event"]


def test_both_sides_of_one_rule_come_apart_and_a_pair_comes_together() -> None:
    one_rule = rule({"sel": {"Image|endswith": "\\a.exe", "DestinationPort": 80}, "f_1": {"User": "x"},
                     "f_2": [{"DestinationIp|cidr": "10.0.0.0/8"}], "condition": "sel and not 1 of f_*"},
                    "network_connection")  # fmt: skip
    values = import_rules([one_rule]).values
    assert values["process"]["condition"] == "sel and not f_1"
    assert values["network"]["condition"] == "sel and not f_2"
    other = rule({"sel": {"CommandLine|contains": "b"}, "sel_2": {"User": "y"}, "condition": "1 of sel*"})
    values = import_rules([other, one_rule]).values
    assert values["process"]["condition"] == "(sel or sel_2) and sel_3 and not f_1"
    assert values["process"]["sel_3"] == {"process_name": "a.exe"}
    assert values["network"]["condition"] == "sel and not f_2"


def test_a_block_that_begins_with_an_underscore_is_none_of_them() -> None:
    made = import_rules([rule({"s": {"User": "x"}, "_h": {"User": "y"}, "condition": "1 of them"})])
    assert made.values["process"] == {"s": {"user": "x"}, "condition": "1 of them"}
    assert made.not_carried == ("block _h: the condition does not use it",)


@pytest.mark.parametrize(
    ("detection", "row"),
    [
        ({"s": {"CommandLine|contains": ["evil", "good"]}, "f": {"CommandLine|contains": "evil"}}, "good"),
        ({"s": {"CommandLine|re": r"a\s+b{2}[0-9]"}, "f": {"CommandLine": "x"}}, "a bb0"),
        ({"s": {"CommandLine|re": r"(?=z)y"}, "f": {"CommandLine": "x"}}, None),  # nothing can match it
        ({"s": {"CommandLine|contains": "x", "Computer": "a"}, "f": {"User": "x"}}, None),
        ({"s": {"CommandLine|contains": "x", "ProcessId": 0}, "f": {"User": "x"}}, None),  # a case has a process id
    ],
)
def test_a_case_is_made_only_if_it_matches(detection: dict[str, Any], row: str | None) -> None:
    made = import_rules([rule({**detection, "condition": "s and not f"})])
    match = [c for c in made.values["cases"] if c["expect"] == "match"]
    assert [c["processes"][0]["command_line"] for c in match] == ([row] if row else [])
    assert any("add one" in n for n in made.not_carried) is (row is None)


def test_characters_that_control_a_terminal_are_escaped() -> None:
    made = import_rules([one({"User": "ä\u202e\x1b[31m"})])
    assert made.text.replace("\n", "").isprintable()
    assert yaml.safe_load(made.text) == made.values


def test_the_metadata_of_a_rule_is_translated_or_noted() -> None:
    given = rule({"s": {"User": "x"}, "unused": {"Company": "y"}, "condition": "s"}, title="A {b}", level="critical",
                 description="One\n two", author="Ann", tags=["attack.t1105", "attack.execution", "cve.2024.1"],
                 falsepositives=["Admins", "Tests"], references=["https://x.example"], fields=["User"])  # fmt: skip
    first, again = import_rules([given]), import_rules([given])
    v = first.values
    assert v["id"] == again.values["id"], "a rule without an id gets the same one each time"
    assert v["description"] == f"One two. From the Sigma rule {v['id']} by Ann."
    assert (v["risk"]["score"], v["status"], v["version"]) == (95, "experimental", 1)
    assert v["risk"]["message"].endswith(": A {{b}}")
    assert v["annotations"]["mitre_attack"] == ["T1105"]
    assert (v["false_positives"], v["references"]) == ("Admins; Tests", ["https://x.example"])
    assert len(first.not_carried) == 3
    for note in ("block unused", "fields", "tags attack.execution, cve.2024.1"):
        assert any(n.startswith(note) for n in first.not_carried)
        assert f"Not carried as it stands: {note}" in v["misses"]
    pair = [rule({"s": {"User": "x"}, "condition": "s"}, c, id=str(i) * 8 + "-0000-4000-8000-000000000000", level=level)
            for i, c, level in ((1, "process_creation", "low"), (2, "network_connection", "medium"))]  # fmt: skip
    ids = {import_rules(rules).values["id"] for rules in (pair, pair[::-1], pair[:1], pair[1:])}
    assert len(ids) == 3, "of a pair, whatever its order, and of each rule"
    assert import_rules(pair).values["risk"]["score"] == 50


def test_the_fields_are_listed_in_the_manual() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sigma.md").read_text("utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.M)) == {f: c for f, (_, c) in FIELDS.items()}


@pytest.mark.parametrize("text", ["", "- a", "a: [", "just words", "a: {b: 1, b: 2}"])
def test_a_file_without_a_rule_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "r.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DetectionError, match=r"r\.yml: "):
        read_rules(file)


def test_the_command_writes_a_file_that_lint_accepts_and_overwrites_none(tmp_path: Path) -> None:
    for name, made in (("good", one({"User": ""})), ("bad", one({"Company": "x"}))):
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(made), encoding="utf-8")
    good, bad, out = tmp_path / "good.yml", tmp_path / "bad.yml", tmp_path / "out.yml"
    shown = procnet("detections", "import", good)
    assert (shown.code, yaml.safe_load(shown.out)["process"]["selection"]) == (0, {"user": None})
    assert shown.err.startswith("not carried as it stands: User: ")
    assert procnet("detections", "import", good, "--output", out).err.endswith(f"written: {out}\n")
    assert out.read_text(encoding="utf-8") == shown.out
    assert procnet("detections", "lint", out).code == 0
    again = procnet("detections", "import", good, "--output", out)
    assert (again.code, "is there already" in again.err) == (2, True)
    report = json.loads(procnet("detections", "import", good, "--json").out)
    assert (report["written"], len(report["not_carried"]), report["detection"]["version"]) == (None, 1, 1)
    refused = procnet("detections", "import", bad, "--json")
    assert (refused.code, "no canonical column" in json.loads(refused.out)["error"]) == (2, False)
    assert "no canonical column" in json.loads(refused.out)["message"]
    assert procnet("detections", "import", tmp_path / "none.yml").code == 2


# --- beside pySigma ---------------------------------------------------------------------------------------------------


def canonical(raw: Record) -> Row:
    """The canonical columns of such a record, as ingest makes them (tests/sources checks that)."""
    row = {FIELDS[f][1]: v for f, v in raw.items()}
    row["dest_host"], row["dest_name_by"] = row["dest_name"], "reverse"
    for path, name in (("process_path", "process_name"), ("parent_process_path", "parent_process_name")):
        row[name] = row[path].rsplit("\\", 1)[-1].lower()
    row["direction"] = "outbound" if raw["Initiated"] == "true" else "inbound"
    row["integrity_level"] = row["integrity_level"].lower()
    return row


def meant(condition: Any, raw: Record) -> bool:
    """The result of pySigma's own tree on a record: two-valued, as in its backends."""
    from sigma import conditions as c

    if isinstance(condition, c.ConditionNOT):
        return not meant(condition.args[0], raw)
    if isinstance(condition, c.ConditionAND | c.ConditionOR):
        return (all if isinstance(condition, c.ConditionAND) else any)(meant(a, raw) for a in condition.args)
    return matches(condition.value, raw[condition.field], raw)


def matches(value: Any, found: Any, raw: Record) -> bool:
    from sigma import types as t

    if isinstance(value, t.SigmaExpansion):
        return any(matches(v, found, raw) for v in value.values)
    if isinstance(value, t.SigmaString):
        wild = {t.SpecialChars.WILDCARD_MULTI: ".*", t.SpecialChars.WILDCARD_SINGLE: "."}
        pattern = "".join(re.escape(p) if isinstance(p, str) else wild[p] for p in value.s)
        case = 0 if isinstance(value, t.SigmaCasedString) else re.IGNORECASE
        return re.fullmatch(pattern, str(found), re.DOTALL | case) is not None
    if isinstance(value, t.SigmaRegularExpression):
        flags = sum(value.sigma_to_python_flags[f] for f in value.flags)
        return re.search(str(value.regexp), str(found), flags) is not None
    if isinstance(value, t.SigmaCompareExpression):
        number, op = value.number.number, value.op.name
        return bool({"LT": found < number, "LTE": found <= number, "GT": found > number, "GTE": found >= number}[op])
    if isinstance(value, t.SigmaCIDRExpression):
        return ipaddress.ip_address(found) in ipaddress.ip_network(value.cidr)
    if isinstance(value, t.SigmaFieldReference):
        return bool(str(found).lower() == str(raw[value.field]).lower())
    if isinstance(value, t.SigmaNull):
        return found is None
    if isinstance(value, t.SigmaExists):
        return bool(value)
    return str(found).lower() == str(value).lower()  # SigmaNumber, SigmaBool


def accepted(made: Imported, row: Row) -> Row:
    """The row as the detection sees it: without a name of a kind that it does not take."""
    return row if row["dest_name_by"] in made.detection.dest_name_by else {**row, "dest_name": None}


def sides(made: Imported) -> list[Predicate]:
    return [tree for tree in (made.detection.process, made.detection.network) if tree is not None]


def example(made: Imported, raw: Record) -> Record:
    """The record with the values of the rule's own case, so that every rule matches one."""
    case = made.values["cases"][0]
    row = {**case["processes"][0], **case["connections"][0]}
    fields = {column: field for field, (_, column) in FIELDS.items() if field in raw}
    changed = {fields[c]: v for c, v in row.items() if c in fields}
    for path, name in (("Image", "process_name"), ("ParentImage", "parent_process_name")):
        if name in row and path not in changed:
            changed[path] = "C:\\Made\\" + row[name]
    if "direction" in row:
        changed["Initiated"] = "true" if row["direction"] == "outbound" else "false"
    return {**raw, **changed}


def test_every_modifier_of_pysigmas_is_known() -> None:
    modifiers = pytest.importorskip("sigma.modifiers", reason="pip install '.[sigma]': pySigma is the judge")
    ours = {*fields._TEXT, *fields._ORDER, *fields._LINKS, *fields._REFUSED, *fields._ALIASES, *_MODIFIERS, "m", "s"}
    assert set(modifiers.modifier_mapping) - ours == set()


def test_imported_trees_agree_with_pysigmas_on_every_record() -> None:
    detections = pytest.importorskip("sigma.rule.detection", reason="pip install '.[sigma]': pySigma is the judge")
    rng = Random(5)
    records = [record(rng) for _ in range(300)]
    judged, matched, silent = 0, 0, []
    for kind, rules, made in imported():
        trees = [detections.SigmaDetections.from_dict(r["detection"]).parsed_condition[0].parsed for r in rules]
        found = []
        for raw in [*records, *(example(made, r) for r in records[:5])]:
            theirs = all(meant(tree, raw) for tree in trees)
            ours = all(holds(tree, accepted(made, canonical(raw))) is True for tree in sides(made))
            assert ours is theirs, (kind, rules, made.values.get("process"), made.values.get("network"), raw)
            found.append(theirs)
        judged, matched = judged + len(found), matched + sum(found)
        if not any(found):
            silent.append((kind, rules))
    assert silent == [], "a rule that matches no record tests nothing"
    assert judged == 150 * 305
    assert judged // 5 < matched < judged * 3 // 5, "and most match some records and not others"


@pytest.mark.spark
def test_imported_trees_mean_in_spark_what_they_mean_on_plain_rows(spark: SparkSession) -> None:
    """One job; some values of the rows are unknown."""
    rng = Random(6)
    rows = [canonical(record(rng)) for _ in range(150)]
    rows += [{k: v if rng.random() < 0.7 else None for k, v in row.items()} for row in rows[:100]]
    types = {f.name: f.dataType.simpleString() for f in (*PROCESS_EVENTS, *NETWORK_EVENTS, FINDINGS["dest_name_by"])}
    names = [*rows[0], "host", "app", "protocol_version"]
    frame = spark.createDataFrame(
        [tuple(r.get(n) for n in names) for r in rows], ", ".join(f"{n} {types[n]}" for n in names)
    )
    trees = [(kind, tree) for kind, _, made in imported() for tree in sides(made)]
    found = frame.select(F.array(*[F.expr(to_sql(tree)) for _, tree in trees])).collect()
    wrong = [(kind, tree, row, holds(tree, row), said) for row, (judged,) in zip(rows, found, strict=True)
             for (kind, tree), said in zip(trees, judged, strict=True) if holds(tree, row) is not said]  # fmt: skip
    assert wrong == [], wrong[:3]
    assert {said for (judged,) in found for said in judged} == {True, False, None}


@pytest.mark.spark
def test_the_cases_that_an_import_makes_hold(spark: SparkSession) -> None:
    """As in a real run, one rule of each kind."""
    by_kind: Mapping[str, Imported] = {kind: made for kind, _, made in imported()}
    cases = [Case(name="a reverse name", connections=({"at": "10:00:00", "dest_host": "cdn.x.example"},), expect=expect)
             for expect in ("match", "none")]  # fmt: skip
    of_name = import_rules([net({"DestinationHostname|endswith": ".x.example"})]).detection
    any_name = replace(of_name, cases=tuple(cases[:1]))
    queried_name = replace(of_name, cases=tuple(cases[1:]), id="another", dest_name_by=ACCEPTED_NAMES)
    detections = [*(made.detection for made in by_kind.values()), any_name, queried_name]
    results = run_cases(spark, detections, Settings())
    assert [(r.detection.name, r.case, r.problem) for r in results if r.problem] == []
    assert len(results) == 2 * len(IMPORTED) + 2
