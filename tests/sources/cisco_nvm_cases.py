"""Flow records of Cisco NVM: a sample, and made-up ones for what it lacks."""

from __future__ import annotations

from sources.vendor_case import Case

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
        "dest_name": "tile-service.weather.microsoft.com",
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
