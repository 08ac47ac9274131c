"""Records of OCSF: samples, and made-up ones for what the samples lack."""

from __future__ import annotations

from sources.vendor_case import Case, Field

PRODUCT = {"name": "Watcher", "vendor_name": "Example"}
OCSF_CASES = [
    # A flow log has no device: `host` is the one given to ingest.
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
    # The process has no user ("-", NULL SID): it runs as the actor's.
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
    # Another process ended it: the actor's user is not its own.
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
    Case("ocsf end of a connection", "skipped", {
        "class_uid": 4001, "activity_id": 2, "time": 1772359201000, "device": {"hostname": "pc1.example"}}),
    Case("ocsf another class", "skipped", {"class_uid": 3002, "activity_id": 1, "time": 1772359201000}),
]  # fmt: skip
