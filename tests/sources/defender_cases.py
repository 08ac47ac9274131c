"""Records of Microsoft Defender: samples, and made-up ones for what the samples lack."""

from __future__ import annotations

from sources.vendor_case import HASHES, MD5, Case, Field, micros

DEVICE = MD5.upper()  # the samples' device id is the same text
DEFENDER = {"vendor_product": "Microsoft Defender"}
DEFENDER_TCP = {**DEFENDER, "transport": "tcp", "protocol_version": "ipv4"}

# Times have seven digits after the second; the last one is cut and not rounded, for starts and connections alike.
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
        "dest_port": 443, "dest_host": "www.example.org", "dest_name": "www.example.org",
        "direction": "outbound", "action": "allowed",
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
        "dest_port": 443, "dest_host": "example.com", "dest_name": "example.com",
        "direction": "outbound", "action": "allowed",
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
    Case("a listening port is no connection", "skipped", {
        "ActionType": "ListeningConnectionCreated", "DeviceName": "pc1", "Timestamp": "2026-03-01T10:00:00Z"}),
    Case("an aggregated report of several starts is no start", "skipped", {
        "ActionType": "ProcessCreatedAggregatedReport", "DeviceName": "pc1", "Timestamp": "2026-03-01T10:00:00Z"}),
    # Advanced hunting until 2019. There is no device id, so the key has the name; a creation time in year 1 is unknown.
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
    # As in the CSV beside the samples: a spreadsheet reduced the time to minutes and seconds.
    Case("a time without its day", "no time", {
        "ReportTime": "51:58.4", "ComputerDnsName": "pc2.example", "CreatedProcessId": "5456"}),
]  # fmt: skip
