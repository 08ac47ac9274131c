"""DNS queries and flows of real records, against loops of plain Python; and both read in place."""

from __future__ import annotations

import csv
import gzip
import ipaddress
import json
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from procnet.readers.record import RAW_SCHEMA
from procnet.sources.check import check_source
from procnet.sources.normalize import Normalized, normalize
from procnet.sources.read import read_raw
from procnet.sources.recognize import likely_source
from procnet.sources.validate import load_source
from procnet.sources.view import InPlace, canonical_view
from real_records import DATA
from sources.samples import NOW, Row

CI_RUNNERS, EVIDENCE = DATA / "sysmon_ci_runners", DATA / "evidence"
ZEEK = EVIDENCE / "ZEEK-BO-CORE"
NEEDS_CI_RUNNERS = pytest.mark.skipif(not CI_RUNNERS.is_dir(), reason=f"no records at {CI_RUNNERS}")
NEEDS_EVIDENCE = pytest.mark.skipif(not EVIDENCE.is_dir(), reason=f"no records at {EVIDENCE}")
pytestmark = pytest.mark.spark
CODES = {"0": "NOERROR", "9003": "NXDOMAIN", "9501": "NOERROR"}
DNS_COLUMNS = ("event_time", "process_id", "process_name", "query_name", "answers", "response_code")


def addresses(texts: Iterable[str]) -> tuple[str, ...] | None:
    found: dict[str, None] = {}
    for text in texts:
        try:
            address = ipaddress.ip_address(text.strip())
        except ValueError:
            continue
        found[str(getattr(address, "ipv4_mapped", None) or address)] = None
    return tuple(found) or None


def sysmon_query(time: datetime, data: Row) -> tuple[Any, ...]:
    """The canonical values of DNS_COLUMNS of the event data of a Sysmon 22; an address that was queried is no name."""
    name = data["QueryName"].lower().rstrip(".")
    image = data["Image"].replace("&lt;", "<").rpartition("\\")[2].lower()
    return (
        time, int(data["ProcessId"]), None if image.startswith("<") else image,
        None if addresses([name]) else name, addresses(data["QueryResults"].split(";")),
        CODES.get(data["QueryStatus"], data["QueryStatus"]),
    )  # fmt: skip


def rows_of(frame: DataFrame, columns: Iterable[str]) -> Counter[tuple[Any, ...]]:
    rows = (row.asDict() for row in frame.select(*columns).collect())
    return Counter(tuple(plain(v) for v in row.values()) for row in rows)


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc)
    return tuple(value) if isinstance(value, list) else value


@contextmanager
def normalized(spark: SparkSession, source: str, paths: list[Path]) -> Iterator[Normalized]:
    """The records cached, as an ingest has them: a table's plan over the files takes minutes to optimize."""
    mapping = load_source(source)
    found = normalize(read_raw(spark, mapping, paths), mapping, host="pc1", ingest_time=NOW)
    found = replace(found, records=found.records.persist())
    yield found
    found.records.unpersist()


@pytest.mark.records
@NEEDS_CI_RUNNERS
def test_sysmon_22_in_texts_of_messages(spark: SparkSession) -> None:
    expected = Counter(sysmon_query(*event) for event in messages())
    assert (expected.total(), sum(n for q, n in expected.items() if q[4])) == (376, 206)
    assert sum(n for q, n in expected.items() if q[5] == "NOERROR") == 230 + 8
    with normalized(spark, "windows_message_csv", [CI_RUNNERS]) as found:
        assert rows_of(found.table("dns_events"), DNS_COLUMNS) == expected


def messages() -> Iterator[tuple[datetime, Row]]:
    csv.field_size_limit(10**8)
    for path in sorted(CI_RUNNERS.glob("*.csv")):
        with open(path, encoding="utf-8-sig", newline="") as file:
            for record in csv.DictReader(file):
                if record["Id"] == "22":
                    data: Row = {}
                    for line in record["Message"].splitlines():
                        name, _, value = line.partition(": ")
                        data.setdefault(name.strip(), value)
                    yield datetime.strptime(f"{record['TimeCreated']} +0000", "%m/%d/%Y %I:%M:%S %p %z"), data


@pytest.mark.records
@NEEDS_EVIDENCE
def test_sysmon_22_in_xml(spark: SparkSession) -> None:
    files = sorted(EVIDENCE.glob("*/windows_event_sysmon.xml.gz"))
    expected: Counter[tuple[Any, ...]] = Counter()
    for path in files:
        for event in ET.fromstring(gzip.decompress(path.read_bytes())).iter():
            if event.tag.endswith("}Event") and event.findtext(".//{*}EventID") == "22":
                at = event.find(".//{*}TimeCreated").get("SystemTime")  # type: ignore[union-attr]
                data = {d.get("Name", ""): d.text or "" for d in event.iterfind(".//{*}Data")}
                expected[sysmon_query(datetime.fromisoformat(f"{at[:26]}+00:00"), data)] += 1  # type: ignore[index]
    assert expected.total() == 336
    with normalized(spark, "windows_xml", files) as found:
        assert rows_of(found.table("dns_events"), DNS_COLUMNS) == expected


