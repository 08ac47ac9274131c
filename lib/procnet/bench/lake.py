"""A seeded lake of any size, made by Spark itself: every value is a hash of seed, host and number, so it never varies.

A host's n-th start has its time, id and name by arithmetic, so that a connection can name a process that has started
before it without a join. What is drawn: 0.1 % of
starts are msiexec, some 2 % one of the other names that detections ask for, and these speak eight times less than the
rest; of ten hosts seven have Sysmon (unique keys, original file names, command lines) and three Windows Security (none
of them); 40 % of processes have an end. Two things are kept simple, so that plans which know neither unique keys nor
refusals find the same rows: a process ends hours after its last connection, and an id comes again after 3,000 starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from procnet.contract import NETWORK_EVENTS, PROCESS_EVENTS
from procnet.lake.tables import Lake
from procnet.periods import Window
from procnet.runs.normalize import SORTED_BY

END = datetime(2026, 3, 9, 12, tzinfo=timezone.utc)  # of the last hour

# Names and how many of 10,000 starts have them; the rest are _USUAL.
_ASKED = {
    "msiexec.exe": 10, "rundll32.exe": 30, "cmd.exe": 50, "powershell.exe": 20, "regsvr32.exe": 10, "dllhost.exe": 30,
    "wscript.exe": 5, "mshta.exe": 2, "certutil.exe": 2, "installutil.exe": 1, "gpupdate.exe": 5, "netsh.exe": 5,
    "schtasks.exe": 10, "searchprotocolhost.exe": 20, "java.exe": 10, "notepad.exe": 5, "winlogon.exe": 2,
}  # fmt: skip
_USUAL = (
    "chrome.exe", "msedge.exe", "teams.exe", "outlook.exe", "svchost-host.exe", "conhost.exe", "taskhostw.exe",
    "runtimebroker.exe", "onedrive.exe", "code.exe", "git.exe", "node.exe", "python.exe", "explorer.exe", "lsass.exe",
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How large: starts and connections an hour and host; `hours` of starts before `END`, `connected` of connections.
    `skewed` puts 30 % of all rows on one host, and the sum stays."""

    hosts: int
    hours: int
    connected: int = 1
    starts: int = 240
    connections: int = 2500
    skewed: bool = False
    seed: int = 7
    quiet: int = 8  # of so many connections of a process that detections ask for, one is its own
    sorted: bool = True  # as `normalize` lays files out; else in the order of time

    @property
    def last_hour(self) -> Window:
        return Window(END - timedelta(hours=1), END)


def write_lake(lake: Lake, size: Size) -> None:
    """Create the tables and fill them with `size`'s rows: one commit each."""
    lake.create()
    for table, rows in (
        ("process_events", processes(lake.spark, size)),
        ("network_events", connections(lake.spark, size)),
    ):
        by = SORTED_BY[table] if size.sorted else ("event_time",)
        lake.append(table, rows.sortWithinPartitions("event_date", *by))


def processes(spark: SparkSession, size: Size) -> DataFrame:
    """Starts and ends of `size.hours` hours. Out: `contract.PROCESS_EVENTS`."""
    rows = _on_hosts(spark, size, size.starts, size.hours)
    started = _with_process(rows.withColumn("start_no", F.col("no")), size)
    end = "CASE WHEN {d} < 40 THEN made + make_dt_interval(0, 0, 0, 7200 + 72 * {e}) END"
    ended = F.expr(end.format(d=_draw("start_no", "ended", 100, size), e=_draw("start_no", "lasted", 100, size)))
    both = started.withColumn("ended", ended).selectExpr(
        "*", "inline(array(struct('start' AS kind, made AS at), struct('end' AS kind, ended AS at)))"
    )  # fmt: skip
    return _shaped(
        both.where(f"at < timestamp_micros({_micros(END)})"),
        PROCESS_EVENTS.names,
        {
            "event_time": "at",
            "event_kind": "kind",
            **_PROCESS,
            "original_file_name": "CASE WHEN sysmon AND kind = 'start' THEN upper(name) END",
            "command_line": "CASE WHEN sysmon AND kind = 'start' THEN line END",
            "user": "CASE WHEN kind = 'start' THEN account END",
            "process_hash": "CASE WHEN sysmon AND kind = 'start' THEN 'SHA256=' || upper(sha2(name, 256)) END",
            "parent_process_id": "CASE WHEN kind = 'start' THEN 4 * (100 + pmod(draw, 997)) END",
            "parent_process_name": "CASE WHEN kind = 'start' THEN 'explorer.exe' END",
            "parent_process_path": r"CASE WHEN kind = 'start' THEN 'C:\\Windows\\explorer.exe' END",
            "parent_command_line": "CASE WHEN sysmon AND kind = 'start' THEN 'explorer /n ' || pmod(draw, 9973) END",
            "record_id": "CAST(pmod(draw, 1000000007) AS string)",
        },
    )  # fmt: skip


