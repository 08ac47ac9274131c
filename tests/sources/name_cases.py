"""Records of DNS queries by every vendor, made up: the samples have none. A case of a source is one of its records."""

from __future__ import annotations

from sources.ocsf_cases import PRODUCT
from sources.vendor_case import Case, micros

TIME = {"event_time": "2026-03-01 10:00:00"}
TEXT = "2026-03-01T10:00:00Z"
WEB = {"query_name": "web.example", "response_code": "NOERROR"}
TWO = ["192.0.2.7", "2001:db8::1"]
DEVICE = {"Timestamp": TEXT, "DeviceId": "d1", "DeviceName": "PC1.example", "ReportId": 7}
FALCON = {"timestamp": "1772359201000", "aid": "A1", "ComputerName": "PC1", "ContextTimeStamp": "1772359200.000"}

NAME_CASES = {
    "defender": [
        Case("defender answer", {
            **TIME, "host": "pc1.example", "process_id": 77,
            "process_guid": f"D1:77:{micros('2026-03-01T09:59:59.5')}", "process_name": "a.exe",
            "process_path": "C:\\b\\A.exe", "user": "EXAMPLE\\bob", "query_name": "web.example", "answers": TWO,
            "vendor_product": "Microsoft Defender", "record_id": "7",
        }, {
            **DEVICE, "ActionType": "DnsQueryResponse", "InitiatingProcessId": 77, "InitiatingProcessFileName": "A.exe",
            "InitiatingProcessCreationTime": "2026-03-01T09:59:59.5Z", "InitiatingProcessAccountDomain": "EXAMPLE",
            "InitiatingProcessFolderPath": "C:\\b\\A.exe", "InitiatingProcessAccountName": "bob",
            "AdditionalFields": '{"DnsQueryString": "Web.example", "DnsQueryResult": [{"DnsQueryType": "CNAME",'
                                ' "Result": "cdn.example"}, {"DnsQueryType": "A", "Result": "192.0.2.7"},'
                                ' {"DnsQueryType": "AAAA", "Result": "2001:DB8::1"}]}',
        }),
        # Its additional fields may be an object, of which each value is text.
        Case("defender inspected query", {
            **WEB, "event_time": "2026-03-01 10:00:01", "host": "pc1.example", "query_type": "A",
            "answers": ["192.0.2.7"], "vendor_product": "Microsoft Defender", "record_id": "7",
        }, {
            **DEVICE, "Timestamp": "2026-03-01T10:00:01Z", "ActionType": "DnsConnectionInspected",
            "InitiatingProcessId": 0, "RemoteIP": "192.0.2.53",
            "RemotePort": 53, "AdditionalFields": {"direction": "Out", "query": "web.example", "qtype_name": "A",
                                                   "rcode_name": "NOERROR", "answers": '["192.0.2.7"]'},
        }),
        Case("defender query of another host", "skipped", {
            **DEVICE, "ActionType": "DnsConnectionInspected",
            "AdditionalFields": '{"direction": "In", "query": "web.example"}'}),
    ],
    "crowdstrike": [
        Case("falcon query", {
            **TIME, **WEB, "host": "pc1", "process_guid": "3000000000001", "process_name": "curl", "query_type": "AAAA",
            "answers": ["192.0.2.7", "192.0.2.8", "2001:db8::1"], "vendor_product": "CrowdStrike Falcon",
        }, {
            **FALCON, "event_simpleName": "DnsRequest", "ContextProcessId": "3000000000001", "RequestType": "28",
            "ContextBaseFileName": "curl", "DomainName": "web.example", "QueryStatus": "0",
            "IP4Records": "192.0.2.7;192.0.2.8;", "IP6Records": "2001:db8::1;", "CNAMERecords": "cdn.example;",
        }),
        Case("falcon query without an answer, older names", {
            "event_time": "2026-03-01 10:00:01", "host": "pc2", "process_guid": "3000000000001",
            "query_name": "web.example", "query_type": "A", "vendor_product": "CrowdStrike Falcon",
        }, {
            "event_simpleName": "DnsRequest", "timestamp": "1772359201000", "ComputerName": "PC2",
            "ContextProcessId_decimal": "3000000000001", "RequestType_decimal": "1", "DomainName": "Web.example."}),
    ],
    "ocsf": [
        Case("ocsf answer", {
            **TIME, **WEB, "host": "pc1", "process_id": 77, "process_guid": "P-77", "process_name": "a.exe",
            "process_path": "C:\\b\\A.exe", "user": "bob", "query_type": "A", "answers": ["192.0.2.7"],
            "vendor_product": "Example Watcher",
        }, {
            "class_uid": 4003, "activity_id": 2, "time": 1772359200000, "device": {"hostname": "PC1"},
            "metadata": {"product": PRODUCT}, "query": {"hostname": "web.example", "type": "A"}, "rcode_id": 0,
            "actor": {"process": {"pid": 77, "uid": "p-77", "file": {"path": "C:\\b\\A.exe"}}, "user": {"name": "bob"}},
            "answers": [{"type": "CNAME", "rdata": "cdn.example"}, {"type": "A", "rdata": "192.0.2.7", "ttl": 60}],
        }),
        Case("ocsf query", "skipped", {
            "class_uid": 4003, "activity_id": 1, "time": 1772359200000, "query": {"hostname": "web.example"}}),
        Case("ocsf flow of a firewall", {
            "event_time": "2026-03-01 10:00:00", "sensor": "fw-1", "src_ip": "192.0.2.1", "src_port": 50000,
            "dest_ip": "198.51.100.7", "dest_port": 443, "transport": "tcp", "bytes_in": 10, "bytes_out": 20,
            "flow_uid": "f1", "community_id": "1:a=", "duration": 1.5, "server_name": "web.example", "ja3": "aa",
            "vendor_product": "Example Watcher",
        }, {
            "class_uid": 4001, "activity_id": 6, "time": 1772359201500, "start_time": 1772359200000, "duration": 1500,
            "device": {"hostname": "fw-1", "type_id": 9}, "metadata": {"product": PRODUCT},
            "src_endpoint": {"ip": "192.0.2.1", "port": 50000}, "dst_endpoint": {"ip": "198.51.100.7", "port": 443},
            "connection_info": {"uid": "f1", "community_uid": "1:a=", "protocol_num": 6},
            "tls": {"sni": "Web.example", "ja3_hash": {"value": "aa"}}, "traffic": {"bytes_in": 10, "bytes_out": 20},
        }),
    ],
    "ecs": [
        Case("ecs answer", {
            **TIME, "query_name": "web.example", "host": "pc1", "process_id": 77, "process_guid": "E-77",
            "process_name": "a.exe", "process_path": "C:\\b\\A.exe", "query_type": "A", "answers": TWO,
            "response_code": "NXDOMAIN", "vendor_product": "Elastic Endpoint",
        }, {
            "@timestamp": TEXT, "host": {"name": "pc1"}, "agent": {"type": "endpoint"},
            "event": {"category": ["network"], "type": ["protocol", "info"], "action": "lookup_result"},
            "process": {"pid": 77, "entity_id": "e-77", "executable": "C:\\b\\A.exe"},
            "dns": {"question": {"name": "web.example", "type": "A"}, "resolved_ip": TWO, "Ext": {"status": 9003}},
        }),
        # The client is another host: it is known by its address.
        Case("ecs query seen by packetbeat", {
            **TIME, **WEB, "host": "192.0.2.1", "query_type": "A", "answers": ["192.0.2.7"],
            "vendor_product": "Elastic Packetbeat",
        }, {
            "@timestamp": TEXT, "host": {"name": "tap"}, "agent": {"type": "packetbeat"},
            "event": {"category": ["network"], "type": ["connection", "protocol"]}, "client": {"ip": "192.0.2.1"},
            "source": {"ip": "192.0.2.1", "port": 50000}, "destination": {"ip": "192.0.2.53", "port": 53},
            "network": {"protocol": "dns", "transport": "udp"},
            "dns": {"question": {"name": "web.example", "type": "A"}, "response_code": "NOERROR",
                    "answers": [{"type": "CNAME", "data": "cdn.example"}, {"type": "A", "data": "192.0.2.7"}]},
        }),
    ],
}  # fmt: skip
