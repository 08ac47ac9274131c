"""Findings exported to OCSF, Splunk ES and Elastic: whole events, the effect of single columns, and OCSF's schema.

All cases are exported in one job. A finding's id is the name of its case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date, datetime, timezone
from functools import cache, reduce
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema, get_packaged_versions
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from findings.sample_matches import Row
from procnet.contract import FINDINGS
from procnet.exports.columns import json_lines
from procnet.exports.elastic import to_elastic
from procnet.exports.ocsf import VERSION, to_ocsf
from procnet.exports.splunk_es import to_splunk_es

EXPORTS: dict[str, Callable[[DataFrame], DataFrame]] = {
    "ocsf": to_ocsf, "es": to_splunk_es, "elastic": to_elastic,
}  # fmt: skip
PAGE = Path(__file__).resolve().parents[2] / "docs" / "exports.md"
CLIENT = {"role": "client", "process_id": 900, "process_guid": "G-9", "process_name": "msiexec.exe",
          "process": "msiexec /i http://203.0.113.80/a.msi",
          "process_time": datetime(2026, 3, 1, 9, 59, 59, 7, timezone.utc)}  # fmt: skip
NAMELESS = {**dict.fromkeys(CLIENT), "role": "client", "process": "wget"}


def objects(*pairs: tuple[str, str]) -> list[Row]:
    return [{"value": value, "type": kind} for value, kind in pairs]


FULL: Row = {
    "detection_id": "d-1", "detection_name": "Web From MSIExec", "detection_version": 7, "fingerprint": "f1",
    "event_time": datetime(2026, 3, 1, 10, 0, 21, 999999, timezone.utc), "host": "ws-1.example", "attribution": "guid",
    "process_time": datetime(2026, 3, 1, 10, 0, 0, 1, timezone.utc),
    "process_end_time": datetime(2026, 3, 1, 10, 5, 0, 0, timezone.utc),
    "process_id": 1952, "process_guid": "G-1", "process_name": "update.exe", "process_path": "C:\\a\\Update.exe",
    "process": "update /q", "original_file_name": "msiexec.exe", "user": "CORP\\ann", "user_id": "S-1-5-21-7",
    "integrity_level": "high", "process_hash": "MD5=AB01,SHA256=CD23,IMPHASH=EF45", "parent_process_id": 4,
    "parent_process_guid": "G-0", "parent_process_name": "services.exe", "parent_process_path": "C:\\w\\services.exe",
    "parent_command_line": "services -k", "src_ip": "10.0.0.5", "src_port": 50001, "dest_ip": "2001:db8::80",
    "dest_port": 443, "dest_host": "host-80.isp.example", "dest_name": "files.example", "dest_name_by": "process",
    "dest_names": ["files.example", "cdn.example"], "transport": "tcp", "direction": "outbound", "action": "allowed",
    "bytes_in": 8000, "bytes_out": 300, "risk_score": 35, "severity": "low", "mitre_attack": ["T1218.007", "T1105"],
    "message": "update.exe was here", "related": [CLIENT], "excluded_by": None, "process_record_id": "17",
    "connection_record_id": "18", "vendor_product": "Microsoft Sysmon", "source": "windows_flat",
    "flow_uid": "CAbC12", "community_id": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "duration": 12.345678,
    "server_name": "www.files.example", "url": "https://www.files.example/a.msi?x=1", "ja3": "0ab1", "ja4": "t13d_ab",
    "finding_date": date(2026, 3, 1),
    "risk_objects": objects(("ws-1.example", "system"), ("CORP\\ann", "user")),
    "threat_objects": objects(("files.example", "domain"), ("2001:db8::80", "ip_address"),
                              ("services.exe", "parent_process_name"), ("update.exe", "process_name")),
}  # fmt: skip
BARE: Row = {**dict.fromkeys(FULL), "event_time": FULL["event_time"], "host": "ws-1", "mitre_attack": [],
             "risk_objects": objects(("ws-1", "system")), "threat_objects": []}  # fmt: skip

NO_NAMES = dict.fromkeys(("dest_host", "dest_name", "dest_name_by", "dest_names"))
SENSOR = ("flow_uid", "community_id", "duration", "server_name", "url", "ja3", "ja4")

FULL_OCSF: Row = {
    "class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200401,
    "time": 1772359221999, "start_time": 1772359200000, "end_time": 1772359221999,
    "severity_id": 2, "risk_score": 35, "risk_level_id": 1, "status_id": 1, "is_alert": True,
    "message": "update.exe was here",
    "metadata": {"version": "1.5.0", "product": {"name": "procnet"}, "uid": "full"},
    "finding_info": {
        "uid": "full", "title": "Web From MSIExec",
        "analytic": {"uid": "d-1", "name": "Web From MSIExec", "version": "7", "type_id": 1},
        "attacks": [{"technique": {"uid": "T1218"}, "sub_technique": {"uid": "T1218.007"}},
                    {"technique": {"uid": "T1105"}}],
        "first_seen_time": 1772359221999, "last_seen_time": 1772359221999, "data_sources": ["Microsoft Sysmon"],
        "related_events": [{"uid": "17", "type_uid": 100701}, {"uid": "18", "type_uid": 400101}],
    },
    "device": {"hostname": "ws-1.example", "type_id": 0},
    "resources": [{"name": "ws-1.example", "type": "host"}, {"name": "CORP\\ann", "uid": "S-1-5-21-7", "type": "user"}],
    "observables": [
        {"name": "device.hostname", "type_id": 1, "value": "ws-1.example"},
        {"name": "evidences[0].dst_endpoint.ip", "type_id": 2, "value": "2001:db8::80"},
        {"name": "evidences[0].dst_endpoint.hostname", "type_id": 1, "value": "files.example"},
        {"name": "evidences[0].src_endpoint.ip", "type_id": 2, "value": "10.0.0.5"},
        {"name": "evidences[0].url.url_string", "type_id": 6, "value": FULL["url"]},
        {"name": "evidences[0].process.name", "type_id": 9, "value": "update.exe"},
        {"name": "evidences[0].process.cmd_line", "type_id": 13, "value": "update /q"},
        {"name": "evidences[0].process.user.name", "type_id": 4, "value": "ann"},
        *[{"name": "evidences[0].process.file.hashes", "type_id": 8, "value": v} for v in ("AB01", "CD23", "EF45")],
    ],
    "evidences": [
        {
            "uid": "18",
            "process": {
                "pid": 1952, "uid": "G-1", "name": "update.exe", "cmd_line": "update /q",
                "created_time": 1772359200000, "terminated_time": 1772359500000,
                "integrity": "high", "integrity_id": 4,
                "file": {"name": "Update.exe", "path": "C:\\a\\Update.exe", "type_id": 1, "hashes": [
                    {"algorithm_id": 1, "algorithm": "MD5", "value": "AB01"},
                    {"algorithm_id": 3, "algorithm": "SHA256", "value": "CD23"},
                    {"algorithm_id": 99, "algorithm": "IMPHASH", "value": "EF45"}]},
                "user": {"name": "ann", "domain": "CORP", "uid": "S-1-5-21-7"},
                "parent_process": {"pid": 4, "uid": "G-0", "name": "services.exe", "cmd_line": "services -k",
                                   "file": {"name": "services.exe", "path": "C:\\w\\services.exe", "type_id": 1}},
            },
            "src_endpoint": {"ip": "10.0.0.5", "port": 50001},
            "dst_endpoint": {"ip": "2001:db8::80", "hostname": "files.example", "port": 443},
            "connection_info": {"direction_id": 2, "protocol_name": "tcp", "protocol_num": 6, "uid": "CAbC12",
                                "community_uid": FULL["community_id"]},
            "url": {"url_string": FULL["url"]},
            "ja4_fingerprint_list": [{"type_id": 1, "value": "t13d_ab"}],
        },
        {"name": "client", "process": {
            "pid": 900, "uid": "G-9", "name": "msiexec.exe", "cmd_line": "msiexec /i http://203.0.113.80/a.msi",
            "created_time": 1772359199000}},
    ],
    "unmapped": {"attribution": "guid", "fingerprint": "f1", "original_file_name": "msiexec.exe", "action": "allowed",
                 "bytes_in": 8000, "bytes_out": 300, "source": "windows_flat", "dest_host": "host-80.isp.example",
                 "dest_name_by": "process", "dest_names": ["files.example", "cdn.example"], "duration": 12.345678,
                 "server_name": "www.files.example", "ja3": "0ab1"},
}  # fmt: skip
FULL_ES: Row = {
    "_time": 1772359221.999999, "search_name": "Web From MSIExec - Rule",
    "risk_object": "ws-1.example", "risk_object_type": "system",
    "threat_object": ["files.example", "2001:db8::80", "services.exe", "update.exe"],
    "threat_object_type": ["domain", "ip_address", "parent_process_name", "process_name"],
    "annotations.mitre_attack": ["T1218.007", "T1105"], "risk_message": "update.exe was here", "dest": "ws-1.example",
    "process_integrity_level": "high", "parent_process": "services -k", "orig_source": "windows_flat",
    "process_time": 1772359200.000001, "process_end_time": 1772359500.0,
    "related_role": ["client"], "related_process_id": ["900"], "related_process_guid": ["G-9"],
    "related_process_name": ["msiexec.exe"], "related_process": [CLIENT["process"]], "finding_id": "full",
    **{n: FULL[n] for n in (
        "risk_score", "severity", "detection_id", "detection_version", "fingerprint", "attribution", "user", "user_id",
        "process_id", "process_guid", "process_name", "process_path", "process", "original_file_name", "process_hash",
        "parent_process_id", "parent_process_guid", "parent_process_name", "parent_process_path", "src_ip", "src_port",
        "dest_ip", "dest_port", "dest_host", "dest_name", "dest_name_by", "dest_names", "transport", "direction",
        "action", "bytes_in", "bytes_out", "vendor_product", "process_record_id", "connection_record_id", "flow_uid",
        "community_id", "duration", "server_name", "url", "ja3", "ja4")},
}  # fmt: skip
FULL_ELASTIC: Row = {
    "@timestamp": "2026-03-01T10:00:21.999999Z", "ecs": {"version": "8.11.0"},
    "event": {"kind": "signal", "category": ["network"], "type": ["connection"], "action": "allowed",
              "module": "windows_flat", "provider": "Microsoft Sysmon", "duration": 12_345_678_000},
    "kibana": {"alert": {
        "uuid": "full", "original_time": "2026-03-01T10:00:21.999999Z", "status": "active", "workflow_status": "open",
        "reason": "update.exe was here", "risk_score": 35, "severity": "low",
        "rule": {"rule_id": "d-1", "name": "Web From MSIExec", "version": 7, "threat": [
            {"framework": "MITRE ATT&CK", "technique": [{"id": "T1218", "subtechnique": [{"id": "T1218.007"}]}]},
            {"framework": "MITRE ATT&CK", "technique": [{"id": "T1105"}]}]},
        "ancestors": [{"id": "17", "type": "event"}, {"id": "18", "type": "event"}],
    }},
    "host": {"name": "ws-1.example"}, "user": {"name": "ann", "domain": "CORP", "id": "S-1-5-21-7"},
    "process": {
        "pid": 1952, "entity_id": "G-1", "name": "update.exe", "executable": "C:\\a\\Update.exe",
        "command_line": "update /q", "start": "2026-03-01T10:00:00.000001Z", "end": "2026-03-01T10:05:00.000000Z",
        "hash": {"md5": "ab01", "sha256": "cd23"}, "pe": {"original_file_name": "msiexec.exe", "imphash": "ef45"},
        "parent": {"pid": 4, "entity_id": "G-0", "name": "services.exe", "executable": "C:\\w\\services.exe",
                   "command_line": "services -k"},
    },
    "source": {"ip": "10.0.0.5", "port": 50001, "bytes": 300},
    "destination": {"ip": "2001:db8::80", "port": 443, "domain": "files.example", "bytes": 8000},
    "network": {"transport": "tcp", "direction": "egress", "community_id": FULL["community_id"]},
    "tls": {"client": {"server_name": "www.files.example", "ja3": "0ab1"}},
    "url": {"original": FULL["url"], "full": FULL["url"]},
    "related": {
        "ip": ["10.0.0.5", "2001:db8::80"], "user": ["ann"], "hash": ["ab01", "cd23", "ef45"],
        "hosts": ["ws-1.example", "files.example", "cdn.example", "host-80.isp.example", "www.files.example"],
    },
    "procnet": {"attribution": "guid", "fingerprint": "f1", "integrity_level": "high",
                "dest_host": "host-80.isp.example", "dest_name_by": "process",
                "dest_names": ["files.example", "cdn.example"], "flow_uid": "CAbC12", "ja4": "t13d_ab",
                "related": [{**CLIENT, "process_time": "2026-03-01T09:59:59.000007Z"}]},
}  # fmt: skip
BARE_OCSF: Row = {
    **{n: FULL_OCSF[n] for n in (
        "class_uid", "category_uid", "activity_id", "type_uid", "time", "end_time", "status_id", "is_alert")},
    "start_time": FULL_OCSF["time"], "severity_id": 0, "metadata": {**FULL_OCSF["metadata"], "uid": "bare"},
    "finding_info": {"uid": "bare", "first_seen_time": FULL_OCSF["time"], "last_seen_time": FULL_OCSF["time"]},
    "device": {"hostname": "ws-1", "type_id": 0}, "resources": [{"name": "ws-1", "type": "host"}],
    "observables": [{"name": "device.hostname", "type_id": 1, "value": "ws-1"}],
    "evidences": [{"connection_info": {"direction_id": 0}}],
}  # fmt: skip
BARE_ES: Row = {"_time": FULL_ES["_time"], "risk_object": "ws-1", "risk_object_type": "system", "dest": "ws-1",
                "finding_id": "bare"}  # fmt: skip
BARE_ELASTIC: Row = {
    "@timestamp": FULL_ELASTIC["@timestamp"], "ecs": {"version": "8.11.0"},
    "event": {"kind": "signal", "category": ["network"], "type": ["connection"]},
    "kibana": {"alert": {"uuid": "bare", "original_time": FULL_ELASTIC["@timestamp"], "status": "active",
                         "workflow_status": "open"}},
    "host": {"name": "ws-1"}, "related": {"hosts": ["ws-1"]},
}  # fmt: skip

HOSTILE = "a'\"\n\t\\ {host} </script> ${jndi:x} \x1b[31m\u202e\u2028'}]\x7f"
_TEXTS = [f.name for f in FINDINGS if f.dataType.simpleString() == "string"]
_NOT_FREE_TEXT = {"finding_id", "src_ip", "dest_ip", "severity", "excluded_by", "direction", "process_hash"}
MISSING = object()
SHA256 = "0" * 64

# name -> (base, changed columns, export -> path -> value); a path with [] gives the list of the elements' values
Case = tuple[Row, Row, dict[str, dict[str, Any]]]
CASES: dict[str, Case] = {
    "full": (FULL, {}, {}),
    "bare": (BARE, {}, {}),
    "no host": (BARE, {"host": None, "risk_objects": []}, {
        "ocsf": {"device": MISSING, "resources": MISSING, "observables": MISSING}, "es": {"": []},
        "elastic": {"host": MISSING, "related": MISSING}}),
    "hostile": (FULL, {n: HOSTILE for n in _TEXTS if n not in _NOT_FREE_TEXT}
                | {"risk_objects": objects((HOSTILE, "system"))}, {
        "ocsf": {"message": HOSTILE, "evidences[0].process.cmd_line": HOSTILE, "unmapped.action": HOSTILE,
                 "evidences[0].process.file.path": HOSTILE, "evidences[0].process.integrity_id": 99},
        "es": {"[0].risk_message": HOSTILE, "[0].risk_object": HOSTILE, "[0].search_name": f"{HOSTILE} - Rule"},
        "elastic": {"kibana.alert.reason": HOSTILE, "process.command_line": HOSTILE, "host.name": HOSTILE}}),
    "excluded": (FULL, {"excluded_by": "x-1"}, {
        "ocsf": {"status_id": 3, "is_alert": False, "unmapped.excluded_by": "x-1"}, "es": {"": []},
        "elastic": {"kibana.alert.workflow_status": "closed", "procnet.excluded_by": "x-1"}}),
    "the user is a risk object too": (FULL, {}, {"es": {
        "[].risk_object": ["ws-1.example", "CORP\\ann"], "[].risk_object_type": ["system", "user"],
        "[].risk_score": [35, 35]}}),
    "only the host is a risk object": (FULL, {"risk_objects": objects(("ws-1.example", "system"))}, {
        "es": {"[].risk_object": ["ws-1.example"], "[].risk_object_type": ["system"]}}),
    "no ids": (FULL, {"process_id": None, "process_guid": None, "process_path": None, "process_hash": None}, {
        "ocsf": {"evidences[0].process": MISSING, "unmapped.process.name": "update.exe",
                 "unmapped.process.file": {"name": "update.exe", "type_id": 1},
                 "unmapped.process.parent_process.pid": 4, "observables[5].name": "unmapped.process.name"},
        "elastic": {"process.pid": MISSING, "process.hash": MISSING, "process.name": "update.exe"}}),
    "only a process guid": (FULL, {"process_id": None}, {"ocsf": {"evidences[0].process.uid": "G-1"}}),
    "no parent ids": (FULL, {"parent_process_id": None, "parent_process_guid": None}, {
        "ocsf": {"evidences[0].process.parent_process": MISSING, "unmapped.parent_process.name": "services.exe"}}),
    "no addresses": (FULL, {"src_ip": None, "dest_ip": None, **NO_NAMES, "threat_objects": []}, {
        "ocsf": {"evidences[0].src_endpoint": MISSING, "evidences[0].dst_endpoint": MISSING,
                 "unmapped.src_port": 50001, "unmapped.dest_port": 443},
        "es": {"[0].threat_object": MISSING, "[0].threat_object_type": MISSING},
        "elastic": {"source.port": 50001, "destination.port": 443, "related.ip": MISSING}}),
    "only a host name": (FULL, {"dest_ip": None}, {
        "ocsf": {"evidences[0].dst_endpoint": {"hostname": "files.example", "port": 443},
                 "unmapped.dest_port": MISSING}}),
    "a finding of a run that worked no names out": (FULL, {**NO_NAMES, "dest_host": "old.example"}, {
        "ocsf": {"evidences[0].dst_endpoint.hostname": "old.example", "observables[2].value": "old.example",
                 "unmapped.dest_host": "old.example", "unmapped.dest_name_by": MISSING},
        "es": {"[0].dest_host": "old.example", "[0].dest_name": MISSING, "[0].dest_names": MISSING},
        "elastic": {"destination.domain": "old.example", "procnet.dest_names": MISSING,
                    "related.hosts": ["ws-1.example", "old.example", "www.files.example"]}}),
    "a reverse name": (FULL, {"dest_name": "a.isp.example", "dest_host": "a.isp.example", "dest_name_by": "reverse",
                              "dest_names": ["a.isp.example"], "server_name": None}, {
        "ocsf": {"evidences[0].dst_endpoint.hostname": "a.isp.example", "unmapped.dest_name_by": "reverse"},
        "elastic": {"procnet.dest_name_by": "reverse", "related.hosts": ["ws-1.example", "a.isp.example"]}}),
    "no sensor saw the flow": (FULL, dict.fromkeys(SENSOR), {
        "ocsf": {"evidences[0].url": MISSING, "evidences[0].ja4_fingerprint_list": MISSING,
                 "evidences[0].connection_info": {"direction_id": 2, "protocol_name": "tcp", "protocol_num": 6},
                 **{f"unmapped.{n}": MISSING for n in ("duration", "server_name", "ja3")}},
        "es": {f"[0].{n}": MISSING for n in SENSOR},
        "elastic": {"tls": MISSING, "url": MISSING, "event.duration": MISSING, "network.community_id": MISSING,
                    "procnet.flow_uid": MISSING, "procnet.ja4": MISSING}}),
    "HTTP without TLS": (FULL, {"url": "HTTP://files.example/a", "ja3": None}, {
        "elastic": {"tls": MISSING, "url": {"original": "HTTP://files.example/a", "full": "HTTP://files.example/a",
                                            "domain": "www.files.example"}}}),
    "a URL without scheme": (FULL, {"url": "/a?b=http://c/"}, {
        "ocsf": {"evidences[0].url": {"url_string": "/a?b=http://c/"}},
        "elastic": {"url": {"original": "/a?b=http://c/", "domain": "www.files.example"}}}),
    "TLS without a URL": (FULL, {"url": None, "ja3": None}, {
        "elastic": {"tls": {"client": {"server_name": "www.files.example"}}, "url": MISSING}}),
    "a short flow": (FULL, {"duration": 1e-6}, {
        "es": {"[0].duration": 1e-6}, "elastic": {"event.duration": 1000}}),
    "a length that is no number": (FULL, {"duration": float("inf")}, {"elastic": {"event.duration": MISSING}}),
    "inbound": (FULL, {**dict.fromkeys(SENSOR), "direction": "inbound", "transport": "sctp"}, {
        "ocsf": {"evidences[0].connection_info": {"direction_id": 1, "protocol_name": "sctp"}},
        "elastic": {"network.direction": "ingress", "source.bytes": 8000, "destination.bytes": 300}}),
    "a start after its connection": (FULL, {"process_time": datetime(2026, 3, 1, 10, 0, 22, 0, timezone.utc)}, {
        "ocsf": {"start_time": 1772359221999, "end_time": 1772359221999}}),
    "local account": (FULL, {"user": "root", "user_id": None}, {
        "ocsf": {"evidences[0].process.user": {"name": "root"}, "resources[1]": {"name": "root", "type": "user"}},
        "elastic": {"user": {"name": "root"}}}),
    "half an account": (FULL, {"user": "CORP\\"}, {
        "ocsf": {"evidences[0].process.user.name": "CORP\\", "evidences[0].process.user.domain": MISSING}}),
    "a path of Unix": (FULL, {"process_path": "/usr/bin/wget"}, {"ocsf": {"evidences[0].process.file.name": "wget"}}),
    "a bare hash": (FULL, {"process_hash": SHA256}, {
        "ocsf": {"evidences[0].process.file.hashes": [{"algorithm_id": 3, "algorithm": "SHA256", "value": SHA256}]},
        "elastic": {"process.hash": {"sha256": SHA256}, "procnet.process_hash": MISSING}}),
    "hashes of every kind": (FULL, {"process_hash": "SHA-1=01, sha512=02,AB,SSDEEP=3:x"}, {
        "ocsf": {"evidences[0].process.file.hashes": [
                    {"algorithm_id": 2, "algorithm": "SHA1", "value": "01"},
                    {"algorithm_id": 4, "algorithm": "SHA512", "value": "02"}, {"algorithm_id": 0, "value": "AB"}],
                 "unmapped.process_hash": "SHA-1=01, sha512=02,AB,SSDEEP=3:x"},
        "elastic": {"process.hash": {"sha1": "01", "sha512": "02"},
                    "procnet.process_hash": "SHA-1=01, sha512=02,AB,SSDEEP=3:x"}}),
    "a hash of no image": (FULL, {"process_name": None, "process_path": None}, {
        "ocsf": {"evidences[0].process.file": MISSING, "unmapped.process_hash": FULL["process_hash"]}}),
    **{level: (FULL, {"severity": level}, {
        "ocsf": {"severity_id": n, "risk_level_id": n - 1}, "es": {"[0].severity": level},
        "elastic": {"kibana.alert.severity": "low" if n == 1 else level}})
       for n, level in enumerate(("informational", "low", "medium", "high", "critical"), 1)},
    "related without ids": (FULL, {"related": [CLIENT, NAMELESS]}, {
        "ocsf": {"evidences[].name": ["client"],
                 "unmapped.related": [{"role": "client", "process": {"cmd_line": "wget"}}]},
        "es": {"[0].related_process_id": ["900", "unknown"], "[0].related_process": [CLIENT["process"], "wget"]},
        "elastic": {"procnet.related[1]": {"role": "client", "process": "wget"}}}),
    "before 1970": (FULL, {"event_time": datetime(1969, 12, 31, 23, 59, 59, 250000, timezone.utc)}, {
        "ocsf": {"time": -750}, "es": {"[0]._time": -0.75}, "elastic": {"@timestamp": "1969-12-31T23:59:59.250000Z"}}),
}  # fmt: skip

EventsByCase = dict[str, dict[str, list[Row]]]


@pytest.fixture(scope="module")
def events_of(spark: SparkSession) -> EventsByCase:
    """Export -> case -> its events in order. The session's time zone is not UTC, which must not change any time."""
    rows = [{**base, **changed, "finding_id": name} for name, (base, changed, _) in CASES.items()]
    findings = spark.createDataFrame([tuple(r[n] for n in FINDINGS.names) for r in rows], FINDINGS)
    lines = [json_lines(r(findings)).select(F.lit(n).alias("export"), "line") for n, r in EXPORTS.items()]
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    found: EventsByCase = {n: {} for n in EXPORTS}
    try:
        for row in reduce(DataFrame.unionAll, lines).collect():
            event = json.loads(row["line"])
            found[row["export"]].setdefault(case_of(event), []).append(event)
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
    return found


