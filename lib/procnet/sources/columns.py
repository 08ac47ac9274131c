"""Assigns each canonical column its cleaning function, and derives columns from others. Pure Column functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.sources import cleaning
from procnet.vocabulary import (
    ADDRESS_COLUMNS,
    ADDRESS_LIKE,
    BASE_NAMES,
    COMMAND_LINE_COLUMNS,
    LOWER_CASE_COLUMNS,
    NAME_COLUMNS,
)

Step = Callable[[Column], Column]
# Columns whose raw value may have a type already; all others are read as text.
TYPED: dict[str, Callable[[Column, T.DataType], Column]] = {
    **dict.fromkeys(("event_time", "process_start_time"), cleaning.time),
    **dict.fromkeys(("process_id", "parent_process_id"), cleaning.process_id),
    **dict.fromkeys(("src_port", "dest_port"), cleaning.port),
    **dict.fromkeys(("bytes", "bytes_in", "bytes_out"), cleaning.size),
    "duration": cleaning.seconds,
}
_TEXT: dict[str, Step] = {
    **dict.fromkeys(LOWER_CASE_COLUMNS, cleaning.lowered),  # the functions below return lower case too
    **dict.fromkeys(("process_guid", "parent_process_guid"), cleaning.guid),
    **dict.fromkeys(BASE_NAMES.values(), cleaning.base_name),
    **dict.fromkeys(ADDRESS_COLUMNS, cleaning.address),
    **dict.fromkeys(NAME_COLUMNS, cleaning.dns_name),
    "answers": cleaning.addresses,
    "query_type": cleaning.query_type,
    "response_code": cleaning.response_code,
    "integrity_level": cleaning.integrity_level,
    "transport": cleaning.transport,
    "host": cleaning.host,
    "dest_host": cleaning.host,
}
# Text that is no number in one of these makes a record unusable: its process would be unknown, or a wrong one.
NUMBERS = ("process_id", "dest_port")


def as_read(column: str, value: Column, kind: T.DataType) -> Column:
    """Returns a raw value as its cleaning function takes it: with its type for a column of TYPED, else as text."""
    return value if column in TYPED or isinstance(kind, T.StringType) else value.cast("string")


def stripped(column: str, value: Column) -> Column:
    """Returns text without blanks at its ends; command lines are unchanged, because their blanks are evidence."""
    return value if column in COMMAND_LINE_COLUMNS else cleaning.stripped(value)


def known(column: str, value: Column) -> Column:
    """Returns stripped text, null if it is a null word."""
    return cleaning.command_line(value) if column in COMMAND_LINE_COLUMNS else cleaning.known(value)


def cleaned(column: str, values: Sequence[tuple[Column, T.DataType]]) -> Column:
    """Returns the canonical value of a column: the first of its known raw values that can be read, else null."""
    return F.coalesce(*(_cleaned_value(column, value, kind) for value, kind in values))


def _cleaned_value(column: str, value: Column, kind: T.DataType) -> Column:
    if column in TYPED:
        return TYPED[column](value, kind)
    return _TEXT[column](value) if column in _TEXT else value


def is_no_number(values: Sequence[tuple[Column, T.DataType]]) -> Column:
    """Returns whether one of the known raw values is text that spells no number."""
    wrong = F.lit(False)
    for text in [v for v, kind in values if isinstance(kind, T.StringType)]:
        wrong = wrong | F.coalesce(~cleaning.is_whole(text), F.lit(False))
    return wrong


def with_derived(
    columns: Mapping[str, Column], apply: Callable[[Column, Step], Column] = lambda c, step: step(c)
) -> dict[str, Column]:
    """Returns the columns with process names from paths, the protocol version, and `dest_host` without addresses.

    `apply(column, step)` applies a step that refers to its argument several times.
    """
    derived = dict(columns)
    for path, name in BASE_NAMES.items():
        derived[name] = F.coalesce(columns[name], apply(columns[path], cleaning.base_name))
    # The CIM's `dest` is an address or a name; an address is not a host name.
    derived["dest_host"] = apply(columns["dest_host"], lambda c: F.when(~c.rlike(ADDRESS_LIKE), c))
    derived["protocol_version"] = F.coalesce(columns["protocol_version"], apply(columns["dest_ip"], _ip_version))
    return derived


def _ip_version(address: Column) -> Column:
    return F.when(address.contains(":"), "ipv6").when(address.isNotNull(), "ipv4")
