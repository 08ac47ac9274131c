"""A value of a Sigma rule becomes the value that the clean-up makes of it in records, or is refused: it never silently
matches nothing. Every word of the vocabulary is tried in every field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.predicates.interpret import holds
from procnet.predicates.model import Predicate
from procnet.predicates.parse import parse_side
from procnet.sigma.fields import FIELDS, translate
from procnet.sources import columns
from procnet.vocabulary import INTEGRITY_LEVELS, LOWER_CASE_COLUMNS, NULL_WORDS, PROTOCOLS

FLAGS = ("direction", "protocol_version")
NUMBERS = ("process_id", "parent_process_id", "src_port", "dest_port")
# A text that these hold may also be a part of an address, or of a value that they replace.
REFUSING = ("src_ip", "dest_ip", "dest_name", "transport", "integrity_level")
LABELS = [rf"Mandatory Label\{level} Mandatory Level" for level in ("Low", "Medium", "Medium Plus", "High", "System")]
WORDS = [*NULL_WORDS, *PROTOCOLS, *PROTOCOLS.values(), *INTEGRITY_LEVELS, *INTEGRITY_LEVELS.values(), *LABELS]
OTHERS = ["0", "443", "0x1f4", "70000", "4294967296", "-1", "200", "sctp", "S-1-16-0", "Untrusted", "10.0.0.1", "1.2",
          "FE80::1%eth0", "::ffff:10.0.0.1", "0:0:0:0:0:0:0:1", "DC1.corp.", "unknown.", "localhost", r"C:\A\b.exe",
          r"Mandatory Label\Unknown Mandatory Level", "NT AUTHORITY\\SYSTEM"]  # fmt: skip


def raw_values() -> list[str]:
    """The words in four cases, and with blanks at their ends."""
    cased = [v for w in WORDS for v in (w, w.lower(), w.upper(), w.title(), w.swapcase())]
    return list(dict.fromkeys([*cased, *(f" {w}\t" for w in WORDS), *OTHERS]))


Canonical = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def canonical(spark: SparkSession) -> Canonical:
    """What the clean-up makes of each raw value in each column of FIELDS, in one job."""
    raw, text = F.col("raw"), T.StringType()
    others = ("dest_host", "query_name", "server_name", "process_name", "parent_process_name", "action")
    names = [*(c for _, c in FIELDS.values()), *others]
    cleaned = {c: columns.cleaned(c, [(columns.known(c, columns.stripped(c, raw)), text)]) for c in names}
    derived = columns.with_derived(cleaned)
    frame = spark.createDataFrame([(r,) for r in raw_values()], "raw string")
    rows = frame.select("raw", *[derived[c].alias(c) for c in names]).collect()
    return {row["raw"]: row.asDict() for row in rows}


def translated(key: str, value: object) -> list[Any] | None:
    """The values that a test compares with; None if it is refused."""
    try:
        found = translate(key, value, []).value
    except ValueError:
        return None
    return found if isinstance(found, list) else [found]


def tried(canonical: Canonical) -> Iterator[tuple[str, str, str, Any]]:
    """Field, column, raw value and canonical value, of every field but those that are true or false.

    The host name of a record is `dest_name` of kind reverse, cleaned as `dest_host`.
    """
    for field, (_, column) in FIELDS.items():
        if column not in FLAGS:
            for raw, row in canonical.items():
                yield field, column, raw, row["dest_host" if column == "dest_name" else column]


def is_null_word(raw: str) -> bool:
    return raw.strip().lower() in NULL_WORDS


@pytest.mark.spark
def test_a_whole_value_becomes_the_canonical_one(canonical: Canonical) -> None:
    wrong, refused = [], set()
    for field, _, raw, expected in tried(canonical):
        found = translated(field, raw)
        if found is None and expected is None and not is_null_word(raw):
            refused.add((field, raw))
        elif found != [expected]:
            wrong.append((field, raw, expected, found))
    assert wrong == [], wrong[:10]
    fields = {f for f, (_, c) in FIELDS.items() if c in ("src_ip", "dest_ip", *NUMBERS)}
    assert {f for f, _ in refused} == {*fields, "DestinationHostname"}, "only these columns refuse values"
    assert {r for f, r in refused if f == "DestinationHostname"} > {"10.0.0.1", "::ffff:10.0.0.1", "1.2"}
    assert translated("Protocol", 47) == translated("Protocol", "47") == ["gre"]
    assert translated("ProcessId", 0) == [None]


@pytest.mark.spark
def test_each_value_of_a_list_becomes_the_canonical_one(canonical: Canonical) -> None:
    known = {"src_ip": "192.0.2.1", "dest_ip": "192.0.2.1", **dict.fromkeys(NUMBERS, 7)}
    wrong = []
    for field, column, raw, expected in tried(canonical):
        if translated(field, raw) is None:
            continue
        other = known.get(column, "some-value")
        if translated(field, [other, raw]) != [other, expected]:
            wrong.append((field, raw, expected))
    assert wrong == [], wrong[:10]


@pytest.mark.spark
def test_a_null_word_is_null_in_fields_that_are_true_or_false(canonical: Canonical) -> None:
    for field in ("Initiated", "DestinationIsIpv6"):
        for raw in canonical:
            assert translated(field, raw) == ([None] if is_null_word(raw) else None), (field, raw)


def patterns(column: str, raw: str) -> Iterator[tuple[str, str]]:
    """Modifiers that compare with parts of a value or by regular expression, each with a value that matches `raw`."""
    regex = "|re|i" if column in LOWER_CASE_COLUMNS else "|re"
    yield from (("|contains", raw), ("|startswith", raw), ("|endswith", raw), ("|contains|neq", raw), ("", f"*{raw}*"))
    yield from ((regex, re.escape(raw)), (regex, f"^{re.escape(raw)}$"))


def others_with(column: str, raw: str) -> list[str]:
    """Values that the column may hold and that contain the word, though it is null there by itself."""
    if column in ("src_ip", "dest_ip"):
        return [f"{raw or 9}.0.0.{raw or 9}"] if raw.isdigit() or not raw else []
    is_part = raw.lower() in ("", "-", "null", "unknown") or (column == "dest_name" and raw.isdigit())
    return [f"x{raw}", f"{raw}x"] if is_part else []


def predicate(key: str, value: Any) -> Predicate | None:
    """The tree of a test in a detection file, without its `neq`; None if the file would be refused."""
    key = key.replace("|neq", "")
    return parse_side({"b": {key: value}, "condition": "b"}, {key.split("|")[0]: T.StringType()}, "")[0]


@pytest.mark.spark
def test_a_pattern_of_a_raw_value_matches_the_canonical_one_or_is_refused(canonical: Canonical) -> None:
    wrong, count = [], {"refused": 0, "matched": 0}
    words = {w.lower() for w in WORDS}
    for field, column, raw, expected in tried(canonical):
        if column in NUMBERS or raw.lower() not in words:
            continue
        for modifiers, value in patterns(column, raw):
            if column == "dest_name" and raw.isdigit() and value.startswith("^"):
                continue  # no host has such a name
            key = f"{field}{modifiers}"
            try:
                test = translate(key, value, [])
            except ValueError:
                count["refused"] += 1
                if raw.lower() == str(expected).lower() and column not in REFUSING:
                    wrong.append((key, value, "is refused, though the column holds this value"))
                continue
            tree = predicate(test.key, test.value)
            count["matched"] += 1
            texts = [expected, *others_with(column, raw)]
            if tree is not None and not any(holds(tree, {column: text}) is True for text in texts):
                wrong.append((key, value, expected))
    assert wrong == [], wrong[:10]
    assert min(count.values()) > 500, count


@pytest.mark.spark
def test_the_clean_up_lowers_the_columns_that_the_vocabulary_names(canonical: Canonical) -> None:
    of_word = canonical["Untrusted"]
    assert {c for c, v in of_word.items() if v == "untrusted"} == LOWER_CASE_COLUMNS
    assert {c for c, v in of_word.items() if v == "Untrusted"} & LOWER_CASE_COLUMNS == set()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("Protocol|startswith", "4", "for which transport holds"),
        ("Protocol|re|i", "^(6|17)$", "for which transport holds"),
        ("IntegrityLevel|contains", "S-1-16-8448", "for which integrity_level holds 'medium'"),
        ("IntegrityLevel|endswith", "Mandatory Level", "for which integrity_level holds"),
        ("Image|contains", "<unknown process>", "for which process_path holds null"),
        ("ParentImage", "*&lt;unknown process&gt;", "for which parent_process_path holds null"),
        ("CommandLine|re", r"^(-|null)$", "for which command_line holds null"),
        ("User|re", "^Unknown$", "for which user holds null"),
        ("SourceIp|contains", "unknown", "no address contains"),
        ("DestinationHostname", "10.0.0.1", "no addresses"),
        ("DestinationHostname|contains", "fe80:", "no addresses"),
        ("DestinationHostname|endswith", ".example.", "end without a dot"),
        ("Image|startswith", " C:", "no blanks at their ends"),
        ("DestinationPort", 65536, "between 0 and 65535"),
        ("DestinationIp|fieldref", "DestinationHostname", "cannot be compared"),
    ],
)
def test_a_test_that_could_match_nothing_is_refused(field: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        translate(field, value, [])


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("CommandLine|contains", "-", "command_line|contains"),
        ("CommandLine|contains", ">", "command_line|contains"),
        ("CommandLine|contains", "null", "command_line|contains"),
        ("CommandLine|contains", "S-1-16-8448", "command_line|contains"),
        ("Image|contains", "unknown", "process_path|contains"),
        ("Image|contains", "unknown process", "process_path|contains"),
        ("IntegrityLevel|contains", "High", "integrity_level|contains"),
        ("Protocol|re|i", "^(tcp|6)$", "transport|re|i"),
        ("DestinationHostname|contains", "1.", "dest_name|contains"),
        # The clean-up has no base name for these two.
        ("Image|endswith", "\\unknown", "process_path|endswith"),
        ("ParentImage|endswith", "/null", "parent_process_path|endswith"),
    ],
)
def test_a_text_that_is_a_part_of_other_values_is_translated(field: str, value: str, key: str) -> None:
    test = translate(field, value, [])
    assert (test.key, test.value) == (key, value)
