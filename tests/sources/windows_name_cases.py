"""Cases of Windows' DNS events in every container: Sysmon 22, and 3008 and 3020 of the DNS client, made up."""

from __future__ import annotations

from sources.windows_case import Case

GUID = "0000000a-0000-0000-0000-000000000001"
SYSMON = {"host": "pc1.example", "process_id": 77, "process_guid": GUID.upper(), "process_name": "a.exe",
          "process_path": "C:\\b\\A.exe", "user": "EXAMPLE\\bob", "query_name": "web.example",
          "answers": ["192.0.2.7", "2001:db8::1"], "response_code": "NOERROR",
          "vendor_product": "Microsoft Sysmon"}  # fmt: skip
FAILED = {"host": "pc1.example", "process_id": 77, "query_name": "web.example", "response_code": "NXDOMAIN",
          "vendor_product": "Microsoft Sysmon"}  # fmt: skip
CLIENT = {"host": "pc1.example", "query_name": "web.example", "query_type": "AAAA", "answers": ["2001:db8::1"],
          "response_code": "NOERROR", "vendor_product": "Microsoft Windows DNS Client"}  # fmt: skip
DATA = {"RuleName": "-", "UtcTime": "2026-02-28 03:04:05.678", "ProcessGuid": f"{{{GUID}}}", "ProcessId": "77",
        "QueryName": "Web.Example", "QueryStatus": "0", "Image": "C:\\b\\A.exe", "User": "EXAMPLE\\bob",
        "QueryResults": "type:  5 cdn.example;::ffff:192.0.2.7;2001:DB8::1;"}  # fmt: skip
FAILED_DATA = {"ProcessId": "77", "ProcessGuid": "{00000000-0000-0000-0000-000000000000}", "User": "-",
               "Image": "<unknown process>", "QueryName": "web.example", "QueryStatus": "9003",
               "QueryResults": "-"}  # fmt: skip
CLIENT_DATA = {"QueryName": "web.example", "QueryType": "28", "QueryOptions": "1073766400", "QueryStatus": "0",
               "QueryResults": "type:  5 cdn.example;2001:db8::1;"}  # fmt: skip
# 3020 names the status otherwise, and nothing of the process.
SERVICE_DATA = {"QueryName": "web.example", "QueryType": "28", "NetworkIndex": "0", "InterfaceIndex": "0",
                "Status": "0", "QueryResults": "2001:db8::1"}  # fmt: skip
SYSMON_LOG, CLIENT_LOG = "Microsoft-Windows-Sysmon", "Microsoft-Windows-DNS-Client"


def time(second: int) -> dict[str, str]:
    return {"event_time": f"2026-03-01 10:00:{second:02}"}


def text(second: int) -> str:
    return f"2026-03-01T10:00:{second:02}Z"


def flat(second: int, event_id: int, provider: str, data: dict[str, str]) -> dict[str, object]:
    return {"EventID": event_id, "SourceName": provider, "Hostname": "PC1.example", "@timestamp": text(second), **data}


def beat(second: int, event_id: int, provider: str, data: dict[str, str]) -> dict[str, object]:
    return {"@timestamp": text(second), "host": {"name": "collector"}, "winlog": {
        "computer_name": "PC1.example", "event_id": event_id, "provider_name": provider, "process": {"pid": 4242},
        "event_data": data}}  # fmt: skip


def old_beat(second: int, event_id: int, provider: str, data: dict[str, str]) -> dict[str, object]:
    return {"@timestamp": text(second), "computer_name": "PC1.example", "event_id": event_id, "process_id": 4242,
            "source_name": provider, "event_data": data}  # fmt: skip


def dumped(second: int, event_id: int, provider: str, data: dict[str, str]) -> dict[str, object]:
    return {"Event": {"EventData": data, "System": {
        "Provider": {"#attributes": {"Name": provider}}, "EventID": event_id, "Computer": "PC1.example",
        "TimeCreated": {"#attributes": {"SystemTime": text(second)}},
        "Execution": {"#attributes": {"ProcessID": 4242, "ThreadID": 1}}}}}  # fmt: skip


