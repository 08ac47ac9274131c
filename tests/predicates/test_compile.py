"""What conditions mean, as a table of cases that one Spark job judges."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.predicates.compile import to_candidate_sql, to_column, to_sql
from procnet.predicates.interpret import holds
from procnet.predicates.model import Any as AnyOf
from procnet.predicates.model import Field, Op
from procnet.predicates.parse import parse_side
from procnet.spark.sql import column

TYPES = {"text": T.StringType(), "other": T.StringType(), "port": T.IntegerType(), "ip": T.StringType()}
SCHEMA = "text string, other string, port int, ip string"
UNKNOWN = None

# (the block, the row, the expected result)
CASES: list[tuple[dict[str, Any], dict[str, Any], bool | None]] = [
    ({"text": "MsiExec.exe"}, {"text": "msiexec.EXE"}, True),
    ({"text": "msiexec.exe"}, {"text": "msiexec"}, False),
    ({"text": "msiexec.exe"}, {"text": None}, UNKNOWN),
    ({"text": "x"}, {"text": ""}, False),
    ({"text|cased": "Abc"}, {"text": "abc"}, False),
    ({"text|cased": "Abc"}, {"text": "Abc"}, True),
    ({"text": ["a", "b"]}, {"text": "B"}, True),
    ({"text|contains": "davclnt.dll,"}, {"text": r"C:\Windows\DAVCLNT.dll,DavSetCookie"}, True),
    ({"text|contains": "100%_x"}, {"text": "a 100%_X b"}, True),
    ({"text|contains": "100%_x"}, {"text": "a 100zzx b"}, False),
    ({"text|startswith": "C:\\Windows\\"}, {"text": r"c:\windows\system32"}, True),
    ({"text|startswith": r"C:\Users\\*\Temp" + "\\"}, {"text": r"C:\Users\ann\Temp\a.exe"}, True),
    ({"text|startswith": r"C:\Users\\*\Temp" + "\\"}, {"text": r"C:\Users\ann\Temporary\a.exe"}, False),
    ({"text|endswith": "\\Temp\\"}, {"text": r"C:\temp" + "\\"}, True),
    ({"text": r"\\10.0.0.1\share"}, {"text": r"\\10.0.0.1\SHARE"}, True),
    ({"text": r"*\a\\*.exe"}, {"text": r"c:\a\b.exe"}, True),
    ({"text": "a*c"}, {"text": "a\nc"}, True),
    ({"text": "a?c"}, {"text": "abc"}, True),
    ({"text": "a?c"}, {"text": "ac"}, False),
    ({"text": "a.c*d"}, {"text": "abcxd"}, False),
    ({"text": r"a\*c"}, {"text": "a*c"}, True),
    ({"text": r"a\*c"}, {"text": "abc"}, False),
    ({"text": "a*b*c*d"}, {"text": "a\nbxcccd"}, True),
    ({"text": "a*b*c*d"}, {"text": "acbd"}, False),
    ({"text": "*ab*ab*"}, {"text": "aab"}, False),
    ({"text": "*ab*ab*"}, {"text": "xabab"}, True),
    ({"text": "a**b?*c"}, {"text": "aabbc"}, True),
    ({"text": "a*1*2*3"}, {"text": "a1123"}, True),  # a digit after a group's number
    ({"text": "*a?b*ab"}, {"text": "aab-acbab"}, True),
    # Almost a match, at 27 million places.
    ({"text": "*a*b*c*d*e"}, {"text": "abc" * 300}, False),
    ({"text": "*a*b*c*d*e"}, {"text": "abcd" * 10_000 + "e"}, True),
    ({"text|re": r"C:\\Happy"}, {"text": r"C:\Happy"}, True),
    ({"text|re": r"^[\w.-]+\\(?:[a-z]{1,3}\.){2}(?!x)[^\]\\]"}, {"text": r"a-b\abc.de.y"}, True),
    ({"text|re": r"[]a]{2}[^^-]\x41(?<=A)$"}, {"text": "a]bA"}, True),
    ({"text|re": r"(a)\1|b}"}, {"text": "b}"}, True),
    ({"text|re": "(?:ab)*$"}, {"text": "ab" * 1000}, True),
    ({"text|re": "rundll32\\.exe.{0,4}$"}, {"text": "Rundll32.exe"}, False),
    ({"text|re|i": "rundll32\\.exe.{0,4}$"}, {"text": "C:\\Rundll32.exe  "}, True),
    ({"text|re": "a"}, {"text": None}, UNKNOWN),
    ({"text": None}, {"text": None}, True),
    ({"text": None}, {"text": ""}, False),
    ({"text|exists": True}, {"text": None}, False),
    ({"text|exists": True}, {"text": "x"}, True),
    ({"text|exists": False}, {"text": None}, True),
    ({"text|contains|all": ["a", "b"]}, {"text": "b-a"}, True),
    ({"text|contains|all": ["a", "b"]}, {"text": "a"}, False),
    ({"text|windash|contains": " -u"}, {"text": "installutil /U x"}, True),
    ({"text|windash|contains": " -u"}, {"text": "installutil x"}, False),
    ({"text|neq": ["a", "b"]}, {"text": "b"}, False),
    ({"text|neq": ["a", "b"]}, {"text": None}, True),
    ({"text|fieldref": "other"}, {"text": "A", "other": "a"}, True),
    ({"text|fieldref": "other"}, {"text": "A", "other": None}, UNKNOWN),
    ({"port": "443"}, {"port": 443}, True),
    ({"port": [80, 443]}, {"port": 8080}, False),
    ({"port|gte": 1}, {"port": 0}, False),
    ({"port|lt": 1024}, {"port": None}, UNKNOWN),
    ({"ip|cidr": "10.0.0.0/8"}, {"ip": "10.255.0.1"}, True),
    ({"ip|cidr": "10.0.0.0/8"}, {"ip": "::ffff:10.1.2.3"}, True),
    ({"ip|cidr": "10.0.0.0/8"}, {"ip": "11.0.0.1"}, False),
    ({"ip|cidr": "10.0.0.0/8"}, {"ip": None}, UNKNOWN),
    ({"ip|cidr": "10.0.0.0/8"}, {"ip": "no address"}, UNKNOWN),
    ({"ip|cidr": "::1/128"}, {"ip": "0:0:0:0:0:0:0:1"}, True),
    ({"ip|cidr": ["fe80::/10", "fc00::/7"]}, {"ip": "FE80::1%eth0"}, True),
    ({"ip|cidr": "@non_public"}, {"ip": "203.0.113.9"}, True),
    ({"ip|cidr": "@non_public"}, {"ip": "8.8.8.8"}, False),
    ({"ip|cidr": "@non_public"}, {"ip": "ff02::1"}, True),
]

NEGATIONS = [
    ("not b", {"text": "a"}, {"text": "a"}, False),
    ("not b", {"text": "a"}, {"text": "b"}, True),
    ("not b", {"text": "a"}, {"text": None}, True),  # an unknown never excludes a row
    ("not not b", {"text": "a"}, {"text": None}, False),
]


def _tree(blocks: dict[str, Any]) -> Any:
    tree, problems = parse_side(blocks, TYPES, "process")
    assert not problems, problems
    return tree


@pytest.mark.parametrize(("block", "row", "expected"), CASES)
def test_a_row_is_judged_without_spark(block: dict[str, Any], row: dict[str, Any], expected: bool | None) -> None:
    assert holds(_tree({"b": block, "condition": "b"}), row) is expected


@pytest.mark.spark
def test_every_case_of_the_table(spark: SparkSession) -> None:
    cases = [({"b": block, "condition": "b"}, row, expected) for block, row, expected in CASES]
    cases += [({"b": block, "condition": condition}, row, expected) for condition, block, row, expected in NEGATIONS]
    names = SCHEMA.replace(" string", "").replace(" int", "").split(", ")
    rows = [(i, *[row.get(n) for n in names]) for i, (_, row, _) in enumerate(cases)]
    judged = F.when(F.lit(False), None)  # one CASE: in one another they would be too deep for Spark Connect
    for i, (blocks, _, _) in enumerate(cases):
        judged = judged.when(F.col("i") == i, F.expr(to_sql(_tree(blocks))))
    found = dict(spark.createDataFrame(rows, f"i int, {SCHEMA}").select("i", judged).collect())
    wrong = [
        (blocks, row, f"expected {e}, got {found[i]}") for i, (blocks, row, e) in enumerate(cases) if found[i] is not e
    ]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.spark
def test_a_row_stays_a_candidate_while_its_unknown_fields_may_still_be_filled(spark: SparkSession) -> None:
    tree = _tree({"a": {"text": "x"}, "b": {"other|contains": "y"}, "condition": "a and not b"})
    rows = [("x", None), ("x", "y"), ("x", "n"), (None, "n"), ("z", None)]
    frame = spark.createDataFrame(rows, "text string, other string")
    candidates = [tuple(r) for r in frame.where(to_candidate_sql(tree, frozenset({"text"}))).collect()]
    assert candidates == [("x", None), ("x", "n")]


@pytest.mark.spark
def test_equality_and_lists_reach_the_files_and_a_not_does_not_stop_them(spark: SparkSession, tmp_path: Any) -> None:
    spark.createDataFrame([(80, "a")], "port int, text string").write.parquet(str(tmp_path / "p"))
    tree = _tree({"w": {"port": [80, 443]}, "f": {"text": "x"}, "condition": "w and not f"})
    with redirect_stdout(StringIO()) as plan:
        spark.read.parquet(str(tmp_path / "p")).where(to_sql(tree)).explain()
    pushed = next(line for line in plan.getvalue().splitlines() if "PushedFilters" in line)
    assert "In(port, [" in pushed, pushed


# Texts that could end a literal, or change their meaning in it.
NASTY = ["it's", '"', "\\", "\\'", r"a\nb", "a\nb", "\0", "\t", "' OR true --", "') OR (true", "/*", "`", "${env:PATH}",
         "$1", "%_", "\u00e9\u4e2d\U0001f600", "\u2028", ":name", "?", "{}"]  # fmt: skip


@pytest.mark.spark
@pytest.mark.parametrize("escaped", ["true", "false"])
def test_a_text_is_itself_and_never_code(spark: SparkSession, escaped: str) -> None:
    """Whether backslashes escape or not, exactly the rows with the same text are found."""
    ops: tuple[Op, ...] = ("eq", "contains")
    tests = [Field("text", op, text, cased=True) for text in NASTY for op in ops]
    listed = AnyOf(tuple(Field("text", "eq", text, cased=True) for text in NASTY))
    frame = spark.createDataFrame([(t,) for t in NASTY], "text string")
    spark.conf.set("spark.sql.parser.escapedStringLiterals", escaped)
    try:
        judged = F.array(*[F.expr(to_sql(tree)) for tree in (*tests, listed)])
        found = frame.select("text", judged).collect()
    finally:
        spark.conf.unset("spark.sql.parser.escapedStringLiterals")
    assert [text for text, _ in found] == NASTY
    for text, results in found:
        expected = [str(t.value) in text if t.op == "contains" else t.value == text for t in tests]
        assert results == [*expected, True], text


@pytest.mark.spark
def test_a_name_is_a_name_and_never_code(spark: SparkSession) -> None:
    name = "a` IS NULL OR `b.c"
    frame = spark.createDataFrame([("x",), ("y",)], "text string").toDF(name)
    assert frame.where(to_sql(Field(name, "eq", "x"))).count() == 1
    assert frame.select(F.struct("*").alias("s")).where(to_sql(Field(name, "eq", "x"), "s")).count() == 1
    assert column("b", of="s") == "s.`b`"


@pytest.mark.spark
def test_a_tree_is_evaluated_on_columns_by_other_names(spark: SparkSession) -> None:
    tree = _tree(
        {"a": {"text|fieldref": "other", "ip|cidr": "fe80::/10"}, "b": {"port": 80}, "condition": "a and not b"}
    )
    frame = spark.createDataFrame(
        [("A", "a", 443, "FE80::1"), ("A", "a", 80, "FE80::1"), ("a", None, 1, "fe80::1")], SCHEMA
    )
    other = frame.toDF(*[f"the_{c}" for c in frame.columns])
    judged = other.select(to_column(tree, lambda name: F.col(f"the_{name}"))).collect()
    assert [r[0] for r in judged] == [True, False, None]
