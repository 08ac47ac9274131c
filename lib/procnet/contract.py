"""The tables of a lake: every column with its type, meaning and unit. All modules exchange frames of these columns.

Columns are named as in Splunk's CIM, except `host`: the CIM calls the endpoint `dest` in one data model and `src` or
`dvc` in others, so that risk may be assigned to the remote host. Times are UTC with microseconds. Text is as the sensor
wrote it, unless the meaning says otherwise. An unknown value is null, never "", "-" or "null".
"""

from __future__ import annotations

from typing import Literal

from pyspark.sql import types as T

# Raised with each change of the tables. 2 added risk and threat objects to the findings, and health, inputs, noisy and
# broken to the runs; 3 added plan_reason and rows_collected to the runs; 4 added the tables dns_events and flow_events,
# and to connections and findings the name that was asked for, to findings what a network sensor knows.
SCHEMA_VERSION = 4

_STRING, _LONG, _INT, _TIME, _DATE = T.StringType(), T.LongType(), T.IntegerType(), T.TimestampType(), T.DateType()
_STRINGS = T.ArrayType(_STRING)


def _table(*columns: tuple[str, T.DataType, str]) -> T.StructType:
    return T.StructType([T.StructField(n, t, True, {"comment": c}) for n, t, c in columns])


# Columns of a process, in process_events and, where the record has them, in network_events.
_IDENTITY = (
    ("process_id", _LONG, "id of the operating system; null where unknown or 0"),
    ("process_guid", _STRING, "the sensor's unique key, upper case without braces; null where unknown or zero"),
)
_IMAGE = (
    ("process_name", _STRING, "base name of the image, lower case: an equality then skips files by their statistics"),
    ("process_path", _STRING, "full path of the image"),
    ("original_file_name", _STRING, "name in the image's version resource; a renamed file still has it"),
    ("command_line", _STRING, "command line of the start"),
    ("user", _STRING, "DOMAIN\\name of the account"),
    ("user_id", _STRING, "SID or another unique id of the account"),
    ("integrity_level", _STRING, "low, medium, high, system"),
    ("process_hash", _STRING, "hashes of the image, as the sensor writes them"),
    ("parent_process_id", _LONG, "process id of the parent"),
    ("parent_process_guid", _STRING, "unique key of the parent"),
    ("parent_process_name", _STRING, "base name of the parent's image, lower case"),
    ("parent_process_path", _STRING, "full path of the parent's image"),
    ("parent_command_line", _STRING, "command line of the parent"),
)
_PROVENANCE = (
    ("vendor_product", _STRING, "sensor, such as Microsoft Sysmon"),
    ("source", _STRING, "name of the source mapping that read the record"),
    ("record_id", _STRING, "id of the record at the sensor"),
    ("ingest_time", _TIME, "time of ingest; exact duplicates may differ only in this column"),
    ("event_date", _DATE, "UTC date of event_time; the tables are partitioned by it"),
)

PROCESS_EVENTS = _table(
    ("event_time", _TIME, "time of the start or end"),
    ("event_kind", _STRING, "start or end"),
    ("host", _STRING, "endpoint, trimmed, lower case, without a trailing dot"),
    *_IDENTITY,
    *_IMAGE,
    ("action", _STRING, "allowed, blocked or another word of the sensor"),
    *_PROVENANCE,
)

NETWORK_EVENTS = _table(
    ("event_time", _TIME, "time of the connection"),
    ("host", _STRING, "endpoint, trimmed, lower case, without a trailing dot"),
    *_IDENTITY,
    ("process_start_time", _TIME, "start of the process, where the sensor writes it"),
    *_IMAGE,
    ("src_ip", _STRING, "local address when outbound; RFC 5952 spelling, IPv4-mapped as IPv4"),
    ("src_port", _INT, "0..65535"),
    ("dest_ip", _STRING, "remote address when outbound"),
    ("dest_port", _INT, "0..65535"),
    ("dest_host", _STRING, "remote host name, lower case; of many sensors a reverse look-up of the address"),
    ("dest_name", _STRING, "remote name that was asked for, where the record itself says so; spelled as query_name"),
    ("transport", _STRING, "tcp, udp, icmp or another protocol"),
    ("direction", _STRING, "outbound or inbound"),
    ("action", _STRING, "allowed, blocked or another word of the sensor"),
    ("app", _STRING, "application protocol"),
    ("bytes", _LONG, "bytes in both directions"),
    ("bytes_in", _LONG, "bytes that the host received"),
    ("bytes_out", _LONG, "bytes that the host sent"),
    ("protocol_version", _STRING, "ipv4 or ipv6"),
    *_PROVENANCE,
)

