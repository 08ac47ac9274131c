"""Rows of vendors' tables with the types that the tables have, and the canonical rows."""

from __future__ import annotations

from sources.crowdstrike_cases import FALCON
from sources.defender_cases import DEFENDER, DEFENDER_TCP
from sources.samples import Row
from sources.sensor_cases import FLOW, ZEEK
from sources.vendor_case import micros, utc

DEFENDER_START = {
    **DEFENDER, "event_time": "2026-03-01 10:00:00.5", "event_kind": "start", "host": "pc1.example", "process_id": 77,
    "process_guid": f"D1:77:{micros('2026-03-01T10:00:00.123456')}", "process_name": "a.exe",
    "process_path": "C:\\b\\A.exe", "command_line": "A.exe /x", "user": "EXAMPLE\\bob", "parent_process_id": 8,
    "parent_process_guid": f"D1:8:{micros('2026-03-01T09:00:00')}", "parent_process_name": "c.exe",
    "action": "allowed", "record_id": "1",
}  # fmt: skip
DEFENDER_CONNECTION = {
    **DEFENDER_TCP, "event_time": "2026-03-01 10:00:01", "host": "pc1.example", "process_id": 77,
    "process_guid": f"D1:77:{micros('2026-03-01T10:00:00.123456')}",
    "process_start_time": "2026-03-01 10:00:00.123456", "process_name": "a.exe", "process_path": "C:\\b\\A.exe",
    "command_line": "A.exe /x", "user": "EXAMPLE\\bob", "src_ip": "192.0.2.1", "src_port": 50000,
    "dest_ip": "192.0.2.7", "dest_port": 8080, "dest_host": "web.example",
    "dest_name": "web.example", "direction": "outbound",
    "action": "allowed", "record_id": "2",
}  # fmt: skip
FALCON_START = {
    **FALCON, "event_time": "2026-03-01 10:00:00.25", "event_kind": "start", "host": "pc1", "process_id": 77,
    "process_guid": "10406654690112427952", "process_name": "a.exe", "process_path": "C:\\b\\A.exe",
    "integrity_level": "medium", "action": "allowed",
}  # fmt: skip
FALCON_CONNECTION = {
    **FALCON, "event_time": "2026-03-01 10:00:01.5", "host": "pc1", "process_guid": "10406654690112427952",
    "src_ip": "192.0.2.1", "src_port": 50000, "dest_ip": "192.0.2.7", "dest_port": 443, "transport": "tcp",
    "direction": "outbound", "protocol_version": "ipv4",
}  # fmt: skip
ECS_PROCESS = {
    "vendor_product": "Elastic ECS", "host": "pc1", "process_id": 77, "process_guid": "E-77", "process_name": "a.exe",
    "process_path": "C:\\b\\A.exe",
}  # fmt: skip
ECS_START = {**ECS_PROCESS, "event_time": "2026-03-01 10:00:00.25", "event_kind": "start", "action": "allowed"}
ECS_CONNECTION = {
    **ECS_PROCESS, "event_time": "2026-03-01 10:00:01", "process_start_time": "2026-03-01 10:00:00.25",
    "src_ip": "192.0.2.7", "src_port": 443, "dest_ip": "192.0.2.1", "dest_port": 50000, "transport": "tcp",
    "direction": "inbound", "action": "allowed", "protocol_version": "ipv4",
}  # fmt: skip

