"""Records of network sensors, made up. Zeek's own logs are read by test_names_and_flows.py."""

from __future__ import annotations

from sources.vendor_case import Case

TUPLE = {"src_ip": "192.0.2.1", "src_port": 50000, "dest_ip": "198.51.100.7", "dest_port": 443}
FLOW = {**TUPLE, "flow_uid": "C1", "record_id": "C1", "vendor_product": "Zeek"}
ZEEK = {"uid": "C1", "id.orig_h": "192.0.2.1", "id.orig_p": 50000, "id.resp_h": "198.51.100.7", "id.resp_p": 443}
EVE_FLOW = {**TUPLE, "transport": "tcp", "flow_uid": "9007199254740993", "community_id": "1:a=", "sensor": "tap",
            "vendor_product": "Suricata"}  # fmt: skip
EVE = {**TUPLE, "host": "tap", "flow_id": 9007199254740993, "community_id": "1:a=", "proto": "TCP"}
DNS = {"event_type": "dns", "timestamp": "2026-03-01T11:00:00.5+0100", "flow_id": 5, "src_ip": "192.0.2.1",
       "src_port": 50000, "dest_ip": "192.0.2.53", "dest_port": 53}  # fmt: skip
NAME = {"host": "192.0.2.1", "query_name": "web.example", "query_type": "A", "response_code": "NOERROR",
        "vendor_product": "Suricata", "record_id": "5"}  # fmt: skip

ZEEK_CASES = [
    Case("zeek conn", {
        **FLOW, "event_time": "2026-03-01 10:00:00.123456", "sensor": "tap", "transport": "tcp", "app": "ssl",
        "bytes_in": 10, "bytes_out": 20, "community_id": "1:a=", "duration": 0.00025,
    }, {
        **ZEEK, "_path": "conn", "_system_name": "tap", "ts": "2026-03-01T10:00:00.123456Z", "proto": "tcp",
        "service": "ssl", "duration": 2.5e-4, "resp_bytes": 10, "orig_bytes": 20, "community_id": "1:a="}),
    Case("zeek ssl", {
        **FLOW, "event_time": "2026-03-01 10:00:01.5", "server_name": "web.example", "ja3": "aa", "ja4": "bb",
    }, {
        **ZEEK, "ts": 1772359201.5, "version": "TLSv13", "established": True, "server_name": "Web.example", "ja3": "aa",
        "ja4": "bb"}),
    Case("zeek http", {
        **FLOW, "event_time": "2026-03-01 10:00:02", "server_name": "web.example", "url": "http://Web.example:81/A?b",
    }, {**ZEEK, "ts": 1772359202, "trans_depth": 1, "method": "GET", "host": "Web.example:81", "uri": "/A?b"}),
    Case("zeek http by a proxy", {
        **FLOW, "event_time": "2026-03-01 10:00:03", "server_name": "web.example", "url": "web.example:443",
    }, {**ZEEK, "ts": 1772359203, "trans_depth": 1, "method": "CONNECT", "host": "web.example",
        "uri": "web.example:443"}),
    # Names with an underscore, and an address of IPv4 in the spelling of IPv6.
    Case("zeek conn in a table", {
        "event_time": "2026-03-01 10:00:04", "src_ip": "192.0.2.1", "dest_ip": "198.51.100.7", "transport": "icmp",
        "flow_uid": "C2", "record_id": "C2", "vendor_product": "Zeek",
    }, {"uid": "C2", "ts": 1772359204, "id_orig_h": "::ffff:192.0.2.1", "id_resp_h": "198.51.100.7", "proto": "icmp",
        "conn_state": "OTH"}),
    Case("zeek dns", {
        "event_time": "2026-03-01 10:00:05", "host": "192.0.2.1", "query_name": "web.example", "query_type": "A",
        "answers": ["192.0.2.7"], "response_code": "NOERROR", "vendor_product": "Zeek", "record_id": "C1:9",
    }, {**ZEEK, "ts": 1772359205, "trans_id": 9, "query": "Web.example", "qtype": 1, "rcode_name": "NOERROR",
        "answers": ["cdn.example", "TXT 9 192.0.2.9", "192.0.2.7"]}),
    Case("zeek dns without a query", "skipped", {**ZEEK, "_path": "dns", "ts": 1772359206, "trans_id": 9}),
    Case("zeek smtp", "skipped", {**ZEEK, "ts": 1772359207, "trans_depth": 1, "helo": "pc1"}),
    Case("zeek conn without an address", "no src_ip or dest_ip", {
        "uid": "C3", "ts": 1772359208, "id.orig_h": "192.0.2.1", "conn_state": "S0"}),
]  # fmt: skip

SURICATA_CASES = [
    # The event is written when the flow has timed out. The id is no number that a double can hold.
    Case("suricata flow", {
        **EVE_FLOW, "event_time": "2026-03-01 10:00:00", "app": "tls", "bytes_in": 10, "bytes_out": 20,
        "duration": 1.25,
    }, {**EVE, "event_type": "flow", "timestamp": "2026-03-01T11:05:00.000000+0100", "app_proto": "tls",
        "flow": {"start": "2026-03-01T11:00:00.000000+0100", "end": "2026-03-01T11:00:01.250000+0100", "age": 1,
                 "bytes_toclient": 10, "bytes_toserver": 20}}),
    Case("suricata tls", {
        **EVE_FLOW, "event_time": "2026-03-01 10:00:01", "server_name": "web.example", "ja3": "aa", "ja4": "bb",
    }, {**EVE, "event_type": "tls", "timestamp": "2026-03-01T11:00:01+0100",
        "tls": {"sni": "Web.example", "ja3": {"hash": "aa", "string": "7,8"}, "ja4": "bb"}}),
    Case("suricata http", {
        **EVE_FLOW, "event_time": "2026-03-01 10:00:02", "server_name": "web.example", "url": "http://web.example/A",
    }, {**EVE, "event_type": "http", "timestamp": "2026-03-01T11:00:02+0100",
        "http": {"hostname": "web.example", "url": "/A", "http_method": "GET"}}),
    Case("suricata answer, detailed", {**NAME, "event_time": "2026-03-01 10:00:00.5", "answers": ["192.0.2.7"]}, {
        **DNS, "dns": {"version": 2, "type": "answer", "rrname": "web.example", "rrtype": "A", "rcode": "NOERROR",
                       "answers": [{"rrtype": "CNAME", "rdata": "cdn.example"},
                                   {"rrtype": "A", "rdata": "192.0.2.7"}]}}),
    # Suricata 8; the addresses grouped by type, and the sides of the packet: the server is the source.
    Case("suricata answer, grouped", {
        **NAME, "event_time": "2026-03-01 10:00:03", "answers": ["192.0.2.7", "192.0.2.8"],
    }, {**DNS, "timestamp": "2026-03-01T11:00:03+0100", "src_ip": "192.0.2.53", "src_port": 53, "dest_ip": "192.0.2.1",
        "dest_port": 50000, "dns": {"version": 3, "type": "response", "rcode": "NOERROR",
                                    "queries": [{"rrname": "web.example", "rrtype": "A"}],
                                    "grouped": {"A": ["192.0.2.7", "192.0.2.8"], "CNAME": ["cdn.example"]}}}),
    Case("suricata query", "skipped", {**DNS, "dns": {"type": "query", "rrname": "web.example", "rrtype": "A"}}),
    Case("suricata alert", "skipped", {**EVE, "event_type": "alert", "timestamp": "2026-03-01T11:00:02+0100"}),
]  # fmt: skip
