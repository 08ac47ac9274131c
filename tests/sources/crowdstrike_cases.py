"""Records of CrowdStrike Falcon: samples, and made-up ones for what the samples lack."""

from __future__ import annotations

from sources.vendor_case import HASHES, MD5, SHA256, Case, Field

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
    # Unique keys beyond 2^63; the phone's sensor writes 0.0.0.0 for an unknown address.
    Case("sekoia_crowdstrike_fdr_telemetry_event_38", {
        **PHONE, "event_time": "2024-03-21 09:47:57.367", "host": "1ad825a8bc954a90bc5557c95740795c",
        "process_guid": "10406654690112427952", "src_ip": "0.0.0.0", "src_port": 0, "dest_ip": "5.6.7.8",
        "dest_host": "chat.cdn.whatsapp.net", "dest_name": "chat.cdn.whatsapp.net", "transport": "tcp",
        "protocol_version": "ipv4",
        "record_id": "71d72ce3-8355-4e3e-94e9-eb638c361d56",
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_39", {
        **PHONE, "event_time": "2024-03-21 09:48:11.759", "host": "1ad825a8bc954a90bc5557c95740795c",
        "process_guid": "4179223508173316025", "src_ip": "1.2.3.4", "src_port": 50309, "dest_ip": "5.6.7.8",
        "dest_host": "outlook.office365.com", "dest_name": "outlook.office365.com", "transport": "udp",
        "protocol_version": "ipv4",
        "record_id": "c1169837-5261-45a4-a1da-1102816304d0",
    }),
    Case("sekoia_crowdstrike_fdr_telemetry_event_41", {
        **PHONE, "event_time": "2025-09-27 14:35:40.81", "host": "pc01", "process_guid": "12168621487068014576",
        "src_ip": "1111:2222:3333:4444:5555:6666:7777:8888", "src_port": 60716, "dest_ip": "1111:2222:3333:4444::",
        "dest_host": "test.region.database.app", "dest_name": "test.region.database.app",
        "transport": "tcp", "protocol_version": "ipv6",
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