def case_of(event: Row) -> str:
    info, alert = event.get("finding_info", {}), event.get("kibana", {}).get("alert", {})
    name: str = event.get("finding_id") or info.get("uid") or alert["uuid"]
    return name


def at(value: Any, path: str) -> Any:
    """The value at `a.b[0].c`; with `[]` the list of its elements' values; MISSING without a value."""
    if not path:
        return value
    # The one name with a dot.
    head, rest = re.match(r"(annotations\.mitre_attack|\[\d*\]|[^.\[]+)\.?(.*)$", path).groups()  # type: ignore[union-attr]
    if head == "[]":
        return [v for e in value for v in [at(e, rest)] if v is not MISSING]
    if head.startswith("["):
        return at(value[int(head[1:-1])], rest)
    return at(value[head], rest) if isinstance(value, dict) and head in value else MISSING


@pytest.mark.spark
@pytest.mark.parametrize(("export", "case", "expected"), [
    ("ocsf", "full", [FULL_OCSF]), ("ocsf", "bare", [BARE_OCSF]),
    ("es", "full", [FULL_ES, {**FULL_ES, "risk_object": "CORP\\ann", "risk_object_type": "user"}]),
    ("es", "bare", [BARE_ES]), ("elastic", "full", [FULL_ELASTIC]), ("elastic", "bare", [BARE_ELASTIC]),
])  # fmt: skip
def test_a_finding_with_all_columns_and_one_with_the_fewest(
    events_of: EventsByCase, export: str, case: str, expected: list[Row]
) -> None:
    assert events_of[export][case] == expected


