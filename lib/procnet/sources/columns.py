"""Which clean-up each canonical column gets, and what columns say of one another. Pure Columns; see clean.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.sources import cleaning as clean

Typed = Callable[[Column, T.DataType], Column]
# Columns whose raw value may be typed already; all others are read as text.
TYPED: dict[str, Typed] = {
    **dict.fromkeys(("event_time", "process_start_time"), clean.time),
    **dict.fromkeys(("process_id", "parent_process_id"), clean.process_id),
    **dict.fromkeys(("src_port", "dest_port"), clean.port),
    **dict.fromkeys(("bytes", "bytes_in", "bytes_out"), clean.size),
}
_TEXT: dict[str, Callable[[Column], Column]] = {
    **dict.fromkeys(("process_guid", "parent_process_guid"), clean.guid),
    **dict.fromkeys(("process_name", "parent_process_name"), clean.base_name),
    **dict.fromkeys(("src_ip", "dest_ip"), clean.address),
    **dict.fromkeys(("direction", "action", "app", "protocol_version"), clean.lowered),
    "integrity_level": clean.integrity_level,
    "transport": clean.transport,
    "host": clean.host,
    "dest_host": clean.host,
}
_COMMAND_LINES = ("command_line", "parent_command_line")
# A wrong type in one of these spoils the record: without it no process can be told, or a wrong one.
NUMBERS = ("process_id", "dest_port")
_ADDRESS_LIKE = r"^[0-9.]+$|:"  # no host name has a colon or is all digits and dots


def as_read(column: str, value: Column, kind: T.DataType) -> Column:
    """A raw value as the clean-up takes it: typed where the column has a use for the type, else text."""
    return value if column in TYPED or isinstance(kind, T.StringType) else value.cast("string")


def stripped(column: str, value: Column) -> Column:
    """Text without blanks at its ends, but a command line's: there they are evidence."""
    return value if column in _COMMAND_LINES else clean.stripped(value)


def known(column: str, value: Column) -> Column:
    """Stripped text, null where it is a null word."""
    return clean.command_line(value) if column in _COMMAND_LINES else clean.known(value)


def cleaned(column: str, values: Sequence[tuple[Column, T.DataType]]) -> Column:
    """The canonical value of a column: the first of its known raw values that is usable, else null."""
    return F.coalesce(*(_clean(column, value, kind) for value, kind in values))


def _clean(column: str, value: Column, kind: T.DataType) -> Column:
    if column in TYPED:
        return TYPED[column](value, kind)
    return _TEXT[column](value) if column in _TEXT else value


def is_no_number(values: Sequence[tuple[Column, T.DataType]]) -> Column:
    """Whether one of the raw values is known text that spells no number."""
    wrong = F.lit(False)
    for text in [v for v, kind in values if isinstance(kind, T.StringType)]:
        wrong = wrong | F.coalesce(~clean.is_whole(text), F.lit(False))
    return wrong


def completed(
    columns: Mapping[str, Column], by: Callable[[Column, Callable[[Column], Column]], Column] = lambda c, step: step(c)
) -> dict[str, Column]:
    """Columns with what follows from others: a name from its path, the protocol's version from the address.

    `by` says how a step that names its argument several times is put on a column.
    """
    done = dict(columns)
    for name, path in (("process_name", "process_path"), ("parent_process_name", "parent_process_path")):
        done[name] = F.coalesce(columns[name], by(columns[path], clean.base_name))
    # The CIM's `dest` is an address or a name; an address is no name.
    done["dest_host"] = by(columns["dest_host"], lambda c: F.when(~c.rlike(_ADDRESS_LIKE), c))
    done["protocol_version"] = F.coalesce(columns["protocol_version"], by(columns["dest_ip"], _version))
    return done


def _version(address: Column) -> Column:
    return F.when(address.contains(":"), "ipv6").when(address.isNotNull(), "ipv4")