def connections(spark: SparkSession, size: Size) -> DataFrame:
    """Connections of the last `size.connected` hours. Out: `contract.NETWORK_EVENTS`."""
    rows = _on_hosts(spark, size, size.connections, size.connected).withColumnRenamed("no", "connection_no")
    # The last start before it, and an exponential number of starts further back: a process speaks while it is young.
    lag = f"CAST(-40 * ln(({_draw('connection_no', 'lag', 9973, size)} + 1) / 9974) AS long)"
    last = f"CAST(({size.hours - size.connected} + at_hour) * start_rate AS long) - 1"
    spoken = rows.withColumn("start_no", F.expr(f"greatest(0, {last} - {lag})"))
    asked, silent = _named("start_no", size), _draw("connection_no", "quiet", size.quiet, size)
    quiet = f"{asked} < {sum(_ASKED.values())} AND {silent} > 0"
    spoken = spoken.withColumn(
        "start_no", F.expr(f"CASE WHEN {quiet} THEN greatest(0, start_no - 1) ELSE start_no END")
    )
    full = _with_process(spoken, size)
    port, far = _draw("connection_no", "port", 20000, size), _draw("connection_no", "far", 1 << 30, size)
    full = full.selectExpr(
        "*", f"{port} AS p", f"{far} AS f", "start_of_hours + make_dt_interval(0, 0, 0, at_hour * 3600) AS at"
    )
    return _shaped(
        full,
        NETWORK_EVENTS.names,
        {
            "event_time": "at",
            **_PROCESS,
            "user": "CASE WHEN sysmon THEN account END",
            "src_ip": "'10.' || pmod(host_no, 200) || '.' || pmod(host_no DIV 200, 250) || '.7'",
            "src_port": "CAST(49152 + pmod(f, 16000) AS int)",
            "dest_ip": "CASE WHEN pmod(f, 5) < 2 THEN '10.1.' || pmod(f DIV 7, 250) || '.' || pmod(f DIV 1750, 250) "
            "ELSE (20 + pmod(f DIV 3, 100)) || '.' || pmod(f DIV 300, 250) || '.' || pmod(f DIV 75000, 250) || '.9' "
            "END",
            "dest_port": "CAST(CASE WHEN p < 1 AND pmod(f, 10) = 0 THEN 88 WHEN p < 8000 THEN 443 "
            "WHEN p < 9600 THEN 80 WHEN p < 14000 THEN 53 WHEN p < 15000 THEN 445 WHEN p < 16000 THEN 389 "
            "ELSE 1024 + pmod(f, 60000) END AS int)",
            "dest_host": "CASE WHEN p < 9600 THEN 'h' || pmod(f, 50000) || '.example.net' END",
            "transport": "'tcp'",
            "direction": "'outbound'",
            "action": "'allowed'",
            "bytes_in": "CASE WHEN pmod(f, 3) = 0 THEN pmod(f, 100000) END",
            "bytes_out": "CASE WHEN pmod(f, 3) = 0 THEN pmod(f, 10000) END",
            "protocol_version": "'ipv4'",
            "record_id": "CAST(f AS string)",
        },
    )  # fmt: skip


# What a record says of its process, on both sides.
_PROCESS = {
    "host": "host",
    "process_id": "pid",
    "process_guid": "guid",
    "process_name": "name",
    "process_path": r"'C:\\Windows\\System32\\' || name",
    "vendor_product": "CASE WHEN sysmon THEN 'Microsoft Sysmon' ELSE 'Microsoft Windows Security' END",
    "source": "'bench'",
}


