"""What a condition means, as a table: every row of it is judged in one Spark job."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.predicates.column import to_candidate_column, to_column
from procnet.predicates.parse import parse_side

TYPES = {"text": T.StringType(), "other": T.StringType(), "port": T.IntegerType(), "ip": T.StringType()}
SCHEMA = "text string, other string, port int, ip string"
UNKNOWN = None

# (what a person writes, the row, what it comes to)
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
    ("not b", {"text": "a"}, {"text": None}, True),  # an unknown never counts against a row
    ("not not b", {"text": "a"}, {"text": None}, False),
]


def _tree(blocks: dict[str, Any]) -> Any:
    tree, problems = parse_side(blocks, TYPES, "process")
    assert not problems, problems
    return tree


@pytest.mark.spark
def test_every_case_of_the_table(spark: SparkSession) -> None:
    cases = [({"b": block, "condition": "b"}, row, expected) for block, row, expected in CASES]
    cases += [({"b": block, "condition": condition}, row, expected) for condition, block, row, expected in NEGATIONS]
    names = SCHEMA.replace(" string", "").replace(" int", "").split(", ")
    rows = [(i, *[row.get(n) for n in names]) for i, (_, row, _) in enumerate(cases)]
    judged = F.lit(None).cast("boolean")
    for i, (blocks, _, _) in enumerate(cases):
        judged = F.when(F.col("i") == i, to_column(_tree(blocks), F.col)).otherwise(judged)
    found = dict(spark.createDataFrame(rows, f"i int, {SCHEMA}").select("i", judged).collect())
    wrong = [
        (blocks, row, f"expected {e}, came to {found[i]}")
        for i, (blocks, row, e) in enumerate(cases)
        if found[i] is not e
    ]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.spark
def test_a_candidate_is_kept_while_unknown_fields_may_still_be_filled(spark: SparkSession) -> None:
    tree = _tree({"a": {"text": "x"}, "b": {"other|contains": "y"}, "condition": "a and not b"})
    rows = [("x", None), ("x", "y"), ("x", "n"), (None, "n"), ("z", None)]
    frame = spark.createDataFrame(rows, "text string, other string")
    kept = [tuple(r) for r in frame.where(to_candidate_column(tree, F.col, frozenset({"text"}))).collect()]
    assert kept == [("x", None), ("x", "n")]


@pytest.mark.spark
def test_equality_and_lists_reach_the_files_and_a_not_does_not_stop_them(spark: SparkSession, tmp_path: Any) -> None:
    spark.createDataFrame([(80, "a")], "port int, text string").write.parquet(str(tmp_path / "p"))
    tree = _tree({"w": {"port": [80, 443]}, "f": {"text": "x"}, "condition": "w and not f"})
    plan = spark.read.parquet(str(tmp_path / "p")).where(to_column(tree, F.col))._jdf.queryExecution().toString()
    pushed = next(line for line in plan.splitlines() if "PushedFilters" in line)
    assert "In(port, [" in pushed, pushed
