"""A typing error in a condition is an error, and all errors are reported at once."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import types as T

from procnet.predicates.describe import describe
from procnet.predicates.model import canonical, finite_names
from procnet.predicates.parse import parse_side

TYPES = {
    "process_name": T.StringType(),
    "original_file_name": T.StringType(),
    "dest_port": T.IntegerType(),
    "dest_ip": T.StringType(),
    "threat_objects": T.ArrayType(T.StringType()),
}


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"proces_name": "a"}, "did you mean process_name"),
        ({"process_name|containz": "a"}, "no modifier containz"),
        ({"process_name": []}, "empty list"),
        ({"process_name|contains": ""}, "matches every text"),
        ({"process_name": 5}, "put it in quotes"),
        ({"dest_port": "http"}, "expected a number"),
        ({"dest_ip|cidr": "10.1.0.0/8"}, "10.0.0.0/8"),
        ({"dest_ip|cidr": "ten"}, "no network"),
        ({"process_name": "https://x.example/a?b=1"}, "looks like a URL"),
        ({"process_name|re": "(?P<a>x)"}, "common subset"),
        ({"process_name|re": "("}, "no regular expression"),
        (["just words"], "words without a field"),
        ({"process_name|exists": "yes"}, "true or false"),
        ({"process_name|fieldref": "nowhere"}, "no field"),
        ({"dest_port|startswith": 80}, "dest_port is a number, and startswith compares text"),
        ({"dest_port|re": "80"}, "compares text"),
        ({"process_name|re|contains": "a"}, "re and contains cannot be combined"),
        ({"process_name|fieldref|contains": "dest_ip"}, "fieldref and contains cannot be combined"),
        ({"process_name|fieldref": {"a": 1}}, "no field"),
        ({"process_name|fieldref": "dest_port"}, "one is a number, the other is not"),
        ({"process_name|gt": 5}, "gt compares numbers, and process_name is no number"),
        ({"threat_objects|contains": "a"}, "threat_objects is a list"),
        ({"dest_port": 2**31}, "no value of the field is as large as 2147483648"),
        ({"dest_port|lt": -(2**31)}, "no value of the field is as large"),
        ({"dest_port": "9" * 5000}, "expected a number"),
        ({"process_name": "a" + "*" * 101}, "101 wildcards, at most 100"),
        ({"process_name": {"a": 1}}, "process_name is text, found {'a': 1}"),
        ({"process_name|exists": "x" * 99}, "xxx..."),
        ([{"process_name": "a"}, ["b"] * 99], "words without a field"),
    ],
)
def test_a_mistake_is_named(block: Any, says: str) -> None:
    tree, problems = parse_side({"b": block, "condition": "b"}, TYPES, "process")
    assert tree is None
    assert any(says in p and p.startswith("process.b") for p in problems), problems


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("a", "does not use this block"),
        ("a and c", "no block 'c'"),
        ("(a or b", "not closed"),
        ("a b", "is not expected here"),
        ("a and", "ends where"),
        ("1 of x_*", "no block's name matches"),
        ("a & b", "neither a name nor a bracket"),
        ("(" * 10_000 + "a", "more than 32 brackets"),
        ("not " * 10_000 + "a", "more than 32 brackets"),
        ("a or b" + " or b" * 10_001, "more than 10000 tests"),
        ("1 of " + "*" * 10_000 + "x", "no block's name matches '***"),
    ],
)
def test_an_invalid_condition_is_reported(condition: str, says: str) -> None:
    _, problems = parse_side({"a": {"dest_port": 1}, "b": {"dest_port": 2}, "condition": condition}, TYPES, "network")
    assert any(says in p and len(p) < 300 for p in problems), problems


@pytest.mark.parametrize("pattern", [
    r"C:\\Happy", r"a\\\\Qb", r"\\{2}[\\/]", r"(\d{1,3}\.){3}\d{1,3}", "(?:https?|ftp)://", "(?i)(?:ab)*",
    "(?s:a.b)", "(?<!a)b", "[]a]", "[^]a]", "[a&|~]", "x}", "]", "a{2,}?", "(a)\\1", r"[\x00-\x1f]", ".*a.*b.*c",
    "(a|b)?", "(a|b){3}", "",
])  # fmt: skip
def test_a_regular_expression_of_both_languages_is_accepted(pattern: str) -> None:
    assert parse_side({"b": {"process_name|re": pattern}, "condition": "b"}, TYPES, "p")[1] == []


@pytest.mark.parametrize(("pattern", "says"), [
    *[(p, "differs between Java and Python") for p in (
        "{x}", "a{", "a{,3}", "[a[b]", "[a&&b]", "[[", "a++", "a*+", "a**", "a{2}{3}", "(?>a)", "(?x)a", "(?a)a",
        "(?#a)", "(?<n>x)", "(?P<n>x)", r"\v", r"\u0041", r"\Z", r"\h", r"\p{L}", r"a\0")],
    *[(p, "is no regular expression") for p in ("(", ")", "a{3,1}", "a{99999999999}", r"(?<=a+)b", "[z-a]", r"\1(a)")],
    *[(p, "repeats a group that varies in length") for p in (
        "(a+)+$", "(a*)*", "(a|b)*$", "(a?)+", "(?:a{1,30}){1,30}", "(a+){12}$", "((a+))+",
        r"(\S+\s+)*x", "(a{1,9}b{1,9}){9}", "(?=a+)*")],
    (".*" * 9, "9 repeats without an upper bound"),
    ("(" * 33 + ")" * 33, "more than 32 brackets"),
    ("a" * 5000, "5000 characters: at most 4096"),
])  # fmt: skip
def test_another_regular_expression_is_refused(pattern: str, says: str) -> None:
    [problem] = parse_side({"b": {"process_name|re": pattern}, "condition": "b"}, TYPES, "p")[1]
    assert says in problem
    assert len(problem) < 300


def test_all_problems_come_together() -> None:
    side = {"a": {"nope": 1, "dest_port": "x"}, "b": {"process_name": []}, "condition": "a and b"}
    _, problems = parse_side(side, TYPES, "process")
    assert len(problems) == 3


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("img or ofn", {"a.exe", "b.exe"}),
        ("img and port", {"a.exe"}),
        ("img or port", None),
        ("not img", None),
        ("1 of them", None),
        ("port", None),
    ],
)
def test_the_names_that_satisfy_a_condition(condition: str, names: set[str] | None) -> None:
    blocks: dict[str, Any] = {
        "img": {"process_name": "A.exe"},
        "ofn": {"original_file_name": "b.exe"},
        "port": {"dest_port": 1},
    }
    used = {k: v for k, v in blocks.items() if k in condition or "them" in condition}
    tree, problems = parse_side({**used, "condition": condition}, TYPES, "process")
    assert not problems
    assert tree is not None
    assert finite_names(tree) == names


def test_the_canonical_text_does_not_depend_on_the_order_of_writing() -> None:
    one, _ = parse_side({"a": {"process_name": ["x", "Y"]}, "b": {"dest_port": 1}, "condition": "a and b"}, TYPES, "p")
    two, _ = parse_side(
        {"a": {"dest_port": "1"}, "b": {"process_name": ["y", "X"]}, "condition": "a and b"}, TYPES, "p"
    )
    assert one is not None
    assert two is not None
    assert canonical(one) == canonical(two)
    assert describe(one) == "(process_name is x or process_name is Y) and dest_port is 1"