def _on_hosts(spark: SparkSession, size: Size, an_hour: int, hours: int) -> DataFrame:
    """`host_no`, `no` on that host from 0, `at_hour` (when, in hours from the first), and `start_rate` of the host."""
    total, spread = size.hosts * an_hour * hours, "pmod(id, {n})"
    if not size.skewed:
        host, no, rate, starts = spread.format(n=size.hosts), f"id DIV {size.hosts}", f"{an_hour}D", f"{size.starts}D"
    else:
        # Of ten rows in a row three are the loud host's.
        others, loud = max(1, size.hosts - 1), "pmod(id, 10) < 3"
        rest = "(id DIV 10) * 7 + pmod(id, 10) - 3"
        host = f"CASE WHEN {loud} THEN 0 ELSE 1 + pmod({rest}, {others}) END"
        no = f"CASE WHEN {loud} THEN (id DIV 10) * 3 + pmod(id, 10) ELSE ({rest}) DIV {others} END"
        rate, starts = (
            f"CASE WHEN {loud} THEN {0.3 * size.hosts * n} ELSE {0.7 * size.hosts * n / others} END"
            for n in (an_hour, size.starts)
        )
    rows = spark.range(total).selectExpr(
        f"{host} AS host_no", f"{no} AS no", f"{rate} AS rate", f"{starts} AS start_rate"
    )
    within = f"(pmod(xxhash64({size.seed}, host_no, no, {an_hour}), 1000) / 1000)"
    first = _micros(END - timedelta(hours=hours))
    return rows.selectExpr("*", f"(no + {within}) / rate AS at_hour", f"timestamp_micros({first}) AS start_of_hours")


def _with_process(rows: DataFrame, size: Size) -> DataFrame:
    """Everything of the start `start_no` of `host_no`: a function of the two alone."""
    named, marks = _named("start_no", size), ""
    top = 0
    for name, share in _ASKED.items():
        top += share
        marks += f" WHEN n < {top} THEN '{name}'"
    usual = ", ".join(f"'{n}'" for n in _USUAL)
    first = _micros(END - timedelta(hours=size.hours))
    within = f"(pmod(xxhash64({size.seed}, host_no, start_no, {size.starts}), 1000) / 1000)"
    return (
        rows.selectExpr("*", f"{named} AS n", f"xxhash64({size.seed}, host_no, start_no, 'draw') AS draw")
        .selectExpr(
            "*",
            f"CASE{marks} ELSE element_at(array({usual}), CAST(1 + pmod(n, {len(_USUAL)}) AS int)) END AS name",
            "pmod(host_no, 10) < 7 AS sysmon",
            "'ws-' || lpad(host_no, 6, '0') || '.corp.example' AS host",
            "4 * (100 + pmod(start_no * 787 + host_no * 31, 3000)) AS pid",
            f"timestamp_micros({first}) + make_dt_interval(0, 0, 0, (start_no + {within}) * 3600 / start_rate) AS made",
            r"'CORP\\user' || pmod(draw, 5000) AS account",
        )
        .selectExpr(
            "*",
            "CASE WHEN sysmon THEN upper(format_string('%08x-%016x', host_no, draw)) END AS guid",
            r"""'"C:\\Windows\\System32\\' || name || CASE WHEN pmod(draw, 10) < 2 THEN '"' ELSE
            '" --type=' || pmod(draw, 97) || ' /profile ' || hex(draw) || ' --session=' || hex(xxhash64(draw))
            END AS line""",
        )
    )


def _named(number: str, size: Size) -> str:
    return _draw(number, "name", 10000, size)


def _draw(number: str, what: str, below: int, size: Size) -> str:
    return f"pmod(xxhash64({size.seed}, host_no, {number}, '{what}'), {below})"


def _shaped(rows: DataFrame, names: list[str], values: dict[str, str]) -> DataFrame:
    schema = PROCESS_EVENTS if names == PROCESS_EVENTS.names else NETWORK_EVENTS
    values = {**values, "event_date": f"CAST({values['event_time']} AS date)", "ingest_time": values["event_time"]}
    return rows.selectExpr(
        *[f"CAST({values.get(n, 'NULL')} AS {schema[n].dataType.simpleString()}) AS {n}" for n in names]
    )


def _micros(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000