WANTED = [(r, c, path, v) for c, (_, _, by) in CASES.items() for r, paths in by.items() for path, v in paths.items()]


@pytest.mark.spark
@pytest.mark.parametrize(
    ("export", "case", "path", "value"), WANTED, ids=[f"{r}: {c}: {path}" for r, c, path, _ in WANTED]
)
def test_the_effect_of_single_columns(events_of: EventsByCase, export: str, case: str, path: str, value: Any) -> None:
    events = events_of[export].get(case, [])
    assert at(events if export == "es" else events[0], path) == value


@pytest.mark.spark
def test_each_finding_is_exported_once_and_in_order(events_of: EventsByCase) -> None:
    assert list(events_of["ocsf"]) == list(events_of["elastic"]) == list(CASES)
    assert {len(events) for n in ("ocsf", "elastic") for events in events_of[n].values()} == {1}
    assert list(events_of["es"]) == [name for name in CASES if name not in ("no host", "excluded")]


LATER = sorted(v for v in get_packaged_versions() if v >= VERSION)


@cache
def validator(version: str) -> Draft202012Validator:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version)).get_class_schema("detection_finding")
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def schema_errors(version: str, *events: Row) -> list[str]:
    schema = validator(version)
    return [f"{e['metadata'].get('uid')}: {w.json_path}: {w.message}" for e in events for w in schema.iter_errors(e)]


