"""Records of ECS, mostly of Elastic Endpoint: samples, and made-up ones for what the samples lack."""

from __future__ import annotations

from sources.samples import Row
from sources.vendor_case import Case


def make_it_a_beginning(record: Row) -> None:
    """Turns the end of a connection into its beginning."""
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
    }, change=make_it_a_beginning),
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
