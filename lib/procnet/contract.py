"""The canonical tables: every column with its type, its meaning and its unit. All frames between the parts have these.

Names are those of Splunk's CIM, except `host`: the CIM calls the endpoint `dest` on one side and `src` or `dvc` on the
other, which is how risk lands on the remote host. Times are UTC with microseconds, text is as the sensor wrote it
unless the meaning says otherwise, and an unknown value is null, never "", "-" or "null".
"""

from __future__ import annotations

from pyspark.sql import types as T

# Raised with each change of the tables. 2 added risk and threat objects to the findings, and health, inputs, noisy and
# broken to the runs; 3 added plan_reason and rows_collected to the runs.
SCHEMA_VERSION = 3

_STRING, _LONG, _INT, _TIME, _DATE = T.StringType(), T.LongType(), T.IntegerType(), T.TimestampType(), T.DateType()


def _table(*columns: tuple[str, T.DataType, str]) -> T.StructType:
    return T.StructType([T.StructField(n, t, True, {"comment": c}) for n, t, c in columns])


# What is known of a process; process_events and network_events (where the record carries it) share these.
_IDENTITY = (
    ("process_id", _LONG, "the operating system's id; null where unknown or 0"),
    ("process_guid", _STRING, "the sensor's unique key, upper case without braces; null where unknown or zero"),
)
_IMAGE = (
    ("process_name", _STRING, "base name of the image, LOWER CASE, so that equality reaches the files"),
    ("process_path", _STRING, "full path of the image"),
    ("original_file_name", _STRING, "name in the image's version resource: survives a rename"),
    ("command_line", _STRING, "as started"),
    ("user", _STRING, "DOMAIN\\name of the account"),
    ("user_id", _STRING, "SID or the like"),
    ("integrity_level", _STRING, "low, medium, high, system"),
    ("process_hash", _STRING, "hashes as the sensor gives them"),
    ("parent_process_id", _LONG, "process id of the parent"),
    ("parent_process_guid", _STRING, "unique key of the parent"),
    ("parent_process_name", _STRING, "base name of the parent's image, lower case"),
    ("parent_process_path", _STRING, "full path of the parent's image"),
    ("parent_command_line", _STRING, "command line of the parent"),
)
_PROVENANCE = (
    ("vendor_product", _STRING, "the sensor, such as Microsoft Sysmon"),
    ("source", _STRING, "name of the source mapping that read the record"),
    ("record_id", _STRING, "the sensor's number of the record, to find it again"),
    ("ingest_time", _TIME, "when the lake received it; the only column in which exact duplicates may differ"),
    ("event_date", _DATE, "UTC date of event_time; the tables are partitioned by it"),
)

PROCESS_EVENTS = _table(
    ("event_time", _TIME, "record time of the start or end"),
    ("event_kind", _STRING, "start or end"),
    ("host", _STRING, "the endpoint, trimmed, lower case, without a trailing dot"),
    *_IDENTITY,
    *_IMAGE,
    ("action", _STRING, "allowed, blocked, ... as the sensor says"),
    *_PROVENANCE,
)

NETWORK_EVENTS = _table(
    ("event_time", _TIME, "record time of the connection"),
    ("host", _STRING, "the endpoint, trimmed, lower case, without a trailing dot"),
    *_IDENTITY,
    ("process_start_time", _TIME, "start of the process, where the sensor gives it"),
    *_IMAGE,
    ("src_ip", _STRING, "local address when outbound; RFC 5952 spelling, IPv4-mapped as IPv4"),
    ("src_port", _INT, "0..65535"),
    ("dest_ip", _STRING, "remote address when outbound"),
    ("dest_port", _INT, "0..65535"),
    ("dest_host", _STRING, "remote host name, lower case"),
    ("transport", _STRING, "tcp, udp, icmp, ..."),
    ("direction", _STRING, "outbound or inbound"),
    ("action", _STRING, "allowed, blocked, ... as the sensor says"),
    ("app", _STRING, "application protocol"),
    ("bytes", _LONG, "in and out together"),
    ("bytes_in", _LONG, "received by the host"),
    ("bytes_out", _LONG, "sent by the host"),
    ("protocol_version", _STRING, "ipv4 or ipv6"),
    *_PROVENANCE,
)

QUARANTINE = _table(
    ("source", _STRING, "name of the source mapping"),
    ("file", _STRING, "where the record was read"),
    ("line", _LONG, "line in it, from 1; null where the container has no lines"),
    ("reason", _STRING, "why it could not be used"),
    ("raw", _STRING, "the record as read, cut at 64 Ki characters"),
    ("ingest_time", _TIME, "when it was put aside"),
    ("event_date", _DATE, "UTC date of ingest_time; the table is partitioned by it"),
)

