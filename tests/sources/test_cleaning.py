"""Cleaning of raw values: what each becomes; cleaning twice changes nothing, and nothing fails. One job each."""

from __future__ import annotations

import random

import pytest
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.sources import cleaning, columns
from procnet.sources.columns import TYPED
from procnet.sources.mapping import COLUMNS
from procnet.vocabulary import LOWER_CASE_COLUMNS

pytestmark = pytest.mark.spark

CASES = [
    ("host", " HR001.Shire.com. ", "hr001.shire.com"), ("host", "-", None), ("host", "Null", None),
    ("guid", "{0000000a-0000-0000-0000-000000000001}", "0000000A-0000-0000-0000-000000000001"),
    ("guid", "{00000000-0000-0000-0000-000000000000}", None),
    ("process_id", "0x1A4", "420"), ("process_id", " 420 ", "420"), ("process_id", "0", None),
    ("process_id", "4294967296", None), ("process_id", "0xFFFFFFFFFFFFFFFFFF", None), ("process_id", "4.5", None),
    ("port", "443", "443"), ("port", "65536", None), ("port", "https", None),
    ("base_name", "\\device\\harddiskvolume2\\Windows\\System32\\MsiExec.exe", "msiexec.exe"),
    ("base_name", "/usr/bin/curl", "curl"), ("base_name", "&lt;unknown process&gt;", None),
    ("transport", "6", "tcp"), ("transport", "UDP", "udp"), ("integrity_level", "S-1-16-16384", "system"),
    ("time", "2026-03-01T10:00:00.123456789+02:00", "2026-03-01 08:00:00.123456"),
    ("time", "2026-03-01 10:00:00", "2026-03-01 10:00:00"), ("time", "132500000000000000", "2020-11-16 11:33:20"),
    ("time", "1772359200", "2026-03-01 10:00:00"), ("time", "1772359200000", "2026-03-01 10:00:00"),
    ("time", "12:30", None), ("time", "2026-13-01T10:00:00Z", None), ("time", "0", None),
    ("command_line", " a  b ", " a  b "), ("command_line", " <Unknown process>", None),
    ("addresses", "type:  5 web.example;::ffff:192.0.2.7;192.0.2.7;2001:DB8::1;", "[192.0.2.7, 2001:db8::1]"),
    ("addresses", '["192.0.2.7", "TXT 9 192.0.2.8"]', "[192.0.2.7]"),
    ("addresses", "192.0.2.8, ::1", "[192.0.2.8, ::1]"),
    ("addresses", "-", None), ("addresses", "type: 12 web.example;", None), ("addresses", "[]", None),
    ("dns_name", "Web.Example.COM.", "web.example.com"), ("dns_name", "XN--BCHER-KVA.example", "xn--bcher-kva.example"),
    ("dns_name", "_ldap._tcp.dc._msdcs.corp", "_ldap._tcp.dc._msdcs.corp"), ("dns_name", ".", None),
    ("dns_name", "https://bob@Web.example:8443/a?b=c@d", "web.example"), ("dns_name", "web.example:443", "web.example"),
    ("dns_name", "192.0.2.7", None), ("dns_name", "http://192.0.2.7/a", None), ("dns_name", "http://[::1]:80/", None),
    ("dns_name", "::1", None), ("dns_name", "http:///a", None),
    ("query_type", "28", "AAAA"), ("query_type", "https", "HTTPS"), ("query_type", "65280", "65280"),
    ("response_code", "0", "NOERROR"), ("response_code", "9003", "NXDOMAIN"), ("response_code", "NXDomain", "NXDOMAIN"),
    ("response_code", "9701", "9701"), ("seconds", "0.0668", "0.0668"), ("seconds", "1.5E-4", "1.5E-4"),
    ("seconds", "NaN", None), ("seconds", "-1", None), ("seconds", "1d", None),
    ("known", "\t- ", None), ("known", " a  b ", "a  b"), ("host", "unknown.", None), ("guid", "{null}", None),
]  # fmt: skip
PIECES = ["0x", "{", "}", "-", "0", "9", "99999999999", "a", "É", "\\", "/", ".", ":", "Z", " ", "\t", "null",
          "2026-03-01", "T10:00:00", "+02:00", "%%14593", "\x00", "&lt;"]  # fmt: skip


def cleaned(name: str, raw: Column) -> Column:
    function = getattr(cleaning, name)
    return function(raw if name == "command_line" else cleaning.known(cleaning.stripped(raw)))  # type: ignore[no-any-return]


def test_each_value(spark: SparkSession) -> None:
    values = [cleaned(f, F.lit(raw)).cast("string").alias(str(i)) for i, (f, raw, _) in enumerate(CASES)]
    row = spark.range(1).select(*values).first()
    assert row is not None
    wrong = [(f, raw, want, got) for (f, raw, want), got in zip(CASES, row, strict=True) if got != want]
    assert wrong == []


def test_cleaning_twice_changes_nothing_and_nothing_fails(spark: SparkSession) -> None:
    rng = random.Random(7)
    raw = ["".join(rng.choices(PIECES, k=rng.randint(0, 6))) for _ in range(3000)]
    names = sorted({f for f, _, _ in CASES} | {"address", "lowered"})
    frame = spark.createDataFrame([(r,) for r in raw], "raw string")
    once = frame.select("raw", *(cleaned(n, F.col("raw")).cast("string").alias(n) for n in names))
    changed = once.select(
        *(F.count_if(~F.col(n).eqNullSafe(cleaned(n, F.col(n)).cast("string"))).alias(n) for n in names)
    )
    assert changed.first().asDict() == dict.fromkeys(names, 0)  # type: ignore[union-attr]


def test_cleaning_lowers_the_lower_case_columns_and_no_others(spark: SparkSession) -> None:
    """Conditions compare these columns without a case conversion. Addresses get another spelling altogether."""
    texts = [c for c in COLUMNS if c not in TYPED and c not in ("src_ip", "dest_ip")]
    row = spark.range(1).select(*(columns.cleaned(c, [(F.lit("aBC"), T.StringType())]).alias(c) for c in texts)).first()
    assert row is not None
    assert {c for c in texts if row[c] == "abc"} == LOWER_CASE_COLUMNS
