"""The measurement of names: its figures for invented records, and for real ones whose figures are known."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import real_records
from bench import dest_names
from procnet.settings import Settings

REAL = real_records.DATA / "sysmon_ci_runners"
CURL, SSH = "C:\\curl.exe", "C:\\ssh.exe"


def query(name: str, results: str, guid: int, image: str = CURL) -> tuple[str, str]:
    return "22", (
        f"Dns query:\nUtcTime: 2026-03-01 08:00:00.000\nProcessGuid: {{{guid:08}-0000-0000-0000-000000000000}}\n"
        f"ProcessId: {guid}\nQueryName: {name}\nQueryStatus: 0\nQueryResults: {results}\nImage: {image}"
    )


def connection(address: str, host: str, guid: int, initiated: str = "true") -> tuple[str, str]:
    return "3", (
        f"Network connection detected:\nUtcTime: 2026-03-01 08:00:00.000\n"
        f"ProcessGuid: {{{guid:08}-0000-0000-0000-000000000000}}\nProcessId: {guid}\nImage: {CURL}\nProtocol: tcp\n"
        f"Initiated: {initiated}\nSourceIp: 10.0.0.1\nSourcePort: 50000\nDestinationIp: {address}\n"
        f"DestinationHostname: {host}\nDestinationPort: 443"
    )


RECORDS = [
    query("www.shop.example", "type:  5 cdn.example;::ffff:1.2.3.4;::ffff:1.2.3.5;", 4),
    query("other.example", "::ffff:1.2.3.5;", 4),
    query("by-another.example", "2600::1;", 8, SSH),
    connection("1.2.3.4", "www.shop.example", 4),
    connection("1.2.3.4", "www.shop.example", 4),  # a repeat
    connection("1.2.3.5", "ptr.example", 4),
    connection("2600:0:0:0:0:0:0:1", "-", 4),
    connection("1.2.3.6", "ptr.example", 4),
    connection("1.2.3.7", "-", 4),
    connection("10.0.0.9", "-", 4),  # not public
    connection("1.2.3.4", "-", 4, "false"),  # inbound
]
FIGURES = {
    "name_age": "1h",
    "end_grace": "5s",
    "connections": 5,
    "by_kind": {"process": 2, "record": 0, "host": 1, "reverse": 1, "none": 1},
    "ambiguous": 1,
    "dest_host": {"agrees": 1, "differs": 1, "is empty": 0},
}


def figures(spark: SparkSession, path: Path, folder: Path) -> dict[str, object]:
    source = dest_names.recognized(spark, [path])
    return dest_names.measure(dest_names.events(spark, source, [path], folder), Settings())


@pytest.mark.spark
def test_figures_of_invented_records(spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ws-1.csv"
    with file.open("w", newline="") as lines:
        table = csv.writer(lines, quoting=csv.QUOTE_ALL)
        table.writerow(("TimeCreated", "Id", "Message"))
        table.writerows(("3/1/2026 8:00:00 AM", *record) for record in RECORDS)
    assert figures(spark, file, tmp_path) == FIGURES
    dest_names.show({"source": "windows_message_csv", **FIGURES})
    assert capsys.readouterr().out.splitlines()[-1] == (
        "of the 2 named by process, dest_host agrees 1, differs 1, is empty 0"
    )


@pytest.mark.spark
@pytest.mark.records
@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the real records are not beside this checkout")
def test_figures_of_real_records(spark: SparkSession, tmp_path: Path) -> None:
    """Of 61 without a name by process 59 are DNS queries over port 53 to the resolver's address."""
    assert figures(spark, REAL, tmp_path) == {
        "name_age": "1h",
        "end_grace": "5s",
        "connections": 145,
        "by_kind": {"process": 84, "record": 0, "host": 0, "reverse": 2, "none": 59},
        "ambiguous": 0,
        "dest_host": {"agrees": 0, "differs": 69, "is empty": 15},
    }