DNS_EVENTS = _table(
    ("event_time", _TIME, "time of the answer, or of the query where the sensor records no answer"),
    ("host", _STRING, "endpoint that asked, trimmed, lower case, without a trailing dot"),
    *_IDENTITY,
    ("process_name", _STRING, "base name of the image that asked, lower case"),
    ("process_path", _STRING, "full path of the image that asked"),
    ("user", _STRING, "DOMAIN\\name of the account"),
    ("query_name", _STRING, "name that was asked for: lower case, without a trailing dot, IDNA as on the wire"),
    ("query_type", _STRING, "A, AAAA, HTTPS or another type, in upper case"),
    ("answers", _STRINGS, "addresses of the answer, spelled as dest_ip; null where unknown or none"),
    ("response_code", _STRING, "NOERROR, NXDOMAIN or another code, in upper case; null where unknown"),
    *_PROVENANCE,
)

# What a network sensor knows of a connection and an endpoint does not.
_SENSOR = (
    ("flow_uid", _STRING, "id of the flow at the network sensor"),
    ("community_id", _STRING, "Community ID of the flow, such as 1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ("duration", T.DoubleType(), "length of the flow, in seconds"),
    ("server_name", _STRING, "name in the TLS handshake, or in the Host header of HTTP; spelled as query_name"),
    ("url", _STRING, "URL of the first HTTP request"),
    ("ja3", _STRING, "JA3 of the TLS client"),
    ("ja4", _STRING, "JA4 of the TLS client"),
)

FLOW_EVENTS = _table(
    ("event_time", _TIME, "time of the first packet"),
    ("sensor", _STRING, "network sensor"),
    ("src_ip", _STRING, "address of the side that opened the flow; RFC 5952 spelling, IPv4-mapped as IPv4"),
    ("src_port", _INT, "0..65535"),
    ("dest_ip", _STRING, "address of the other side"),
    ("dest_port", _INT, "0..65535"),
    ("transport", _STRING, "tcp, udp, icmp or another protocol"),
    ("app", _STRING, "application protocol"),
    ("bytes_in", _LONG, "bytes that src_ip received"),
    ("bytes_out", _LONG, "bytes that src_ip sent"),
    *_SENSOR,
    *_PROVENANCE,
)

QUARANTINE = _table(
    ("source", _STRING, "name of the source mapping"),
    ("file", _STRING, "file or table of the record"),
    ("line", _LONG, "line in the file, from 1; null where the format has no lines"),
    ("reason", _STRING, "why the record cannot be an event"),
    ("raw", _STRING, "the record, cut at 64 Ki characters"),
    ("ingest_time", _TIME, "time of ingest"),
    ("event_date", _DATE, "UTC date of ingest_time; the table is partitioned by it"),
)

# Columns for the process block of a detection: a process instance has them, and a connection's own record may.
PROCESS_FIELDS: tuple[str, ...] = ("process_id", "process_guid", *(n for n, _, _ in _IMAGE))
# Columns for the network block of a detection.
NETWORK_FIELDS: tuple[str, ...] = (
    "src_ip", "src_port", "dest_ip", "dest_port", "dest_host", "dest_name", "transport", "direction", "action", "app",
    "bytes", "bytes_in", "bytes_out", "protocol_version",
)  # fmt: skip
# Columns of a connection that names and flows give (docs/semantics.md, R9 and R10); bytes only where its own record has
# none. A detection may test them too.
JOINED_FIELDS: tuple[str, ...] = ("dest_name", "bytes_in", "bytes_out", *(n for n, _, _ in _SENSOR))
# How the name of a destination is known, the best first (docs/semantics.md, R9).
NameKind = Literal["process", "record", "host", "reverse"]
NAME_KINDS: tuple[NameKind, ...] = ("process", "record", "host", "reverse")
# Of these kinds a detection and an exclusion take names unless they say otherwise: the owner of an address chooses its
# reverse name, and another process may have asked for another reason.
ACCEPTED_NAMES: tuple[NameKind, ...] = ("process", "record")

_OBJECTS = T.ArrayType(T.StructType([T.StructField("value", _STRING), T.StructField("type", _STRING)]))

ATTRIBUTIONS = ("guid", "host_pid", "event", "none")

FINDINGS = _table(
    ("finding_id", _STRING, "hash of detection, connection and process; the same data gives the same id"),
    ("detection_id", _STRING, "id of the detection file"),
    ("detection_name", _STRING, "name of the detection"),
    ("detection_version", _INT, "version of the detection"),
    ("fingerprint", _STRING, "hash of the detection's predicate; an edit that changes its meaning changes it"),
    ("event_time", _TIME, "time of the connection"),
    ("host", _STRING, "endpoint"),
    ("attribution", _STRING, "how the process was attributed: guid, host_pid, event or none (docs/semantics.md, R2)"),
    ("process_time", _TIME, "start of the process instance; null without one"),
    ("process_end_time", _TIME, "end of the process instance, if at most clock_skew after the connection; else null"),
    *_IDENTITY,
    ("process_name", _STRING, "base name of the image, lower case"),
    ("process_path", _STRING, "full path of the image"),
    ("process", _STRING, "command line (the CIM calls it process)"),
    ("original_file_name", _STRING, "name in the image's version resource"),
    ("user", _STRING, "account of the process"),
    ("user_id", _STRING, "SID or another unique id of the account"),
    ("integrity_level", _STRING, "low, medium, high, system"),
    ("process_hash", _STRING, "hashes of the image, as the sensor writes them"),
    ("parent_process_id", _LONG, "process id of the parent"),
    ("parent_process_guid", _STRING, "unique key of the parent"),
    ("parent_process_name", _STRING, "base name of the parent's image, lower case"),
    ("parent_process_path", _STRING, "full path of the parent's image"),
    ("parent_command_line", _STRING, "command line of the parent"),
    ("src_ip", _STRING, "local address when outbound"),
    ("src_port", _INT, "0..65535"),
    ("dest_ip", _STRING, "remote address when outbound"),
    ("dest_port", _INT, "0..65535"),
    ("dest_host", _STRING, "remote host name, as the connection's record has it"),
    ("dest_name", _STRING, "remote name that was asked for; dest_name_by says how it is known"),
    ("dest_name_by", _STRING, "process, record, host or reverse (docs/semantics.md, R9)"),
    ("dest_names", _STRINGS, "names that fit as well as dest_name, which is the first; at most five"),
    ("transport", _STRING, "tcp, udp or another protocol"),
    ("direction", _STRING, "outbound or inbound"),
    ("action", _STRING, "action of the connection"),
    ("bytes_in", _LONG, "bytes that the host received"),
    ("bytes_out", _LONG, "bytes that the host sent"),
    ("risk_score", _INT, "1..100"),
    ("severity", _STRING, "informational, low, medium, high, critical: the bands of Splunk ES for the score"),
    ("mitre_attack", _STRINGS, "ATT&CK techniques"),
    ("message", _STRING, "message of the detection, with the values of its fields"),
    (
        "related",
        T.ArrayType(
            T.StructType([T.StructField("role", _STRING), T.StructField("process_id", _LONG),
                          T.StructField("process_guid", _STRING), T.StructField("process_time", _TIME),
                          T.StructField("process_name", _STRING), T.StructField("process", _STRING)])
        ),
        "related processes, such as the parent; role says which",
    ),
    ("excluded_by", _STRING, "id of the exclusion that applies; null for a live finding"),
    ("process_record_id", _STRING, "record_id of the process start"),
    ("connection_record_id", _STRING, "record_id of the connection"),
    ("vendor_product", _STRING, "sensor of the connection's record"),
    ("source", _STRING, "source of the connection's record"),
    ("finding_date", _DATE, "UTC date of event_time; the table is partitioned by it"),
    ("risk_objects", _OBJECTS, "known objects that have the risk: endpoint and account, never the remote host"),
    ("threat_objects", _OBJECTS, "known objects of the threat: remote address, names of programs"),
    *_SENSOR,
)  # fmt: skip

# By this name of the event tables a finding's column may be meant too: `process` is the CIM's name.
FINDING_ALIASES = {"command_line": "process"}

# RISK_EVENTS and INCIDENTS are views of the findings (findings/risk.py) and are not stored.
RISK_EVENTS = _table(
    (
        "risk_event_id",
        _STRING,
        "hash of detection, risk object, process, destination and bucket; the same findings give the same id",
    ),
    ("bucket", _TIME, "start of the bucket on the grid of risk.throttle"),
    ("first_time", _TIME, "earliest connection of its findings; the time of the risk event"),
    ("last_time", _TIME, "latest connection of its findings"),
    ("findings", _LONG, "number of its findings"),
    ("detection_id", _STRING, "id of the detection file"),
    ("detection_name", _STRING, "name of the detection"),
    ("detection_version", _INT, "version of the detection"),
    ("risk_object_type", _STRING, "system, user or other"),
    ("risk_object", _STRING, "name of the endpoint or account"),
    ("risk_score", _INT, "1..100, once for all its findings"),
    ("severity", _STRING, "band of Splunk ES for the score"),
    ("mitre_attack", _STRINGS, "ATT&CK techniques"),
    ("tactics", _STRINGS, "ATT&CK tactics of the techniques (conf/attack.yml)"),
    ("host", _STRING, "endpoint"),
    *_IDENTITY,
    ("process_time", _TIME, "start of the process instance; null without one"),
    ("process_name", _STRING, "base name of the image, lower case"),
    ("destination", _STRING, "name or address of the remote host"),
    ("bytes_in", _LONG, "bytes that the host received, sum of the findings"),
    ("bytes_out", _LONG, "bytes that the host sent, sum of the findings"),
    ("threat_objects", _OBJECTS, "threat objects of all its findings"),
    ("message", _STRING, "message of the first finding"),
    ("finding_id", _STRING, "id of the first finding, as an example"),
)

INCIDENTS = _table(
    ("incident_id", _STRING, "hash of risk object, reason and time"),
    ("incident_time", _TIME, "time at which the risk object reached the threshold"),
    ("risk_object_type", _STRING, "system, user or other"),
    ("risk_object", _STRING, "name of the endpoint or account"),
    ("reason", _STRING, "score: sum within risk.score_over; tactics: distinct ATT&CK tactics within risk.tactics_over"),
    ("score", _LONG, "sum of the risk events of that time"),
    ("tactics", _STRINGS, "ATT&CK tactics of the risk events"),
    ("detections", _STRINGS, "detection ids of the risk events"),
    ("first_time", _TIME, "time of the first risk event"),
    ("risk_events", _STRINGS, "ids of the risk events, in order of time"),
)

RUNS = _table(
    ("run_id", _STRING, "unique id of the run"),
    ("kind", _STRING, "ingest, normalize, detect, backfill, catch_up, maintain"),
    ("window_start", _TIME, "start of the window, inclusive"),
    ("window_end", _TIME, "end of the window, exclusive"),
    (
        "detections",
        T.MapType(_STRING, _STRING),
        "detection id -> run fingerprint: of its predicate, and a digest of everything else that shapes its findings",
    ),
    (
        "table_versions",
        T.MapType(_STRING, _LONG),
        "table -> Delta version that the run read; findings: the version that has the run's result",
    ),
    ("counts", T.MapType(_STRING, _LONG), "name -> number of records, events or findings"),
    (
        "inputs",
        T.MapType(_STRING, _STRING),
        "file read -> digest of its content and of how it was read (ingest); of a window: own table -> its id",
    ),
    (
        "health",
        T.ArrayType(
            T.StructType(
                [
                    T.StructField("source", _STRING),
                    T.StructField("connections", _LONG),
                    T.StructField("without_host", _LONG),
                    T.StructField("without_key", _LONG),
                    T.StructField("without_process", _LONG),
                    T.StructField("newest", _TIME),
                ]
            )
        ),
        "of each source: connections of the window; those without host, ids or any process column; newest time",
    ),
    ("plan", _STRING, "broadcast, shuffled or none, of a window; a sentence in rows before schema version 3"),
    ("plan_reason", _STRING, "why this plan was chosen"),
    ("rows_collected", T.MapType(_STRING, _LONG), "step -> rows that the driver collected"),
    ("seconds", T.MapType(_STRING, T.DoubleType()), "stage -> wall seconds"),
    (
        "status",
        _STRING,
        "succeeded, nothing_to_read, failed; of catch-up checked, checked_no_rows: the window needed no run",
    ),
    ("error", _STRING, "text of the error, where failed"),
    ("started_at", _TIME, "start of the last try, wall clock"),
    ("ended_at", _TIME, "end, wall clock"),
    ("started_by", _STRING, "account of the operating system"),
    ("procnet_version", _STRING, "version of procnet"),
    ("run_date", _DATE, "UTC date of started_at"),
    ("noisy", _STRINGS, "ids of detections with more live findings in the window than their budget"),
    ("broken", _STRINGS, "problems of enabled detections and exclusions that could not be loaded"),
)

# A cache (state/state.py): what the run of one window leaves for the run of the next. It may be dropped at any time.
OPEN_PROCESSES = _table(
    ("part", _STRING, "id of what one run left: all its rows are of one commit"),
    (
        "row_kind",
        _STRING,
        "part: what the part was made from; event: a process event; lookup: a key that was looked up",
    ),
    ("state_time", _TIME, "end of the run's window: its events are earlier"),
    (
        "fingerprint",
        _STRING,
        "hash of all that decides which events are kept: conditions, lookbacks, tolerances, sources",
    ),
    ("table_versions", T.MapType(_STRING, _LONG), "of a part: table -> Delta version that it was made from"),
    ("pid_complete_from", _TIME, "all events of this host and process id from then on are in the part; null: unknown"),
    ("guid_complete_from", _TIME, "all events of this host and guid from then on are in the part; null: unknown"),
    ("looked_up_at", _TIME, "of a lookup: end of the last window that needed its key"),
    *((f.name, f.dataType, f.metadata["comment"]) for f in PROCESS_EVENTS),
    ("state_date", _DATE, "UTC date of state_time; the table is partitioned by it"),
)

# table name -> (schema, partition columns)
TABLES: dict[str, tuple[T.StructType, tuple[str, ...]]] = {
    "process_events": (PROCESS_EVENTS, ("event_date",)),
    "network_events": (NETWORK_EVENTS, ("event_date",)),
    "dns_events": (DNS_EVENTS, ("event_date",)),
    "flow_events": (FLOW_EVENTS, ("event_date",)),
    "quarantine": (QUARANTINE, ("event_date",)),
    "findings": (FINDINGS, ("finding_date",)),
    "runs": (RUNS, ()),
    "open_processes": (OPEN_PROCESSES, ("state_date",)),
}

# The tables of canonical events: without the first two there are no findings, to which the others add what they know.
REQUIRED_EVENT_TABLES = ("process_events", "network_events")
EVENT_TABLES = (*REQUIRED_EVENT_TABLES, "dns_events", "flow_events")
# Event kind of a mapping -> its table.
TABLE_OF_KIND = {
    "start": "process_events", "end": "process_events", "network": "network_events", "dns": "dns_events",
    "flow": "flow_events",
}  # fmt: skip