# Source -> the columns of the table, its rows, and the canonical rows. Columns that the table lacks are null.
TABLES: dict[str, tuple[str, list[Row], list[Row]]] = {
    "defender": (
        """TimeGenerated timestamp, ActionType string, ReportId bigint, DeviceId string, DeviceName string,
           ProcessId bigint, ProcessCreationTime timestamp, FileName string, FolderPath string,
           ProcessCommandLine string, AccountDomain string, AccountName string, InitiatingProcessId bigint,
           InitiatingProcessCreationTime timestamp, InitiatingProcessFileName string,
           InitiatingProcessFolderPath string, InitiatingProcessCommandLine string,
           InitiatingProcessAccountDomain string, InitiatingProcessAccountName string, RemoteIP string,
           RemotePort int, RemoteUrl string, LocalIP string, LocalPort int, Protocol string,
           IsInitiatingProcessRemoteSession boolean""",
        [
            {
                "TimeGenerated": utc("2026-03-01T10:00:00.5"), "ActionType": "ProcessCreated", "ReportId": 1,
                "DeviceId": "d1", "DeviceName": "PC1.example", "ProcessId": 77,
                "ProcessCreationTime": utc("2026-03-01T10:00:00.123456"), "FileName": "A.exe",
                "FolderPath": "C:\\b\\A.exe", "ProcessCommandLine": "A.exe /x", "AccountDomain": "EXAMPLE",
                "AccountName": "bob", "InitiatingProcessId": 8,
                "InitiatingProcessCreationTime": utc("2026-03-01T09:00:00"), "InitiatingProcessFileName": "C.exe",
            },
            {
                "TimeGenerated": utc("2026-03-01T10:00:01"), "ActionType": "ConnectionSuccess", "ReportId": 2,
                "DeviceId": "d1", "DeviceName": "PC1.example", "InitiatingProcessId": 77,
                "InitiatingProcessCreationTime": utc("2026-03-01T10:00:00.123456"),
                "InitiatingProcessFileName": "A.exe", "InitiatingProcessFolderPath": "C:\\b\\A.exe",
                "InitiatingProcessCommandLine": "A.exe /x", "InitiatingProcessAccountDomain": "EXAMPLE",
                "InitiatingProcessAccountName": "bob", "RemoteIP": "192.0.2.7", "RemotePort": 8080,
                "RemoteUrl": "web.example:8080", "LocalIP": "192.0.2.1", "LocalPort": 50000, "Protocol": "Tcp",
                "IsInitiatingProcessRemoteSession": False,
            },
        ],
        [DEFENDER_START, DEFENDER_CONNECTION],
    ),
    "crowdstrike": (
        """event_simpleName string, aid string, ComputerName string, timestamp bigint, ContextTimeStamp double,
           ProcessStartTime double, TargetProcessId decimal(20,0), ContextProcessId decimal(20,0),
           RawProcessId bigint, ImageFileName string, IntegrityLevel int, LocalAddressIP4 string, LocalPort int,
           RemoteAddressIP4 string, RemotePort int, Protocol int, ConnectionDirection int""",
        [
            {
                "event_simpleName": "ProcessRollup2", "aid": "a1", "ComputerName": "PC1", "timestamp": 1772359202000,
                "ProcessStartTime": 1772359200.25, "TargetProcessId": 10406654690112427952, "RawProcessId": 77,
                "ImageFileName": "C:\\b\\A.exe", "IntegrityLevel": 8192,
            },
            {
                "event_simpleName": "NetworkConnectIP4", "aid": "a1", "ComputerName": "PC1",
                "timestamp": 1772359203000, "ContextTimeStamp": 1772359201.5,
                "ContextProcessId": 10406654690112427952, "LocalAddressIP4": "192.0.2.1", "LocalPort": 50000,
                "RemoteAddressIP4": "192.0.2.7", "RemotePort": 443, "Protocol": 6, "ConnectionDirection": 0,
            },
        ],
        [FALCON_START, FALCON_CONNECTION],
    ),
    "ecs": (
        """`@timestamp` timestamp, host struct<name: string>,
           event struct<category: array<string>, type: array<string>, action: string>,
           process struct<pid: bigint, entity_id: string, executable: string, start: timestamp>,
           source struct<ip: string, port: int>, destination struct<ip: string, port: int>,
           network struct<transport: string, direction: string>""",
        [
            {
                "@timestamp": utc("2026-03-01T10:00:00.25"), "host": {"name": "PC1"},
                "event": {"category": ["process"], "type": ["start"], "action": "start"},
                "process": {"pid": 77, "entity_id": "{e-77}", "executable": "C:\\b\\A.exe",
                            "start": utc("2026-03-01T10:00:00.25")},
            },
            {
                "@timestamp": utc("2026-03-01T10:00:01"), "host": {"name": "PC1"},
                "event": {"category": ["network"], "type": ["start"], "action": "connection_accepted"},
                "process": {"pid": 77, "entity_id": "e-77", "executable": "C:\\b\\A.exe",
                            "start": utc("2026-03-01T10:00:00.25")},
                "source": {"ip": "192.0.2.7", "port": 443}, "destination": {"ip": "192.0.2.1", "port": 50000},
                "network": {"transport": "tcp", "direction": "ingress"},
            },
            {
                "@timestamp": utc("2026-03-01T10:00:09"), "host": {"name": "PC1"},
                "event": {"category": ["process"], "type": ["end"], "action": "end"},
                "process": {"pid": 77, "entity_id": "e-77", "executable": "C:\\b\\A.exe"},
            },
        ],
        [ECS_START, ECS_CONNECTION, {**ECS_PROCESS, "event_time": "2026-03-01 10:00:09", "event_kind": "end"}],
    ),
    "zeek_conn": (
        """ts timestamp, uid string, `id.orig_h` string, `id.orig_p` int, `id.resp_h` string, `id.resp_p` int,
           proto string, service string, duration double, orig_bytes bigint, resp_bytes bigint, conn_state string,
           trans_id bigint, query string, qtype_name string, rcode bigint, answers array<string>""",
        [
            {**ZEEK, "ts": utc("2026-03-01T10:00:00.123456"), "proto": "tcp", "service": "ssl", "duration": 0.25,
             "orig_bytes": 20, "resp_bytes": 10, "conn_state": "SF"},
            {**ZEEK, "ts": utc("2026-03-01T10:00:01"), "proto": "udp", "trans_id": 9, "query": "web.example",
             "qtype_name": "A", "rcode": 0, "answers": ["cdn.example", "192.0.2.7"]},
        ],
        [
            {**FLOW, "event_time": "2026-03-01 10:00:00.123456", "transport": "tcp", "app": "ssl", "bytes_in": 10,
             "bytes_out": 20, "duration": 0.25},
            {"event_time": "2026-03-01 10:00:01", "host": "192.0.2.1", "query_name": "web.example", "query_type": "A",
             "answers": ["192.0.2.7"], "response_code": "NOERROR", "vendor_product": "Zeek", "record_id": "C1:9"},
        ],
    ),
}  # fmt: skip
