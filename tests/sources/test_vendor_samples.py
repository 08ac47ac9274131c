"""What Defender, CrowdStrike, Cisco NVM, OCSF and ECS records become: samples, and made-up ones for what those lack.

A sample lies outside of the project and is read when the test runs; here stands only what it must become. Every column
of the canonical row is told: one that is not named must be null.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.readers.record import RAW_SCHEMA
from procnet.sources.normalize import normalize
from procnet.sources.validate import load_source
from sources.samples import NEEDS_SAMPLES, NOW, SAMPLES, Row, told

pytestmark = NEEDS_SAMPLES


@dataclass(frozen=True)
class Field:
    """A value that is long and taken as it is: where it stands in the record."""

    path: str

    def of(self, record: Row) -> Any:
        value: Any = record
        for name in self.path.split("/"):
            value = value[name]
        return value


@dataclass(frozen=True)
class Case:
    """A record (or the name of a sample), and its canonical row; else why it gives none: `skipped` or the reason."""

    name: str
    expected: Row | str
    record: Row | None = None
    changed: Callable[[Row], None] | None = None

    def read(self) -> Row:
        if self.record is not None:
            return self.record
        whole: Row = json.loads((SAMPLES / f"{self.name.split(' ')[0]}.json").read_text(encoding="utf-8"))
        record: Row = json.loads(whole["input"]["message"]) if "input" in whole else whole
        if self.changed is not None:
            self.changed(record)
        return record


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def micros(text: str) -> int:
    """Microseconds since 1970 of a time, exactly."""
    past = utc(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (past.days * 86400 + past.seconds) * 10**6 + past.microseconds


# --- Defender -------------------------------------------------------------------------------------------------------
MD5 = "68b329da9893e34099c7d8ad5cb9c940"
SHA1 = "adc83b19e793491b1c6ea0fd8b46cd9f32e592fc"
SHA256 = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"
HASHES = f"SHA256={SHA256},SHA1={SHA1},MD5={MD5}"
DEVICE = MD5.upper()  # the samples' device id is the same text
DEFENDER = {"vendor_product": "Microsoft Defender"}
DEFENDER_TCP = {**DEFENDER, "transport": "tcp", "protocol_version": "ipv4"}

# Times have seven digits after the second; the last is cut, on both sides alike, and not rounded.
DEFENDER_CASES = [
    Case("sekoia_mde_test_connection_acknowledged", {
        **DEFENDER_TCP, "event_time": "2024-08-30 07:04:25.676302", "host": "dks001.example.org", "src_ip": "2.2.2.2",
        "src_port": 443, "dest_ip": "1.1.1.1", "dest_port": 56468, "direction": "inbound", "action": "allowed",
        "record_id": "33227",
    }),
    Case("sekoia_mde_test_connection_attempt", {
        **DEFENDER_TCP, "event_time": "2024-08-07 14:39:37.29959", "host": "desktop01.example.com",
        "src_ip": "2.2.2.2", "src_port": 56499, "dest_ip": "1.1.1.1", "dest_port": 7680, "direction": "outbound",
        "action": "attempted", "record_id": "355896",
    }),
    # A ConnectionAttempt whose additional fields say that it came in.
    Case("sekoia_mde_test_device_network_connection", {
        **DEFENDER_TCP, "event_time": "2024-09-30 14:00:41.934118", "host": "example.com", "src_ip": "1.1.1.1",
        "src_port": 57410, "dest_ip": "2.2.2.2", "dest_port": 7680, "direction": "inbound", "action": "attempted",
        "record_id": "21118",
    }),
    Case("sekoia_mde_test_inbound_connection_attempt", {
        **DEFENDER_TCP, "event_time": "2024-08-08 06:07:08.344414", "host": "example.com", "src_ip": "1.1.1.1",
        "src_port": 46112, "dest_ip": "2.2.2.2", "dest_port": 443, "direction": "inbound", "action": "attempted",
        "record_id": "7053",
    }),
    Case("sekoia_mde_test_device_network_events", {
        **DEFENDER_TCP, "event_time": "2023-01-04 14:05:32.314862", "host": "example.com", "process_id": 18288,
        "process_guid": f"{DEVICE}:18288:{micros('2023-01-04T14:05:22.807979')}",
        "process_start_time": "2023-01-04 14:05:22.807979", "process_name": "excel.exe",
        "process_path": "c:\\program files\\microsoft office\\root\\office16\\excel.exe",
        "original_file_name": "Excel.exe", "command_line": "ANONYMIZED", "user": "example.com\\user1",
        "user_id": "user1", "integrity_level": "medium", "process_hash": HASHES, "parent_process_id": 23332,
        "parent_process_guid": f"{DEVICE}:23332:{micros('2023-01-04T14:04:35.708037')}",
        "parent_process_name": "explorer.exe", "src_ip": "1.1.1.1", "src_port": 59985, "dest_ip": "2.2.2.2",
        "dest_port": 443, "dest_host": "www.example.org", "direction": "outbound", "action": "allowed",
        "record_id": "37827",
    }),
    Case("sekoia_mde_test_device_network_events_2", {
        **DEFENDER_TCP, "event_time": "2025-08-27 13:53:05.056494", "host": "example.com", "process_id": 31404,
        "process_guid": f"{'1' * 39}:31404:{micros('2025-08-27T08:14:14.492820')}",
        "process_start_time": "2025-08-27 08:14:14.49282", "process_name": "chrome.exe",
        "process_path": "c:\\program files\\google\\chrome\\application\\chrome.exe",
        "original_file_name": "chrome.exe", "command_line": Field("properties/InitiatingProcessCommandLine"),
        "user": "example.com\\user1", "user_id": "S-1-2-3-4", "integrity_level": "medium", "process_hash": HASHES,
        "parent_process_id": 23948,
        "parent_process_guid": f"{'1' * 39}:23948:{micros('2025-08-27T08:14:11.271745')}",
        "parent_process_name": "chrome.exe", "src_ip": "2.2.2.2", "src_port": 52468, "dest_ip": "1.1.1.1",
        "dest_port": 443, "dest_host": "example.com", "direction": "outbound", "action": "allowed",
        "record_id": "106822",
    }),
    Case("sekoia_mde_test_device_process_events", {
        **DEFENDER, "event_time": "2023-01-04 14:15:10.468452", "event_kind": "start", "host": "example.com",
        "process_id": 37788, "process_guid": f"{DEVICE}:37788:{micros('2023-01-04T14:15:10.355033')}",
        "process_name": "mpcmdrun.exe",
        "process_path": "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18.2301.6-0\\MpCmdRun.exe",
        "original_file_name": "MpCmdRun.exe", "command_line": Field("properties/ProcessCommandLine"),
        "user": "example.com\\system", "user_id": "user1", "integrity_level": "system", "process_hash": HASHES,
        "parent_process_id": 5456, "parent_process_guid": f"{DEVICE}:5456:{micros('2023-01-03T08:51:29.269279')}",
        "parent_process_name": "msmpeng.exe",
        "parent_process_path": "c:\\programdata\\microsoft\\windows defender\\platform\\4.18.2301.6-0\\msmpeng.exe",
        "parent_command_line": '"MsMpEng.exe"', "action": "allowed", "record_id": "104118",
    }),
    Case("a port that is listened on is no connection", "skipped", {
        "ActionType": "ListeningConnectionCreated", "DeviceName": "pc1", "Timestamp": "2026-03-01T10:00:00Z"}),
    Case("several starts in one report are no one's", "skipped", {
        "ActionType": "ProcessCreatedAggregatedReport", "DeviceName": "pc1", "Timestamp": "2026-03-01T10:00:00Z"}),
    # Hunting until 2019; no device id, so the name is in the key; a creation time of year 1 is none.
    Case("defender of 2019", {
        **DEFENDER, "event_time": "2019-03-01 10:00:00.5", "event_kind": "start", "host": "pc1.example",
        "process_id": 12, "process_guid": f"PC1.EXAMPLE:12:{micros('2019-03-01T10:00:00.25')}",
        "process_name": "a.exe", "process_path": "C:\\b\\A.exe", "user": "Alice", "parent_process_id": 8,
        "parent_process_name": "b.exe", "action": "allowed", "record_id": "5",
    }, {
        "EventTime": "2019-03-01T10:00:00.5000000Z", "ComputerName": "PC1.example", "MachineId": "",
        "ActionType": "ProcessCreated", "ProcessId": 12, "ProcessCreationTime": "2019-03-01T10:00:00.25Z",
        "FileName": "A.exe", "FolderPath": "C:\\b\\A.exe", "AccountName": "Alice", "AccountDomain": "",
        "InitiatingProcessId": 8, "InitiatingProcessCreationTime": "0001-01-01T00:00:00Z",
        "InitiatingProcessFileName": "B.exe", "ReportId": 5,
    }),
    Case("defender in the sensor's own names", {
        **DEFENDER, "event_time": "2021-05-01 10:00:00.4", "event_kind": "start", "host": "pc2.example",
        "process_id": 5456, "process_guid": f"PC2.EXAMPLE:5456:{micros('2021-05-01T09:59:59.5')}",
        "process_name": "gpupdate.exe", "process_path": "C:\\Windows\\System32\\gpupdate.exe",
        "original_file_name": "GPUpdate.exe", "command_line": "gpupdate.exe /target:computer",
        "user": "NT AUTHORITY\\Bob", "user_id": "S-1-5-20", "integrity_level": "system",
        "process_hash": "SHA256=aa,SHA1=bb,MD5=cc", "parent_process_id": 1828,
        "parent_process_guid": f"PC2.EXAMPLE:1828:{micros('2021-05-01T08:00:00')}",
        "parent_process_name": "svchost.exe",
        "parent_process_path": "C:\\Windows\\System32\\svchost.exe", "parent_command_line": "svchost.exe -k netsvcs",
        "action": "allowed", "record_id": "08cacd8b",
    }, {
        "ReportTime": "2021-05-01 10:00:00.4", "ComputerDnsName": "pc2.example", "WcdMachineId": "",
        "ReportGuid": "08cacd8b", "CreatedProcessId": "5456", "CreatedProcessCreationTime": "2021-05-01 09:59:59.5",
        "CreatedProcessName": "gpupdate.exe", "CreatedProcessFilePath": "C:\\Windows\\System32\\gpupdate.exe",
        "CreatedProcessCommandLine": "gpupdate.exe /target:computer", "CreatedProcessAccountName": "Bob",
        "CreatedProcessAccountDomainName": "NT AUTHORITY", "CreatedProcessAccountSid": "S-1-5-20",
        "CreatedProcessIntegrityLevel": "System", "CreatedProcessFileSha256": "aa", "CreatedProcessFileSha1": "bb",
        "CreatedProcessFileMd5": "cc", "CreatedProcessVersionInfoOriginalFileName": "GPUpdate.exe",
        "InitiatingProcessId": "1828", "InitiatingProcessCreationTime": "2021-05-01 08:00:00.0",
        "InitiatingProcessName": "svchost.exe", "InitiatingProcessImageFilePath": "C:\\Windows\\System32",
        "Process_CommandLine": "svchost.exe -k netsvcs",
    }),
    # As in the CSV beside the samples: a spreadsheet has left of a time its minutes and seconds.
    Case("a time without its day", "no time", {
        "ReportTime": "51:58.4", "ComputerDnsName": "pc2.example", "CreatedProcessId": "5456"}),
]  # fmt: skip

# --- CrowdStrike ----------------------------------------------------------------------------------------------------
FALCON = {"vendor_product": "CrowdStrike Falcon"}
ONES, ID = "1" * 15, "a83b4482-ca45-4d6b-850b-79d8a1b9e60f"
PHONE = {**FALCON, "direction": "outbound", "dest_port": 443}

CROWDSTRIKE_CASES = [
    Case("sekoia_crowdstrike_fdr_telemetry_event", {
        **FALCON, "event_time": "2022-08-20 19:06:04.014", "event_kind": "start",
        "host": "12c684659c3842e19f0bfb2b23037bbd", "process_id": 4164, "process_guid": "7355100886",
        "process_name": "svchost.exe", "process_path": "\\Device\\HarddiskVolume1\\Windows\\System32\\svchost.exe",
        "command_line": Field("CommandLine"), "user_id": "S-1-5-19", "integrity_level": "system",
        "process_hash": "SHA256=e9c5a42bdcca52bd24b095eae55dbc5c63a0918fa9b43717e389b470c4accdf6,"
                        "MD5=33ee2de3cd0bdf7d6488a920f4f4eddb",
        "parent_process_guid": "11768266", "parent_process_name": "services.exe", "action": "allowed",
        "record_id": "2372a290-20bb-11ed-bb96-0685b11669dd",
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_1", {
        **FALCON, "event_time": "2023-06-23 08:42:01.669", "host": ONES, "process_guid": "1653928408225",
        "src_ip": "1.2.3.4", "src_port": 54887, "dest_ip": "5.6.7.8", "dest_port": 443, "transport": "tcp",
        "direction": "outbound", "protocol_version": "ipv4", "record_id": ID,
    }),
    # Its `timestamp`, 08:42:02, is before its own start: two clocks.
    Case("sekoia_crowdstrike_fdr_telemetry_event_12", {
        **FALCON, "event_time": "2023-06-23 08:42:12.346", "event_kind": "start", "host": ONES, "process_id": 8960,
        "process_guid": "173836945399", "process_name": "gpupdate.exe",
        "process_path": "\\Device\\HarddiskVolume4\\Windows\\System32\\gpupdate.exe",
        "command_line": '"gpupdate.exe" /target:computer', "user_id": "S-1-5-20", "integrity_level": "system",
        "process_hash": "SHA256=b76ce2bba63bd2949fa6e36fba963379b9d682f7642cd3782d9818fcd30a3e00,"
                        "MD5=118729dd62b9422d21afe5cebd564f8a",
        "parent_process_guid": "158964342720", "parent_process_name": "svchost.exe", "action": "allowed",
        "record_id": ID,
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_15", {
        **FALCON, "event_time": "2023-06-23 08:42:10.665", "event_kind": "start", "host": ONES, "process_id": 3452,
        "process_guid": "416657529216", "process_name": "conhost.exe",
        "process_path": "\\Device\\HarddiskVolume2\\Windows\\System32\\conhost.exe",
        "command_line": "\\??\\C:\\Windows\\system32\\conhost.exe 0x4", "user_id": "S-1-5-18",
        "integrity_level": "system", "process_hash": f"SHA256={SHA256}", "parent_process_guid": "416639351024",
        "action": "allowed", "record_id": ID,
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_17", {
        **FALCON, "event_time": "2023-06-23 08:41:31.848", "event_kind": "end", "host": ONES, "process_id": 7124,
        "process_guid": "889716540954", "user_id": "S-1-5-18", "process_hash": f"SHA256={SHA256}",
        "parent_process_guid": "889069755791", "record_id": ID,
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_18", {
        **FALCON, "event_time": "2023-06-23 08:42:16.983", "event_kind": "end", "host": ONES, "process_id": 6840,
        "process_guid": "494725159582865908", "process_hash": f"SHA256={SHA256}", "record_id": ID,
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_27", {
        **FALCON, "event_time": "2023-06-23 08:41:31.125", "event_kind": "start", "host": ONES, "process_id": 18184,
        "process_guid": "1084288767347", "process_name": "acrocef.exe",
        "process_path": "\\Device\\HarddiskVolume4\\Program Files\\Adobe\\Acrobat DC\\Acrobat\\acrocef_1\\AcroCEF.exe",
        "command_line": Field("CommandLine"), "user_id": "S-1-5-21-1111111111-2222222222-3333333333-44444",
        "integrity_level": "low", "process_hash": f"SHA256={SHA256},MD5={MD5}", "parent_process_guid": "1084277996656",
        "parent_process_name": "acrocef.exe", "action": "allowed", "record_id": ID,
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_37", {
        **FALCON, "event_time": "2024-01-22 09:20:53.929", "event_kind": "start",
        "host": "36a2337df811411eb6abeac136945a6c", "process_id": 17600, "process_guid": "288727090872",
        "process_name": "rundll32.exe", "process_path": "\\Device\\HarddiskVolume3\\Windows\\System32\\rundll32.exe",
        "command_line": "C:\\WINDOWS\\System32\\rundll32.exe", "user_id": "S-1-5-21-XXXX-XXXXX-9457",
        "integrity_level": "medium", "process_hash": HASHES, "parent_process_guid": "288633815511",
        "parent_process_name": "setup.exe", "action": "allowed", "record_id": "93a1f830-c5a3-41f3-a5c0-df8cdd61295f",
    }),
    # Unique keys beyond 2^63; an address that is none is what the phone's sensor gives.
    Case("sekoia_crowdstrike_fdr_telemetry_event_38", {
        **PHONE, "event_time": "2024-03-21 09:47:57.367", "host": "1ad825a8bc954a90bc5557c95740795c",
        "process_guid": "10406654690112427952", "src_ip": "0.0.0.0", "src_port": 0, "dest_ip": "5.6.7.8",
        "dest_host": "chat.cdn.whatsapp.net", "transport": "tcp", "protocol_version": "ipv4",
        "record_id": "71d72ce3-8355-4e3e-94e9-eb638c361d56",
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_39", {
        **PHONE, "event_time": "2024-03-21 09:48:11.759", "host": "1ad825a8bc954a90bc5557c95740795c",
        "process_guid": "4179223508173316025", "src_ip": "1.2.3.4", "src_port": 50309, "dest_ip": "5.6.7.8",
        "dest_host": "outlook.office365.com", "transport": "udp", "protocol_version": "ipv4",
        "record_id": "c1169837-5261-45a4-a1da-1102816304d0",
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_41", {
        **PHONE, "event_time": "2025-09-27 14:35:40.81", "host": "pc01", "process_guid": "12168621487068014576",
        "src_ip": "1111:2222:3333:4444:5555:6666:7777:8888", "src_port": 60716, "dest_ip": "1111:2222:3333:4444::",
        "dest_host": "test.region.database.app", "transport": "tcp", "protocol_version": "ipv6",
        "record_id": "11111111-2222-3333-4444-555555555555",
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_42", {
        **FALCON, "event_time": "2025-04-20 18:56:11.09", "host": "f18687223d706b48021322363cdaa15a",
        "process_guid": "2512556191762", "src_ip": "1.2.3.4", "src_port": 48477, "dest_ip": "1.2.3.4",
        "dest_port": 443, "transport": "tcp", "direction": "inbound", "action": "allowed", "protocol_version": "ipv4",
        "record_id": "7fb546fb-d44f-4228-8e5b-f22868ac07f2",
    }),
    Case("falcon other event", "skipped", {
        "event_simpleName": "NetworkListenIP4", "aid": "a1", "timestamp": "1772359200000"}),
    Case("falcon start, older names", {
        **FALCON, "event_time": "2026-03-01 10:00:00.25", "event_kind": "start", "host": "a1", "process_id": 77,
        "process_guid": "3000000000001", "process_name": "curl", "process_path": "/usr/bin/curl", "user_id": "501",
        "parent_process_guid": "3000000000000", "action": "allowed",
    }, {
        "event_simpleName": "ProcessRollup2", "aid": "A1", "timestamp": "1772359201000",
        "ProcessStartTime_decimal": "1772359200.250", "TargetProcessId_decimal": "3000000000001",
        "RawProcessId_decimal": "77", "ParentProcessId_decimal": "3000000000000", "ImageFileName": "/usr/bin/curl",
        "UID_decimal": "501",
    }),
    Case("falcon connection, older names", {
        **FALCON, "event_time": "2026-03-01 10:00:01.5", "host": "a1", "process_guid": "3000000000001",
        "process_name": "curl", "src_ip": "192.0.2.1", "src_port": 50000, "dest_ip": "192.0.2.7", "dest_port": 443,
        "transport": "tcp", "direction": "outbound", "protocol_version": "ipv4",
    }, {
        "event_simpleName": "NetworkConnectIP4", "aid": "A1", "timestamp": "1772359203000",
        "ContextTimeStamp_decimal": "1772359201.500", "ContextProcessId_decimal": "3000000000001",
        "ContextBaseFileName": "curl", "LocalAddressIP4": "192.0.2.1", "LocalPort_decimal": "50000",
        "RemoteAddressIP4": "192.0.2.7", "RemotePort_decimal": "443", "Protocol_decimal": "6",
        "ConnectionDirection_decimal": "0",
    }),
]  # fmt: skip

# --- Cisco NVM ------------------------------------------------------------------------------------------------------
NVM = {"vendor_product": "Cisco NVM"}
NVM_CASES = [
    Case("cisco_nvm_flowdata_v2_nvzFlow_v11", {
        **NVM, "event_time": "2026-07-14 08:28:53.536", "host": "d5e5634fdbee82655c9c0e7523cdce62a8249a1c",
        "process_id": 3040, "process_guid": "E89CC0DBD1F48055BB4FA09268E9B51D", "process_name": "svchost.exe",
        "process_path": "C:\\Windows\\System32\\svchost.exe", "command_line": "-k UnistackSvcGroup -s WpnUserService",
        "user": "WIN-ANIKET\\Hostscan", "integrity_level": "medium",
        "process_hash": "SHA256=B0B36BFF7AE4057F687D839CD4B3D81159AB646F1EE1B22106A927E93DECBB61",
        "parent_process_id": 684, "parent_process_name": "services.exe",
        "parent_process_path": "C:\\Windows\\System32\\services.exe", "src_ip": "10.10.0.38", "src_port": 37351,
        "dest_ip": "104.114.110.196", "dest_port": 80, "dest_host": "tile-service.weather.microsoft.com",
        "transport": "tcp", "direction": "outbound", "bytes": 7873, "bytes_in": 7660, "bytes_out": 213,
        "protocol_version": "ipv4",
    }),
    Case("nvm endpoint record", "skipped", {"fv": "nvzFlow_v11", "udid": "D1", "vsn": "PC1", "osn": "WinNT"}),
    # An older version: no milliseconds, no unique key; the host's name was added.
    Case("nvm older flow", {
        **NVM, "event_time": "2026-03-01 10:00:00", "host": "pc1", "process_id": 77, "process_name": "a.exe",
        "src_ip": "192.0.2.1", "src_port": 50000, "dest_ip": "192.0.2.7", "dest_port": 53, "transport": "udp",
        "direction": "inbound", "bytes_in": 5, "protocol_version": "ipv4",
    }, {
        "fv": "nvzFlow_v3", "udid": "D1", "vsn": "PC1", "fss": 1772359200, "pid": 77, "pn": "A.exe", "sa": "192.0.2.1",
        "sp": 50000, "da": "192.0.2.7", "dp": 53, "pr": 17, "fd": 0, "ibc": 5, "liuid": "EXAMPLE\\bob",
        "eveuuid": "0000",
    }),
]  # fmt: skip

# --- OCSF -----------------------------------------------------------------------------------------------------------
PRODUCT = {"name": "Watcher", "vendor_name": "Example"}
OCSF_CASES = [
    # No device: a flow log's, and `host` is what ingest was told.
    Case("sekoia_ocsf_test_network_activity_1", {
        "event_time": "2022-05-22 06:15:00", "host": "flow-sensor", "src_ip": "192.168.1.10", "src_port": 8080,
        "dest_ip": "192.168.1.20", "dest_port": 443, "transport": "udp", "direction": "outbound", "action": "allowed",
        "bytes": 85, "protocol_version": "ipv4", "vendor_product": "AWS Amazon VPC",
    }),
    Case("sekoia_ocsf_test_network_activity_3", "no time"),  # 2015/06/17T...: not ISO 8601
    Case("sekoia_ocsf_test_network_activity_4", {
        "event_time": "2020-06-05 14:39:59.305988", "host": "flow-sensor", "src_ip": "192.168.4.76",
        "src_port": 36844, "dest_ip": "192.168.4.1", "dest_port": 53, "transport": "udp", "protocol_version": "ipv4",
        "vendor_product": "Zeek",
    }),
    # Its process names no user ("-", NULL SID): it runs as the actor's.
    Case("sekoia_ocsf_test_process_activity_1", {
        "event_time": "2021-03-12 15:48:14", "event_kind": "start", "host": "win-dc-725.attackrange.local",
        "process_id": 4696, "process_name": "reg.exe", "process_path": "C:\\Windows\\System32\\reg.exe",
        "command_line": Field("process/cmd_line"), "user": "ATTACKRANGE\\Administrator",
        "user_id": "ATTACKRANGE\\Administrator", "parent_process_id": 3948, "parent_process_name": "cmd.exe",
        "parent_process_path": "C:\\Windows\\System32\\cmd.exe", "action": "allowed",
        "vendor_product": "Microsoft Windows", "record_id": "a47bd2fb-4da1-4378-8961-81f81f90aec2",
    }),
    Case("sekoia_ocsf_test_process_activity_2", {
        "event_time": "2019-09-05 15:22:49", "event_kind": "end", "host": "dcc1.logistics.local", "process_id": 1524,
        "process_name": "auditon.exe", "process_path": "C:\\Generate_Security_Events1\\auditon.exe",
        "user": "LOGISTICS\\Administrator", "user_id": "S-1-5-21-1135140816-2109348461-2107143693-500",
        "vendor_product": "Microsoft Windows", "record_id": "cc27b41c-94e0-48a9-8cc2-5a1598fb8d1f",
    }),
    Case("ocsf start", {
        "event_time": "2026-03-01 10:00:00.25", "event_kind": "start", "host": "pc1.example", "process_id": 77,
        "process_guid": "P-77", "process_name": "a.exe", "process_path": "C:\\b\\A.exe", "command_line": "A.exe /x",
        "user": "EXAMPLE\\bob", "user_id": "S-1-5-21-1", "integrity_level": "high",
        "process_hash": "SHA256=aa,MD5=bb", "parent_process_id": 8, "parent_process_guid": "P-8",
        "parent_process_name": "c.exe", "vendor_product": "Example Watcher", "record_id": "r1",
    }, {
        "class_uid": 1007, "activity_id": 1, "time": 1772359200250, "device": {"hostname": "PC1.example", "uid": "d1"},
        "metadata": {"uid": "r1", "product": PRODUCT},
        "process": {"pid": 77, "uid": "p-77", "cmd_line": "A.exe /x", "integrity_id": 4,
                    "user": {"name": "bob", "domain": "EXAMPLE", "uid": "S-1-5-21-1"},
                    "file": {"name": "A.exe", "path": "C:\\b\\A.exe",
                             "hashes": [{"algorithm": "SHA-256", "value": "aa"}, {"algorithm": "MD5", "value": "bb"}]},
                    "parent_process": {"pid": 8, "uid": "p-8", "file": {"name": "C.exe"}}},
        "actor": {"process": {"pid": 9, "uid": "p-9"}, "user": {"name": "eve"}},
    }),
    # Ended by another process: the actor's user is not its own.
    Case("ocsf end", {
        "event_time": "2026-03-01 10:00:09", "event_kind": "end", "host": "d1", "process_id": 77,
        "process_guid": "P-77", "vendor_product": "Example Watcher",
    }, {
        "class_uid": 1007, "activity_id": 2, "time_dt": "2026-03-01T10:00:09Z", "device": {"uid": "D1"},
        "metadata": {"product": PRODUCT}, "process": {"pid": 77, "cpid": "p-77"},
        "actor": {"process": {"pid": 9}, "user": {"name": "eve"}},
    }),
    Case("ocsf connection", {
        "event_time": "2026-03-01 10:00:01", "host": "pc1.example", "process_id": 77, "process_guid": "P-77",
        "process_start_time": "2026-03-01 10:00:00.25", "process_name": "a.exe", "process_path": "C:\\b\\A.exe",
        "command_line": "A.exe /x", "user": "bob", "integrity_level": "medium", "process_hash": "SHA1=cc",
        "parent_process_id": 8, "parent_process_name": "c.exe", "src_ip": "192.0.2.1", "src_port": 50000,
        "dest_ip": "192.0.2.7", "dest_port": 443, "dest_host": "web.example", "transport": "tcp",
        "direction": "inbound", "action": "blocked", "bytes": 30, "bytes_in": 20, "bytes_out": 10,
        "protocol_version": "ipv4", "vendor_product": "Example Watcher",
    }, {
        "class_uid": "4001", "activity_id": "1", "time": "1772359201000", "device": {"hostname": "pc1.example."},
        "metadata": {"product": PRODUCT}, "action": "Denied",
        "actor": {"process": {"pid": 77, "uid": "p-77", "created_time": 1772359200250, "cmd_line": "A.exe /x",
                              "integrity": "Medium", "user": {"name": "bob"},
                              "file": {"path": "C:\\b\\A.exe", "hashes": [{"algorithm": "SHA-1", "value": "cc"}]},
                              "parent_process": {"pid": 8, "name": "C.exe"}}},
        "src_endpoint": {"ip": "192.0.2.1", "port": 50000},
        "dst_endpoint": {"ip": "192.0.2.7", "port": 443, "hostname": "Web.example"},
        "connection_info": {"protocol_num": 6, "direction": "Inbound"},
        "traffic": {"bytes": 30, "bytes_in": 10, "bytes_out": 20},
    }),
    Case("ocsf connection that is closed", "skipped", {
        "class_uid": 4001, "activity_id": 2, "time": 1772359201000, "device": {"hostname": "pc1.example"}}),
    Case("ocsf another class", "skipped", {"class_uid": 3002, "activity_id": 1, "time": 1772359201000}),
]  # fmt: skip


# --- ECS ------------------------------------------------------------------------------------------------------------
def begun(record: Row) -> None:
    """The end of a connection as the beginning that it must have had."""
    record["event"].update(type=["start"], action="connection_attempted")


NETWORK_KEY = "YWZkMzQ4YzYtMGVjOS00OTYxLTgwNWUtOGVkMmZjNGMwNDNiLTU4MC0xMzI5MzU0OTExMy40ODIyMTUwMDA="
START_KEY = "NGM5YzljYjMtZjgwZi00NGQ4LTljODktNjE2ODI0M2I3ZjIxLTI3NzItMTMyOTM1NzE5ODguNjU3ODk4NjAw"
PARENT_KEY = "NGM5YzljYjMtZjgwZi00NGQ4LTljODktNjE2ODI0M2I3ZjIxLTYwMC0xMzI5MzU0OTExMC40NjgyMjI3MDA="
ENDPOINT = {"vendor_product": "Elastic Endpoint", "user": "NT AUTHORITY\\SYSTEM", "user_id": "S-1-5-18"}
ECS_CASES = [
    Case("elastic_endpoint_ecs_network.sample_event", "skipped"),  # the end of a connection
    Case("elastic_endpoint_ecs_network.sample_event as its beginning", {
        **ENDPOINT, "event_time": "2022-04-04 18:52:00.60078", "host": "mgmt-win-1", "process_id": 580,
        "process_guid": NETWORK_KEY.upper(), "process_name": "gcewindowsagent.exe",
        "process_path": "C:\\Program Files\\Google\\Compute Engine\\agent\\GCEWindowsAgent.exe",
        "parent_process_guid": NETWORK_KEY.upper(), "src_ip": "10.201.0.32", "src_port": 54924,
        "dest_ip": "64.233.191.95", "dest_port": 443, "transport": "tcp", "direction": "outbound",
        "action": "attempted", "bytes": 5421, "bytes_in": 4923, "bytes_out": 498, "protocol_version": "ipv4",
        "record_id": "MYfZG5h8j1qej16H+++++CFe",
    }, changed=begun),
    Case("elastic_endpoint_ecs_process.sample_event", {
        **ENDPOINT, "event_time": "2022-04-04 18:53:08.657898", "event_kind": "start", "host": "data-viz-win-1",
        "process_id": 2772, "process_guid": START_KEY.upper(), "process_name": "svchost.exe",
        "process_path": "C:\\Windows\\System32\\svchost.exe", "original_file_name": "svchost.exe",
        "command_line": "C:\\Windows\\System32\\svchost.exe -k WerSvcGroup", "integrity_level": "system",
        "process_hash": "SHA256=cb19fd67b1d028e01f54c426a0924528c4a8d8ed8996cfe0ee0c6e45285436a1,"
                        "SHA1=4fbfc6004084d97032837c21d3f426892d868eac,MD5=1b280ad032268a636ecfe6f9165431b7",
        "parent_process_id": 600, "parent_process_guid": PARENT_KEY.upper(), "parent_process_name": "services.exe",
        "parent_process_path": "C:\\Windows\\System32\\services.exe", "action": "allowed",
        "record_id": "MYfZG00oEwD2/fqT+++++CLz",
    }),
    Case("ecs name look-up", "skipped", {
        "@timestamp": "2026-03-01T10:00:00Z", "host": {"name": "pc1"}, "dns": {"question": {"name": "web.example"}},
        "event": {"category": "network", "type": ["protocol", "start"], "action": "lookup_requested"}}),
    Case("ecs in single words, seen by another product", {
        "event_time": "2026-03-01 10:00:01", "host": "h-1", "process_id": 77, "user": "bob", "parent_process_id": 8,
        "src_ip": "192.0.2.7", "dest_ip": "2001:db8::1", "dest_host": "web.example", "transport": "udp",
        "direction": "inbound", "action": "blocked", "app": "quic", "bytes": 30, "bytes_in": 20, "bytes_out": 10,
        "protocol_version": "ipv6", "vendor_product": "Example Watcher",
    }, {
        "@timestamp": "2026-03-01T10:00:01Z", "host": {"id": "H-1"},
        "observer": {"vendor": "Example", "product": "Watcher"},
        "event": {"category": "network", "type": "denied"},
        "process": {"pid": "77", "ppid": "8", "user": {"name": "bob"}}, "source": {"ip": "192.0.2.7", "bytes": 20},
        "destination": {"ip": "2001:DB8::1", "bytes": 10, "domain": "web.example"},
        "network": {"iana_number": "17", "protocol": "QUIC", "direction": "inbound", "bytes": 30},
    }),
]  # fmt: skip

CASES = {
    "defender": DEFENDER_CASES,
    "crowdstrike": CROWDSTRIKE_CASES,
    "cisco_nvm": NVM_CASES,
    "ocsf": OCSF_CASES,
    "ecs": ECS_CASES,
}
# A host that ingest is told counts for records that name none, which only OCSF's flow logs are.
HOSTS = {"ocsf": "flow-sensor"}

# --- tables ---------------------------------------------------------------------------------------------------------
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
    "dest_ip": "192.0.2.7", "dest_port": 8080, "dest_host": "web.example", "direction": "outbound",
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

# source -> the table's own types, its rows, what they become. Columns that the table lacks are null.
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
}  # fmt: skip


@dataclass(frozen=True)
class Read:
    """What a source made of its records: per name of a case why it gave no row, or when; and all rows."""

    outcome: dict[str, str]
    time: dict[str, str]
    rows: list[Row]


def canonical(frame: DataFrame, source: str, host: str | None) -> tuple[list[Row], list[Row]]:
    """Rows of both tables, and the records that they are made of; in one job."""
    found = normalize(frame, load_source(source), host=host, ingest_time=NOW)
    stamps = {"source": F.lit(found.source), "event_date": F.to_date("event_time")}
    records = told(found.records.withColumns(stamps))
    rows = []
    for schema, kinds in ((PROCESS_EVENTS, ("start", "end")), (NETWORK_EVENTS, ("network",))):
        used = [r for r in records if "reason" not in r and r.get("event_kind") in kinds]
        rows += [{n: r[n] for n in schema.names if n in r} for r in used]
    return rows, records


def whole(expected: Row, source: str) -> Row:
    return {**expected, "source": source, "event_date": expected["event_time"][:10]}


@pytest.fixture(scope="module")
def read(spark: SparkSession) -> Callable[[str], Read]:
    """All cases of a source, read together as the records of files are."""
    known: dict[str, Read] = {}

    def once(source: str) -> Read:
        if source not in known:
            texts = [(c.name, n, json.dumps(c.read()), None) for n, c in enumerate(CASES[source], 1)]
            rows, records = canonical(spark.createDataFrame(texts, RAW_SCHEMA), source, HOSTS.get(source))
            outcome = {r["file"]: r.get("reason", "event" if "event" in r else "skipped") for r in records}
            known[source] = Read(outcome, {r["file"]: r["event_time"] for r in records if "event_time" in r}, rows)
        return known[source]

    return once


@pytest.mark.parametrize(
    ("source", "case"), [pytest.param(s, c, id=f"{s}: {c.name}") for s, cases in CASES.items() for c in cases]
)
def test_record(read: Callable[[str], Read], source: str, case: Case) -> None:
    found = read(source)
    if isinstance(case.expected, str):
        assert found.outcome[case.name] == case.expected
        return
    assert found.outcome[case.name] == "event"
    record = case.read()
    expected = {n: v.of(record) if isinstance(v, Field) else v for n, v in case.expected.items()}
    rows = [r for r in found.rows if r["event_time"] == found.time[case.name] and r["host"] == expected["host"]]
    assert rows == [whole(expected, source)]


@pytest.mark.parametrize("source", CASES)
def test_every_record_gives_one_row_or_none(read: Callable[[str], Read], source: str) -> None:
    assert len(read(source).rows) == sum(not isinstance(c.expected, str) for c in CASES[source])


@pytest.mark.parametrize("source", TABLES)
def test_table_of_real_types(spark: SparkSession, source: str) -> None:
    schema, raw, expected = TABLES[source]
    kind = T.DataType.fromDDL(schema)
    assert isinstance(kind, T.StructType)
    rows, _ = canonical(spark.createDataFrame([shaped(r, kind) for r in raw], kind), source, None)
    assert sorted(rows, key=by_time) == sorted((whole(e, source) for e in expected), key=by_time)


def by_time(row: Row) -> str:
    return str(row["event_time"])


def shaped(record: Row, kind: T.StructType) -> tuple[Any, ...]:
    """A record as a row of the table: null where it has no value."""
    return tuple(
        shaped(record[f.name], f.dataType)
        if isinstance(f.dataType, T.StructType) and f.name in record
        else decimal(record.get(f.name), f.dataType)
        for f in kind
    )


def decimal(value: Any, kind: T.DataType) -> Any:
    return Decimal(value) if isinstance(kind, T.DecimalType) and value is not None else value


PAIRS: dict[str, Sequence[Row | str]] = {
    "defender": [DEFENDER_START, DEFENDER_CONNECTION],
    "crowdstrike": [FALCON_START, FALCON_CONNECTION],
    "ecs": [ECS_START, ECS_CONNECTION],
    "crowdstrike, older names": [c.expected for c in CROWDSTRIKE_CASES[-2:]],
    "ocsf": [c.expected for c in OCSF_CASES if c.name in ("ocsf start", "ocsf connection")],
}


@pytest.mark.parametrize("source", PAIRS)
def test_a_start_and_its_connection_have_one_key(source: str) -> None:
    """The rows are those that the tests above hold the mappings to."""
    start, connection = PAIRS[source]
    assert isinstance(start, dict)
    assert isinstance(connection, dict)
    assert start["event_kind"] == "start"
    assert "dest_ip" in connection
    assert {n: start[n] for n in ("host", "process_guid")} == {n: connection[n] for n in ("host", "process_guid")}
    assert start["event_time"] < connection["event_time"]