def xml(second: int, event_id: int, provider: str, data: dict[str, str]) -> str:
    values = "".join(f"<Data Name='{n}'>{v.replace('<', '&lt;')}</Data>" for n, v in data.items())
    return (
        f"<Event xmlns='x'><System><Provider Name='{provider}'/><EventID>{event_id}</EventID>"
        f"<TimeCreated SystemTime='{text(second)}'/><Execution ProcessID='4242' ThreadID='1'/>"
        f"<Computer>PC1.example</Computer></System><EventData>{values}</EventData></Event>"
    )


WRITER = {"process_id": 4242}
MESSAGE = "\r\n".join(["Dns query:", *(f"{n}: {v}" for n, v in DATA.items())])
WINDOWS_NAME_CASES = {
    "windows_flat": [
        Case("flat 22", {**SYSMON, **time(22)}, flat(22, 22, SYSMON_LOG, DATA)),
        Case("flat 22 that failed", {**FAILED, **time(23)}, flat(23, 22, SYSMON_LOG, FAILED_DATA)),
        # NXLog's ProcessID is the writer's, as the ThreadID shows; without one nothing names the process.
        Case("flat 3008", {**CLIENT, **WRITER, **time(24)},
             flat(24, 3008, CLIENT_LOG, {**CLIENT_DATA, "ProcessID": "4242", "ThreadID": "1"})),
        Case("flat 3008 without its writer", {**CLIENT, **time(25)}, flat(25, 3008, CLIENT_LOG, CLIENT_DATA)),
    ],
    "winlogbeat6": [
        Case("old beat 22", {**SYSMON, **time(22)}, old_beat(22, 22, SYSMON_LOG, DATA)),
        Case("old beat 3008", {**CLIENT, **WRITER, **time(24)}, old_beat(24, 3008, CLIENT_LOG, CLIENT_DATA)),
    ],
    "winlogbeat7": [
        Case("beat 22", {**SYSMON, **time(22)}, beat(22, 22, SYSMON_LOG, DATA)),
        Case("beat 3008", {**CLIENT, **WRITER, **time(24)}, beat(24, 3008, CLIENT_LOG, CLIENT_DATA)),
        Case("beat 3020", {**CLIENT, **time(25)}, beat(25, 3020, CLIENT_LOG, SERVICE_DATA)),
    ],
    "windows_xml": [
        Case("xml 22", {**SYSMON, **time(22)}, text=xml(22, 22, SYSMON_LOG, DATA)),
        Case("xml 22 that failed", {**FAILED, **time(23)}, text=xml(23, 22, SYSMON_LOG, FAILED_DATA)),
        Case("xml 3008", {**CLIENT, **WRITER, **time(24)}, text=xml(24, 3008, CLIENT_LOG, CLIENT_DATA)),
        Case("xml 3020", {**CLIENT, **time(25)}, text=xml(25, 3020, CLIENT_LOG, SERVICE_DATA)),
    ],
    "evtx_json": [
        Case("evtx 22", {**SYSMON, **time(22)}, dumped(22, 22, SYSMON_LOG, DATA)),
        Case("evtx 3008", {**CLIENT, **WRITER, **time(24)}, dumped(24, 3008, CLIENT_LOG, CLIENT_DATA)),
    ],
    "windows_message_csv": [
        Case("/in/pc1.example.csv", {**SYSMON, **time(22)},
             {"TimeCreated": "3/1/2026 10:00:22 AM", "Id": "22", "Message": MESSAGE}),
        Case("/in/pc1.example.csv, 3008", "skipped", {
            "TimeCreated": "3/1/2026 10:00:24 AM", "Id": "3008", "ProviderName": CLIENT_LOG, "ProcessId": "4242",
            "Message": "DNS query is completed for the name web.example, type 28, query options 1 with status 0"}),
    ],
    "eqllib": [
        Case("/in/sysmon-pc1.example.json", {**SYSMON, **time(22)}, {
            "EventId": 22, **DATA, "UtcTime": "2026-03-01 10:00:22"}),
    ],
}  # fmt: skip