@pytest.mark.spark
@pytest.mark.parametrize("version", LATER)
def test_ocsf_events_are_valid_by_its_schema(events_of: EventsByCase, version: str) -> None:
    assert "1.8.0" in LATER
    assert schema_errors(version, *[e for events in events_of["ocsf"].values() for e in events]) == []


# path, value in its place (MISSING: none)
WRONG: list[tuple[str, Any]] = [
    ("finding_info.uid", MISSING), ("metadata.product", {}), ("time", "2026-03-01T10:00:21Z"), ("severity_id", 7),
    ("procnet", {}), ("evidences[0].dst_endpoint.port", 70000), ("evidences[0].dst_endpoint.ip", "nowhere"),
    ("evidences[0].process", {"name": "update.exe"}), ("evidences[0]", {"uid": "18"}),
    ("finding_info.attacks[0]", {}), ("evidences[0].url", {}), ("evidences[0].tls", {"sni": "files.example"}),
    ("evidences[0].connection_info.community_id", "1:a"),
    ("finding_info.analytic.version", 7), ("device.type_id", MISSING),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), WRONG, ids=[path for path, _ in WRONG])
def test_the_schema_refuses_invalid_events(path: str, value: Any) -> None:
    event = deepcopy(FULL_OCSF)
    assert schema_errors(VERSION, event) == []
    *above, last = re.findall(r"[^.\[\]]+", path)
    parent = reduce(lambda v, key: v[int(key)] if isinstance(v, list) else v[key], above, event)
    if value is MISSING:
        del parent[last]
    else:
        parent[int(last) if isinstance(parent, list) else last] = value
    assert schema_errors(VERSION, event) != []


def table() -> Iterator[tuple[str, list[list[str]]]]:
    """Column of the findings -> paths in OCSF, Splunk ES and Elastic, as docs/exports.md has them."""
    for line in PAGE.read_text("utf-8").splitlines():
        cells = line.split("|")[1:-1]
        if len(cells) == 4 and cells[0].strip().startswith("`"):
            yield cells[0].strip(" `"), [re.findall(r"`([^`]+)`", c) for c in cells[1:]]


@pytest.mark.spark
def test_the_page_lists_every_column_with_its_paths(events_of: EventsByCase) -> None:
    listed = dict(table())
    assert list(listed) == FINDINGS.names
    for column, paths in listed.items():
        for export, export_paths in zip(EXPORTS, paths, strict=True):
            events = [e for of_case in events_of[export].values() for e in of_case]
            for path in export_paths:
                assert any(at(e, path) not in (MISSING, []) for e in events if has_lists(e, path)), (column, path)


def has_lists(event: Row, path: str) -> bool:
    """Whether the event has the lists on the path."""
    return all(at(event, path[: m.start()]) is not MISSING for m in re.finditer(r"\[", path))
