"""Cleaning of many generated values: nothing raises, and cleaning twice changes nothing.

Values are cleaned as the mappings do it: `stripped`, then `known`, then the function. Spark runs in ANSI mode, so a
cast that raises ends the whole job, here as in an ingest. The second pass reads the first one's result as text, as a
canonical table that is mapped again: numbers and times by their text (`cast as string`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.sources import cleaning

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.usefixtures("compiled")]
# A hundred thousand in every run of the suite; a million by PROCNET_FUZZ_ROWS=1000000, a minute on two cores.
ROWS = int(os.environ.get("PROCNET_FUZZ_ROWS", "100000"))
SEED, PIECES = 20260301, 6

# process_id, port and sizes use `whole`, which accepts more than each of them.
FUNCTIONS: dict[str, Callable[[Column], Column]] = {
    "known": lambda c: c,
    "lowered": cleaning.lowered,
    "host": cleaning.host,
    "guid": cleaning.guid,
    "base_name": cleaning.base_name,
    "whole": cleaning.whole,
    "process_id": cleaning.process_id,
    "port": cleaning.port,
    "transport": cleaning.transport,
    "integrity_level": cleaning.integrity_level,
    "address": cleaning.address,
    "addresses": cleaning.addresses,
    "dns_name": cleaning.dns_name,
    "query_type": cleaning.query_type,
    "response_code": cleaning.response_code,
    "seconds": cleaning.seconds,
    "time": cleaning.time,
}

# Pieces that are concatenated at random. Each family makes values that one function accepts, and near misses of them;
# every function gets all of them. Complete values are among the pieces, so that some results are valid.
NOISE = ["", "", "", " ", "\t", "\r\n", ".", "-", "\u00a0", "\u2028", "\x00", "\x0b", "\x85", "\ufeff"]
FAMILIES: dict[str, list[str]] = {
    "address": [
        *NOISE, "192.0.2.1", "255.255.255.255", "0.0.0.0", "256.1.1.1", "192.0.2", "01.2.3.4", "10.", "1", "0", ":",
        "::", "::1", "::ffff:", "::FFFF:192.0.2.7", "0:0:0:0:0:ffff:c000:201", "64:ff9b::", "2001:DB8:", "2001:db8::1",
        "1:2:3:4:5:6:7:8", "fe80::1%eth0", "%12", "%25en0", "%", "/64", "[", "]", "0000", "00001", "FFFF", "g", ":0:0",
    ],
    "time": [
        *NOISE, "2026-03-01", "0000-01-01", "0001-01-01", "9999-12-31", "1969-12-31", "2024-02-29", "2023-02-29",
        "2026-13-01", "2026-3-1", "T10:00:00", " 23:59:59", "T24:00:00", "T23:59:60", "T00:00:00", "12:30", ".5", ".1",
        ".123456789", ".", "Z", "z", "+02:00", "+18:00", "-18:00", "-19:00", "+0530", " UTC", " Europe/Berlin", "[UTC]",
        "1772359200", "1772359200000", "134168328000000000", "253402300799", "1.7723592E9", "E", "E99", "e+9", "-1",
    ],
    "guid": [
        *NOISE, "{", "}", "{{", "}}", "{0000000a-0000-0000-0000-000000000001}", "00000000-0000-0000-0000-000000000000",
        "0000000A-", "0", "000", "null", "Unknown", "deadbeef", "ß", "ŉ", "ſ", "ı", "<unknown proce", "ss>", "ab cd",
    ],
    "name": [
        *NOISE, "PC1", "Example.COM", "..", " .", ". ", "\\", "/", "\\\\", "C:\\Windows\\", "\\device\\harddisk2\\",
        "/usr/bin/", "A.exe", "a b", "İ", "ΑΣ", "K", "ẞ", "é", "e\u0301", "null", "NULL.", "unknown", "-", "日本", "💥",
    ],
    "number": [
        *NOISE, "0x", "0X", "0", "00", "7", "443", "65535", "65536", "4294967295", "4294967296", "9223372036854775807",
        "9223372036854775808", "99999999999999999999", "1A4", "fffffffffffffff", "FFFFFFFFFFFFFFFFF", "g", "+", "-",
        "1e3", ".5", ".", ",", "_", "٣", "17", "6", "58", "tcp", "UDP", "ipv6-icmp",
    ],
    "word": [
        *NOISE, "null", "NULL", "unknown", "Unknown", "<unknown process>", "&lt;unknown process&gt;", "&lt;", "&gt;",
        "<", ">", "unKnown process", "process", "Mandatory Label\\", "mandatory label\\", " Mandatory Level",
        " Plus Mandatory Level", "High", "Medium", "low", "system", "S-1-16-", "S-1-16-12288", "s-1-16-8448", "4096",
        "tcp", "%%1937", "none", "n/a",
    ],
}  # fmt: skip


DIGITS = [str(n) for n in range(10)]
# Pieces by their place (a date, a time, a fraction, a zone), so that many values are nearly valid.
SHAPES: dict[str, list[list[str]]] = {
    "time": [
        ["2026-03-01", "0000-01-01", "0001-01-01", "1970-01-01", "9999-12-31", "2024-02-29", "2023-02-29"],
        ["T10:00:00", " 23:59:59", "T00:00:00", "T24:00:00", "T23:59:60", "t01:02:03"],
        ["", "", ".", ".5", ".999999", ".9999999", ".123456789"],
        ["", "", "Z", "z", "+02:00", "+18:00", "-18:00", "+18:01", "-0500", " UTC", "Europe/Berlin"],
        ["", "", "", " ", "\u2028", "x"],
    ],
    "epoch": [["", "", "-", "+"], *[["", *DIGITS, "99999", "00000"]] * 4, ["", "", ".", ".5", ".999999", "E9", "e+11"]],
    "address": [
        ["", "", "::", "::ffff:", "64:ff9b::", " ", "["], ["1", "0", "01", "192", "255", "256", "a"],
        [".", ":", "::", "."], ["0", "2", "00", "ffff", "0.2", "168.7"], [".1", ".255", ":1", "::1", "", ".1.1"],
        ["", "", "%eth0", "/64", "]", " ", "\n"],
    ],
    "guid": [
        ["", "{", "{{", "{ "], ["0000000a", "00000000", "0", "ffffffff", "null", "<unknown proce"], ["-0000", "", "-"],
        ["-0000-0000", "", " "], ["-000000000000", "-00000000000b", "", "ß>", "ſſ>", "ss>"],
        ["", "}", "}}", " }", "}."],
    ],
    "number": [
        ["", "", "0x", "0X", "+", "-"], ["", "0", "0000000000000000", "00"], ["", *DIGITS, "f", "FFFF"],
        ["", *DIGITS, "ffffffff", "99999999"], ["", *DIGITS, "ffffffff", "999999999"],
        ["", "", " ", ".", ".0", "\u2028"],
    ],
    "word": [
        ["", "", "Mandatory Label\\", "{", "C:\\", "/"], ["", "", "<", "&lt;"],
        ["unknown", "UNKNOWN", "un\u212anown", "null", "-", "high", "S-1-16-4096", "S-1-16-8448"],
        ["", "", " process", " Plus", " proceß"], ["", "", ">", "&gt;", " Mandatory Level"],
        ["", "", ".", " ", "}", " ."],
    ],
}  # fmt: skip


def test_cleaning_twice_changes_no_generated_value(spark: SparkSession) -> None:
    numbers = spark.range(0, ROWS, 1, 2)
    assert violations(numbers.select(generated(F.col("id")).alias("raw"))) == {}


def test_cleaning_twice_changes_no_value_of_hypothesis(spark: SparkSession) -> None:
    values = hypothesis_values()
    assert len(values) >= 3000
    assert violations(spark.createDataFrame([(v,) for v in values], "raw string").coalesce(1)) == {}


def generated(number: Column) -> Column:
    """A value made of pieces: of one family at random, or by their place. Number and seed determine it."""
    shapes = [*([family] * PIECES for family in FAMILIES.values()), *SHAPES.values()]
    places = [place for shape in shapes for place in [*shape, *[[""]] * (PIECES - len(shape))]]
    most = max(map(len, places))
    # One table in which every place has the same number of pieces (short lists repeat), and one literal: Spark takes
    # longer to analyse thousands of literals than to run them.
    table = F.split(F.lit("|".join(place[i % len(place)] for place in places for i in range(most))), r"\|")

    def pick(what: int, of: int) -> Column:
        return F.pmod(F.xxhash64(number, F.lit(SEED), F.lit(what)), F.lit(of)).cast("int")

    shape, longest = pick(0, len(shapes)), pick(1, PIECES + 1)
    free = shape < len(FAMILIES)
    pieces = [
        F.when(~free | (longest > i), F.get(table, (shape * PIECES + i) * most + pick(2 + i, most))).otherwise("")
        for i in range(PIECES)
    ]
    return F.concat(*pieces)


def hypothesis_values() -> list[str]:
    """Values of Hypothesis, the same in every run. They are only collected here: one job cleans them all."""
    found: list[str] = []
    pieces = st.one_of(st.sampled_from([p for family in FAMILIES.values() for p in family]), st.text(max_size=3))
    value = st.one_of(
        st.text(max_size=30),
        st.lists(pieces, max_size=5).map("".join),
        st.ip_addresses().map(str),
        st.ip_addresses(v=6).map(lambda a: a.exploded.upper()),
        st.ip_addresses(v=4).map(lambda a: f"::ffff:{a}%1"),
        st.datetimes().map(lambda t: t.isoformat()),
        st.datetimes(timezones=st.timezones()).map(lambda t: t.isoformat(" ")),
        st.uuids().map(lambda u: f"{{{u}}}"),
        st.integers().map(str),
        st.integers(0, 2**70).map(hex),
        st.floats().map(str),
    )

    @settings(derandomize=True, database=None, deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
    @given(st.lists(value, min_size=12, max_size=12))
    def collect(values: list[str]) -> None:
        found.extend(values)

    collect()
    return found


def violations(frame: DataFrame) -> dict[str, tuple[int, list[tuple[str, ...]]]]:
    """Function -> number of values that a second pass changes, and the five shortest: raw, once, twice. One job.

    There is no filter: Spark would push its condition down and inline the nested functions in it.
    """
    once = cleaned(frame, dict.fromkeys(FUNCTIONS, "raw"), "once")
    twice = cleaned(once, {name: f"once_{name}" for name in FUNCTIONS}, "twice")
    aggregates = []
    for name in FUNCTIONS:
        first, second = F.col(f"once_{name}"), F.col(f"twice_{name}")
        differs = ~first.eqNullSafe(second)
        value = F.struct(F.length("raw"), "raw", first, second)
        found = F.slice(F.array_sort(F.collect_set(F.when(differs, value))), 1, 5)
        aggregates.append(F.struct(F.count_if(differs), found).alias(name))
    row = twice.agg(*aggregates).first()
    assert row is not None
    return {
        n: (count, [tuple(map(ascii, v[1:])) for v in found]) for n, (count, found) in row.asDict().items() if count
    }


def cleaned(frame: DataFrame, input_of: dict[str, str], prefix: str) -> DataFrame:
    """Every function on its column. Each step is in columns of its own, as in normalize.py, because Spark inlines a
    nested argument at every reference."""
    inputs = sorted(set(input_of.values()))
    frame = frame.withColumns({f"_{i}": cleaning.stripped(F.col(i)) for i in inputs})
    frame = frame.withColumns({f"_{i}": cleaning.known(F.col(f"_{i}")) for i in inputs})
    return frame.withColumns(
        {f"{prefix}_{n}": FUNCTIONS[n](F.col(f"_{i}")).cast("string") for n, i in input_of.items()}
    )