@pytest.mark.records
@NEEDS_EVIDENCE
def test_logs_of_zeek(spark: SparkSession) -> None:
    """Each record of the four logs gives one row; a row in place is the one of an ingest."""
    logs = {name: list(zeek(name)) for name in ("conn", "ssl", "http", "dns")}
    assert {n: len(rows) for n, rows in logs.items()} == {"conn": 6489, "ssl": 994, "http": 752, "dns": 1481}
    queries = Counter(
        (r["id.orig_h"], r["query"].lower(), r["qtype_name"], addresses(r.get("answers", [])), r["rcode_name"])
        for r in logs["dns"]
    )
    expected = {
        "flow_events": Counter(flow(r) for name in ("conn", "ssl", "http") for r in logs[name]),
        "dns_events": queries,
    }
    columns = {
        "flow_events": ("flow_uid", "event_time", "src_ip", "src_port", "dest_ip", "dest_port", "transport", "app",
                        "bytes_in", "bytes_out", "duration", "server_name", "url"),
        "dns_events": ("host", "query_name", "query_type", "answers", "response_code"),
    }  # fmt: skip
    with normalized(spark, "zeek_conn", [ZEEK]) as found:
        assert found.records.where("reason is not null or event is null").count() == 0
        assert {t: rows_of(found.table(t), columns[t]) for t in columns} == expected
    in_place = spark.read.json([str(ZEEK / f"{name}.json.gz") for name in logs])
    for table, names in columns.items():
        view = canonical_view(in_place, load_source("zeek_conn"), table, InPlace(short_hosts=True))
        assert view is not None
        assert rows_of(view, names) == expected[table]


def zeek(name: str) -> Iterator[Row]:
    with gzip.open(ZEEK / f"{name}.json.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def flow(r: Row) -> tuple[Any, ...]:
    time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=round(r["ts"] * 10**6))
    host, uri = r.get("host"), r.get("uri")
    name = r.get("server_name") or (host and host.partition(":")[0])
    whole = uri and (r["method"] == "CONNECT" or "://" in uri)
    is_address = name is not None and addresses([name]) is not None
    return (
        r["uid"], time, r["id.orig_h"], r["id.orig_p"], r["id.resp_h"], r["id.resp_p"], r.get("proto"),
        r.get("service"), r.get("resp_bytes"), r.get("orig_bytes"), r.get("duration"),
        None if name is None or is_address else name.lower(),
        (uri if whole else f"http://{host}{uri}") if uri else None,
    )  # fmt: skip


CONN = {"ts": 1772359200.5, "uid": "C1", "id.orig_h": "192.0.2.1", "id.orig_p": 50000, "id.resp_h": "198.51.100.7",
        "id.resp_p": 443, "proto": "tcp", "conn_state": "SF"}  # fmt: skip
QUERY = {**CONN, "conn_state": None, "trans_id": 9, "query": "web.example", "rcode": 0, "answers": ["192.0.2.7"]}
EVE = {"timestamp": "2026-03-01T10:00:00+0000", "event_type": "flow", "flow_id": 1, "src_ip": "192.0.2.1",
       "dest_ip": "198.51.100.7", "dest_port": 443, "flow": {"start": "2026-03-01T10:00:00+0000"}}  # fmt: skip


def write(path: Path, *records: Row) -> str:
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return str(path)


def test_a_sample_of_a_sensor_is_recognized_and_checked(spark: SparkSession, tmp_path: Path) -> None:
    files = {
        "zeek_conn": write(tmp_path / "conn.log.json", CONN, QUERY),
        "suricata_eve": write(tmp_path / "eve.json", EVE),
    }
    found = {name: likely_source(spark, [file]) for name, file in files.items()}
    assert {name: s and s.name for name, s in found.items()} == {name: name for name in files}
    checked = check_source(spark, "zeek_conn", [files["zeek_conn"]], now=NOW)
    assert [(k.table, k.events, k.without_key) for k in checked.kinds] == [("dns_events", 1, 1), ("flow_events", 1, 0)]
    assert checked.hosts == ("192.0.2.1",)
    assert checked.verdict[0] == (
        "only DNS queries and flows in the sample: they add to connections of other records, and give no findings "
        "without them"
    )


def test_tables_in_canonical_columns(spark: SparkSession) -> None:
    """A connection, a query and a flow of the same table; a name in the CIM's columns."""
    records: list[Row] = [
        {"event_time": "2026-03-01T10:00:00Z", "host": "pc1", "process_id": 7, "dest_ip": "198.51.100.7",
         "dest_name": "Web.example"},
        {"event_time": "2026-03-01T10:00:01Z", "host": "pc1", "process_id": 7, "query_name": "web.example",
         "answers": ["198.51.100.7"]},
        {"_time": "2026-03-01T10:00:02Z", "src": "pc2", "dest": "dc1", "query": "a.example", "record_type": "A",
         "answer": "192.0.2.7", "reply_code": "NoError"},
        {"event_time": "2026-03-01T10:00:03Z", "src_ip": "192.0.2.1", "dest_ip": "198.51.100.7", "flow_uid": "C1"},
    ]  # fmt: skip
    raw = spark.createDataFrame([("f", n, json.dumps(r), None) for n, r in enumerate(records)], RAW_SCHEMA)
    found = normalize(raw.coalesce(1), load_source("cim"), ingest_time=NOW)
    rows = [r.asDict() for r in found.records.orderBy("line").collect()]
    names = ("event_kind", "reason", "host", "dest_name", "query_name", "query_type", "answers", "flow_uid")
    assert [tuple(r[n] for n in names) for r in rows] == [
        ("network", None, "pc1", "web.example", None, None, None, None),
        ("dns", None, "pc1", None, "web.example", None, ["198.51.100.7"], None),
        ("dns", None, "pc2", None, "a.example", "A", ["192.0.2.7"], None),
        ("flow", None, None, None, None, None, None, "C1"),
    ]
