"""Addresses in every spelling are read as Python's ipaddress reads them; one Spark job."""

from __future__ import annotations

import ipaddress
from random import Random

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from procnet.predicates.address import NON_PUBLIC, canonical_address, in_network

JUNK = ["", "-", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::1::", ":::", "g::1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "01.2.3.4", "12345::", "1.2.3.4:80", "localhost", "::ffff:1.2.3.999", "fe80", "%eth0"]  # fmt: skip


def _expected(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _spellings(rng: Random, count: int) -> list[str]:
    made = []
    for _ in range(count):
        bits = rng.getrandbits(128)
        for _ in range(rng.randint(0, 5)):  # runs of zero groups are what the short spelling is about
            bits &= ~(0xFFFF << 16 * rng.randint(0, 7))
        if rng.random() < 0.1:
            bits = (0xFFFF << 32) | (bits & 0xFFFFFFFF)
        v6 = ipaddress.IPv6Address(bits)
        v4 = str(ipaddress.IPv4Address(bits & 0xFFFFFFFF))
        full = v6.exploded
        bare = ":".join(g.lstrip("0") or "0" for g in full.split(":"))
        made += [
            str(v6),
            full,
            bare,
            full.upper(),
            str(v6) + "%eth0",
            f" {v4} ",
            f"::ffff:{v4}",
            f"{bare.rsplit(':', 2)[0]}:{v4}",
        ]
    return made


@pytest.mark.spark
def test_addresses_agree_with_ipaddress(spark: SparkSession) -> None:
    texts = sorted({*_spellings(Random(11), 1500), *JUNK})
    columns = [F.col("t"), canonical_address(F.col("t")), F.expr(in_network("t", *NON_PUBLIC)),
               F.expr(in_network("t", "10.0.0.0/8", "2001:db8::/33", "128.0.0.0/1"))]  # fmt: skip
    rows = spark.createDataFrame([(t,) for t in texts], "t string").select(*columns).collect()
    private = [ipaddress.ip_network(n) for n in NON_PUBLIC]
    networks = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "2001:db8::/33", "128.0.0.0/1")]
    wrong = []
    for text, spelled, hidden, inside in rows:
        e = _expected(text)
        if e is None:
            right = (spelled, hidden, inside) == (None, None, None)
        else:
            lies_in = [any(n.version == e.version and e in n for n in nets) for nets in (private, networks)]
            right = spelled == str(e) and [hidden, inside] == lies_in
        if not right:
            wrong.append((text, str(e), spelled, hidden, inside))
    assert not wrong, wrong[:10]
    assert len(rows) > 9000
