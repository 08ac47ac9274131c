"""`procnet findings`: prints findings or writes them to a file."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType

from procnet.attribution.hosts import host_key
from procnet.cli.options import Commands, add_period, open_lake, period_of, settings_of
from procnet.cli.output import (
    csv_cell,
    escaped_json,
    json_line,
    print_json,
    print_message,
    print_table,
)
from procnet.contract import ACCEPTED_NAMES
from procnet.detections.catalog import named_by, read_catalogue
from procnet.errors import UsageError, is_disk_full
from procnet.exports.columns import json_lines
from procnet.exports.elastic import to_elastic
from procnet.exports.ocsf import to_ocsf
from procnet.exports.splunk_es import to_splunk_es
from procnet.settings import HostMatch, Settings
from procnet.spark.filters import in_period
from procnet.spark.sql import literal
from procnet.spark.temporary import remove_folder, temporary_folder

# The columns by which `procnet replay --json` and the demo name a finding.
TABLE_COLUMNS = (
    "event_time", "host", "process_name", "process_id", "process_time", "dest_ip", "dest_port", "attribution",
)  # fmt: skip
# The columns that a table of findings is made from; the other formats have all columns.
_SHOWN_COLUMNS = (
    "event_time", "severity", "detection_name", "host", "user", "process_name", "process_id", "dest_name",
    "dest_name_by", "dest_host", "dest_ip", "dest_port",
)  # fmt: skip
_MOST_ROWS = 1000  # of a table
_LESS_CERTAIN = (
    "a destination in parentheses is a name that this process may not have asked for, such as a reverse look-up; "
    "dest_name_by has how it is known (--format json)"
)
_EXPORTS = {"ocsf": to_ocsf, "es": to_splunk_es, "elastic": to_elastic}
_FORMATS = ("table", "json", "csv", "parquet", *_EXPORTS)


def add_commands(commands: Commands) -> None:
    """Adds findings."""
    option = commands.add("findings", _findings)
    add_period(option, "all findings")
    option(
        "--detection",
        metavar="ID",
        help="only this detection: id, name, file name, or the beginning of one (default: all)",
    )
    option("--host", metavar="HOST", help="only this host, compared as the setting host.match says (default: all)")
    formats = (
        f"table (at most {_MOST_ROWS} rows), csv, parquet, or one JSON object per line: json (all columns), ocsf, es "
        "(Splunk Enterprise Security), elastic (default: %(default)s)"
    )
    option("--format", choices=_FORMATS, default="table", help=formats)
    output = "write to this new file, or for parquet to this new folder (default: stdout)"
    option("--output", type=Path, metavar="FILE", help=output)
    force = "replace the file of --output once all rows are written (default: an existing file is refused)"
    option("--force", action="store_true", help=force)


def _findings(args: Namespace) -> None:
    """Print findings, or write them to a file, in the order of time."""
    settings, period = settings_of(args), period_of(args)
    if args.format == "parquet" and args.output is None:
        raise UsageError("parquet cannot be printed on a terminal: it needs a place", hint="add --output FOLDER")
    # Spark's overwrite mode would empty a folder first, whatever is in it: --force is for a file.
    if args.output is not None and (args.output.is_dir() or (args.output.is_file() and not args.force)):
        is_folder = args.format == "parquet" or args.output.is_dir()
        hint = (
            "give a folder that does not exist yet" if is_folder else "name another file, or add --force to replace it"
        )
        raise UsageError(f"{args.output} is there already", hint=hint)
    rows = open_lake(settings).read("findings", fill_missing=True)
    if period is not None:
        rows = rows.where(in_period(period.start, period.end, "finding_date"))
    if args.detection:
        rows = rows.where(_is_detection(args.detection, settings))
        _refuse_unknown_detection(rows, args.detection, settings)
    if args.host:
        rows = rows.where(_is_host(args.host, settings.host.match))
        if rows.isEmpty():
            print_message(f"no finding of this selection has the host {args.host}")
    rows = rows.orderBy("event_time", "finding_id")
    if args.json and args.output is None:
        print_json({"findings": [r.asDict(recursive=True) for r in rows.collect()]})
        return
    if args.format == "parquet":
        rows.write.parquet(str(args.output.absolute()))
    else:
        with _output_file(args.output) as file:
            _write(rows, args.format, file)
    if args.output is not None:
        print_message(f"written to {args.output}")
        if args.json:
            print_json({"written": str(args.output), "format": args.format})


def _refuse_unknown_detection(rows: DataFrame, name: str, settings: Settings) -> None:
    """Raises UsageError where neither the findings nor the catalogue have such a detection.

    In: the findings of this detection. A detection whose file was deleted may still have findings.
    """
    usable, _ = read_catalogue(settings.detections_folder)
    if named_by(usable, name) or not rows.isEmpty():
        return
    low = name.lower()
    near = [f"{d.id[:8]} ({d.name})" for d in usable if d.id.startswith(low[:1]) or low in d.name.lower()]
    shown = ", ".join(near[:5]) or "none"
    raise UsageError(
        f"no finding and no detection has an id or a name that begins with {name!r}; near are: {shown}",
        hint="procnet detections list shows all ids",
    )


def _is_detection(name: str, settings: Settings) -> Column:
    """Condition: the finding is of a detection that `name` means, or of a deleted one whose id or name begins so."""
    found = named_by(read_catalogue(settings.detections_folder)[0], name)
    low = name.strip().lower()
    by_id = F.col("detection_id").isin([d.id for d in found]) | F.col("detection_id").startswith(low)
    return by_id if found else by_id | F.lower("detection_name").startswith(low)


def _is_host(name: str, match: HostMatch) -> str:
    """SQL condition: the finding's host is `name`."""
    value = literal(name.strip().lower().rstrip("."))
    return f"{host_key('host', match)} = {host_key(value, match)}"


