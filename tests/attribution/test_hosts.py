"""Host keys, host filters, and how many rows the driver may collect."""

from __future__ import annotations

from itertools import combinations

import pytest
from pyspark.sql import SparkSession

from oracle import host_key
from procnet.attribution.hosts import host_filter
from procnet.attribution.hosts import host_key as sql_key
from procnet.settings import HostMatch
from procnet.spark.collect import _gib, driver_row_limit

HOSTS = (
    "ws1",
    "ws1.corp.example",
    "ws1.lab",
    "ws10",
    "ws10.corp",
    "10.1.2.3",
    "10.1.2.4",
    "10.ws",
    "10",
    "fe80::1",
    "a'b.c",
)


@pytest.mark.spark
def test_hosts_have_one_key_in_sql_and_in_the_oracle(spark: SparkSession) -> None:
    """Names that sort before and after digits, and texts that are nearly addresses."""
    hosts = (
        *HOSTS,
        "1ws.corp",
        "-ws.corp",
        "_a.b",
        "10.1.2.3.",
        "10.1.2",
        "1000.1.2.3",
        "a.10.1.2.3",
        "::1",
        "ws:1",
        "é.x",
        "",
    )
    rows = spark.createDataFrame([(h,) for h in (*hosts, None)], "host string")
    keys = rows.selectExpr("host", *[f"{sql_key('host', m)} AS {m.name}" for m in HostMatch]).collect()
    for row in keys:
        assert [row[m.name] for m in HostMatch] == [host_key(row["host"], m) for m in HostMatch], row["host"]


@pytest.mark.spark
@pytest.mark.parametrize("match", list(HostMatch))
def test_no_row_on_the_key_of_a_host_is_left_out(spark: SparkSession, match: HostMatch) -> None:
    rows = spark.createDataFrame([(h,) for h in (*HOSTS, None)], "host string")
    pairs = list(combinations(HOSTS, 2))
    filters = [f"{host_filter(hosts, match)} AS k{i}" for i, hosts in enumerate(pairs)]
    filtered = rows.selectExpr("host", *filters).collect()
    for i, hosts in enumerate(pairs):
        keys = {host_key(h, match) for h in hosts}
        found = {r["host"] for r in filtered if r[f"k{i}"]}
        assert found >= {h for h in HOSTS if host_key(h, match) in keys}
        assert len(found) < len(HOSTS), "it filters"
    assert host_filter(HOSTS, match, limit=3) == "true"
    assert not rows.where(host_filter([None], match)).count()


@pytest.mark.parametrize(
    ("size", "gib"),
    [("8g", 8), ("512m", 0.5), ("1GB", 1), (str(1 << 30), 1), ("2048mb", 2), ("1t", 1024), ("1048576k", 1)],
)
def test_sizes_as_spark_spells_them(size: str, gib: float) -> None:
    assert _gib(size) == gib


@pytest.mark.spark
def test_the_row_limit_follows_from_the_heap(spark: SparkSession) -> None:
    heap = _gib(spark.conf.get("spark.driver.memory", "1g") or "1g")
    assert driver_row_limit(spark, None) == int(65_536 * heap)
    assert driver_row_limit(spark, 7) == 7