# Process columns that a detection's process block may ask: an instance has them, and so may a connection's own record.
PROCESS_FIELDS: tuple[str, ...] = ("process_id", "process_guid", *(n for n, _, _ in _IMAGE))
# Columns of a connection that a network block may ask.
NETWORK_FIELDS: tuple[str, ...] = (
    "src_ip", "src_port", "dest_ip", "dest_port", "dest_host", "transport", "direction", "action", "app",
    "bytes", "bytes_in", "bytes_out", "protocol_version",
)  # fmt: skip

_OBJECTS = T.ArrayType(T.StructType([T.StructField("value", _STRING), T.StructField("type", _STRING)]))

ATTRIBUTIONS = ("guid", "host_pid", "event", "none")

FINDINGS = _table(
    ("finding_id", _STRING, "hash of what the finding is about; the same data gives the same id"),
    ("detection_id", _STRING, "id of the detection file"),
    ("detection_name", _STRING, "its name"),
    ("detection_version", _INT, "its version"),
    ("fingerprint", _STRING, "hash of what the detection asks; differs where an edit changed its meaning"),
    ("event_time", _TIME, "time of the connection"),
    ("host", _STRING, "the endpoint"),
    ("attribution", _STRING, "how the process is known: guid, host_pid, event or none"),
    ("process_time", _TIME, "start of the process instance; null without one"),
    ("process_end_time", _TIME, "end of the instance, if no later than clock_skew after the connection; else null"),
    *_IDENTITY,
    ("process_name", _STRING, "base name of the image, lower case"),
    ("process_path", _STRING, "full path of the image"),
    ("process", _STRING, "command line (the CIM's name for it)"),
    ("original_file_name", _STRING, "name in the image's version resource"),
    ("user", _STRING, "account of the process"),
    ("user_id", _STRING, "SID or the like"),
    ("integrity_level", _STRING, "low, medium, high, system"),
    ("process_hash", _STRING, "hashes as the sensor gives them"),
    ("parent_process_id", _LONG, "process id of the parent"),
    ("parent_process_guid", _STRING, "unique key of the parent"),
    ("parent_process_name", _STRING, "base name of the parent's image, lower case"),
    ("parent_process_path", _STRING, "full path of the parent's image"),
    ("parent_command_line", _STRING, "command line of the parent"),
    ("src_ip", _STRING, "local address when outbound"),
    ("src_port", _INT, "0..65535"),
    ("dest_ip", _STRING, "remote address when outbound"),
    ("dest_port", _INT, "0..65535"),
    ("dest_host", _STRING, "remote host name"),
    ("transport", _STRING, "tcp, udp, ..."),
    ("direction", _STRING, "outbound or inbound"),
    ("action", _STRING, "of the connection"),
    ("bytes_in", _LONG, "received by the host"),
    ("bytes_out", _LONG, "sent by the host"),
    ("risk_score", _INT, "1..100"),
    ("severity", _STRING, "informational, low, medium, high, critical: Splunk ES's bands of the score"),
    ("mitre_attack", T.ArrayType(_STRING), "ATT&CK techniques"),
    ("message", _STRING, "the detection's message with its fields filled in"),
    (
        "related",
        T.ArrayType(
            T.StructType([T.StructField("role", _STRING), T.StructField("process_id", _LONG),
                          T.StructField("process_guid", _STRING), T.StructField("process_time", _TIME),
                          T.StructField("process_name", _STRING), T.StructField("process", _STRING)])
        ),
        "other processes that belong to the story",
    ),
    ("excluded_by", _STRING, "id of the exclusion that marks it; null for a live finding"),
    ("process_record_id", _STRING, "record of the process start"),
    ("connection_record_id", _STRING, "record of the connection"),
    ("vendor_product", _STRING, "sensor of the connection"),
    ("source", _STRING, "source of the connection"),
    ("finding_date", _DATE, "UTC date of event_time; the table is partitioned by it"),
    ("risk_objects", _OBJECTS, "whom the risk falls on, as far as known: endpoint and account, never the remote"),
    ("threat_objects", _OBJECTS, "what the threat came by, as far as known: the remote address, names of programs"),
)  # fmt: skip