@contextmanager
def _output_file(path: Path | None) -> Iterator[IO[str]]:
    """The file to write to, stdout for None. It gets its name at the end, so that a failed command leaves no half file.

    UsageError where it cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    try:
        if path.exists() and not path.is_file():  # a device, or a pipe
            with path.open("w", encoding="utf-8", newline="") as file:
                yield file
            return
        target = path.resolve()
        folder = temporary_folder("output", target.parent)
        try:
            with (folder / "rows").open("w", encoding="utf-8", newline="") as file:
                yield file
            if target.exists():
                shutil.copymode(target, folder / "rows")
            os.replace(folder / "rows", target)
        finally:
            remove_folder(folder)
    except OSError as e:
        if is_disk_full(e):
            raise
        raise UsageError(f"{path} cannot be written: {e.strerror}", hint="name a file in a folder of yours") from None


def _write(rows: DataFrame, format_name: str, file: IO[str]) -> None:
    """Writes findings in one of the text formats. Rows are fetched one partition at a time, except for a table."""
    if format_name in _EXPORTS:
        for row in json_lines(_EXPORTS[format_name](rows)).toLocalIterator():
            file.write(escaped_json(row["line"]))
    elif format_name == "json":
        for row in rows.toLocalIterator():
            file.write(json_line(row.asDict(recursive=True)))
    elif format_name == "csv":
        _write_csv(rows, file)
    else:
        _write_table(rows, file)


def _write_csv(rows: DataFrame, file: IO[str]) -> None:
    nested = [f.name for f in rows.schema if f.dataType.typeName() in ("struct", "map") or _is_of_structs(f.dataType)]
    flat = rows.withColumns({name: F.to_json(name) for name in nested})
    writer = csv.writer(file)
    writer.writerow(flat.columns)
    for row in flat.toLocalIterator():
        writer.writerow([csv_cell(v) for v in row])


def _is_of_structs(data_type: DataType) -> bool:
    return isinstance(data_type, ArrayType) and data_type.elementType.typeName() == "struct"


def _write_table(rows: DataFrame, file: IO[str]) -> None:
    first = [r.asDict() for r in rows.select(*_SHOWN_COLUMNS).limit(_MOST_ROWS + 1).collect()]
    print_findings(first[:_MOST_ROWS], file=file)
    more = " shown, there are more: use --format json" if len(first) > _MOST_ROWS else ""
    print_message(f"{min(len(first), _MOST_ROWS)} findings{more}")


def print_findings(rows: Sequence[Mapping[str, Any]], *, title: str | None = None, file: IO[str] | None = None) -> None:
    """Prints findings as a table for 100 columns, a line each: long values lose their middle.

    In: mappings with columns of the findings. Hosts are printed without their domain, users too. The destination is in
    parentheses where it is a name of a kind that detections do not accept by default.
    """
    columns = ("time", "severity", "detection", "host", "user", "process", "destination")
    # A Row has no `get`.
    known = [{name: r[name] if name in r else None for name in _SHOWN_COLUMNS} for r in rows]  # noqa: SIM401
    cells = [
        (r["event_time"], r["severity"], r["detection_name"], _without_domain(r["host"] or ""),
         (r["user"] or "").rpartition("\\")[2], _process(r), _destination(r))
        for r in known
    ]  # fmt: skip
    print_table(columns, cells, title=title, file=file, shorten=columns[2:])
    if any(_has_less_certain_name(r) for r in known):
        print_message(_LESS_CERTAIN)


def _process(row: Mapping[str, Any]) -> str:
    return " ".join(str(row[name]) for name in ("process_name", "process_id") if row[name] is not None)


def _destination(row: Mapping[str, Any]) -> str:
    port = "" if row["dest_port"] is None else f":{row['dest_port']}"
    if name := row["dest_name"] or row["dest_host"]:
        # At both ends of the name: a long one loses its middle.
        return f"({name}){port}" if _has_less_certain_name(row) else f"{name}{port}"
    address = row["dest_ip"] or ""
    return f"[{address}]{port}" if port and ":" in address else f"{address}{port}"


def _has_less_certain_name(row: Mapping[str, Any]) -> bool:
    """Whether the row has a name of a kind that is not accepted by default, or one of unknown kind (older runs)."""
    return bool(row["dest_name"] or row["dest_host"]) and row["dest_name_by"] not in ACCEPTED_NAMES


def _without_domain(host: str) -> str:
    is_address = ":" in host or host.replace(".", "").isdigit()
    return host if is_address else host.partition(".")[0]