# Two views of the findings (findings/risk.py), which are not stored.
RISK_EVENTS = _table(
    ("risk_event_id", _STRING, "hash of what the event is about; the same findings give the same id"),
    ("bucket", _TIME, "start of its bucket on the grid of risk.throttle"),
    ("first_time", _TIME, "of its findings' connections; the event's own time"),
    ("last_time", _TIME, "of its findings' connections"),
    ("findings", _LONG, "how many it throws together"),
    ("detection_id", _STRING, "id of the detection file"),
    ("detection_name", _STRING, "its name"),
    ("detection_version", _INT, "its version"),
    ("risk_object_type", _STRING, "system, user or other"),
    ("risk_object", _STRING, "whom the risk falls on"),
    ("risk_score", _INT, "1..100, counted once, however many findings there are"),
    ("severity", _STRING, "Splunk ES's band of the score"),
    ("mitre_attack", T.ArrayType(_STRING), "ATT&CK techniques"),
    ("tactics", T.ArrayType(_STRING), "ATT&CK tactics that the techniques serve (conf/attack.yml)"),
    ("host", _STRING, "the endpoint"),
    *_IDENTITY,
    ("process_time", _TIME, "start of the process instance; null without one"),
    ("process_name", _STRING, "base name of the image, lower case"),
    ("destination", _STRING, "name of the remote host, or its address"),
    ("bytes_in", _LONG, "sum of the findings"),
    ("bytes_out", _LONG, "sum of the findings"),
    ("threat_objects", _OBJECTS, "of all its findings"),
    ("message", _STRING, "of the first finding"),
    ("finding_id", _STRING, "the first finding: one example"),
)

INCIDENTS = _table(
    ("incident_id", _STRING, "hash of object, reason and time"),
    ("incident_time", _TIME, "when the risk object came to pass the threshold"),
    ("risk_object_type", _STRING, "system, user or other"),
    ("risk_object", _STRING, "whose risk it is"),
    ("reason", _STRING, "score: the sum of risk.score_over; tactics: the distinct ATT&CK tactics of risk.tactics_over"),
    ("score", _LONG, "sum of the risk events of that period"),
    ("tactics", T.ArrayType(_STRING), "their ATT&CK tactics"),
    ("detections", T.ArrayType(_STRING), "their detections' ids"),
    ("first_time", _TIME, "of the first of them"),
    ("risk_events", T.ArrayType(_STRING), "their ids, in time"),
)

RUNS = _table(
    ("run_id", _STRING, "unique"),
    ("kind", _STRING, "ingest, normalize, detect, backfill, catch_up, maintain"),
    ("window_start", _TIME, "start of the window, inclusive"),
    ("window_end", _TIME, "end of the window, exclusive"),
    (
        "detections",
        T.MapType(_STRING, _STRING),
        "detection id -> fingerprint, and a mark of all else that makes its findings",
    ),
    ("table_versions", T.MapType(_STRING, _LONG), "table -> Delta version read"),
    ("counts", T.MapType(_STRING, _LONG), "what was read, unusable, attributed, found"),
    ("inputs", T.MapType(_STRING, _STRING), "file read -> mark of its content and of how it was read (ingest)"),
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
        "of each source: connections of the window, those without host, ids, or anything that names a process; newest",
    ),
    ("plan", _STRING, "how connections and processes were joined: broadcast, shuffled or none; null for other kinds"),
    ("plan_reason", _STRING, "why this plan was chosen"),
    ("rows_collected", T.MapType(_STRING, _LONG), "step -> rows that the driver collected"),
    ("seconds", T.MapType(_STRING, T.DoubleType()), "stage -> wall seconds"),
    ("status", _STRING, "succeeded, nothing_to_read or failed"),
    ("error", _STRING, "the error's text, where failed"),
    ("started_at", _TIME, "wall clock"),
    ("ended_at", _TIME, "wall clock"),
    ("started_by", _STRING, "account that ran it"),
    ("procnet_version", _STRING, "version of this package"),
    ("run_date", _DATE, "UTC date of started_at"),
    ("noisy", T.ArrayType(_STRING), "detections, by id, that found more than their budget in this window"),
    ("broken", T.ArrayType(_STRING), "enabled detections that could not be loaded, and why: they were not run"),
)

# A cache (state/state.py): what the run of one window leaves for the run of the next. It may be dropped at any time.
OPEN_PROCESSES = _table(
    ("part", _STRING, "id of what one run left: all its rows are of one commit"),
    ("row_kind", _STRING, "part: what the part was made from; event: a process event; lookup: a key that was looked up"),
    ("state_time", _TIME, "end of the run's window: its events are earlier"),
    ("fingerprint", _STRING, "hash of all that decides which events are kept: conditions, lookbacks, tolerances, sources"),
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
    "quarantine": (QUARANTINE, ("event_date",)),
    "findings": (FINDINGS, ("finding_date",)),
    "runs": (RUNS, ()),
    "open_processes": (OPEN_PROCESSES, ("state_date",)),
}
