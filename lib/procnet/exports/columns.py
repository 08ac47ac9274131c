"""Columns that the exports share: structs and arrays without empty parts, parsed hashes and accounts, times, JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_HASH = r"^\s*(?:([A-Za-z0-9-]+)\s*=)?\s*([0-9A-Fa-f]+)\s*$"
_ALGORITHM_BY_LENGTH = {32: "MD5", 40: "SHA1", 64: "SHA256", 128: "SHA512"}  # digits of a hash without a prefix
_ACCOUNT = r"(?s)^([^\\]+)\\(.+)$"
_DAY_MICROS = 86_400_000_000


def json_lines(events: DataFrame) -> DataFrame:
    """One column, `line`: each row as a JSON object without its nulls."""
    # Set here, as a cluster may have another `spark.sql.jsonGenerator.ignoreNullFields`.
    return events.select(F.to_json(F.struct("*"), {"ignoreNullFields": "true"}).alias("line"))


def struct_or_null(parts: Mapping[str, Column], always: Mapping[str, Column] | None = None) -> Column:
    """Struct of `parts` and `always`, null if all of `parts` are.

    to_json leaves out a null, but writes `{}` for a struct of nulls.
    """
    fields = [c.alias(n) for n, c in {**parts, **(always or {})}.items()]
    return F.when(any_not_null(parts.values()), F.struct(*fields))


def any_not_null(columns: Iterable[Column]) -> Column:
    """Whether at least one of the columns is not null."""
    return reduce(or_, [c.isNotNull() for c in columns])


def without_nulls(array: Column) -> Column:
    """The array's elements that are not null."""
    return F.filter(array, lambda v: v.isNotNull())


def array_or_null(array: Column) -> Column:
    """The array, null if it is empty."""
    return F.when(F.size(array) > 0, array)


def typed_null(column: Column) -> Column:
    """Null of the column's type: structs of one array must have one type, also where they lack a part."""
    return F.when(F.lit(False), column)


def mapped(column: Column, names: Mapping[str, int] | Mapping[str, str] | Mapping[int, str]) -> Column:
    """The value that `names` maps the column's value to, null without one."""
    return F.element_at(F.create_map(*[F.lit(x) for pair in names.items() for x in pair]), column)


def parse_hashes(text: Column) -> Column:
    """`SHA1=AB,SHA256=CD` -> array of (algorithm, value), empty without a hash; an unknown algorithm is null."""
    pieces = F.transform(_pieces(text), lambda p: F.struct(_algorithm(p).alias("algorithm"), _digits(p).alias("value")))
    return F.filter(pieces, lambda h: h["value"] != "")


def unplaced_hashes(text: Column, placed: Column) -> Column:
    """The sensor's text of hashes if not every hash in it is in the array `placed`, else null."""
    return F.when(F.size(placed) < F.size(_pieces(text)), text)


def _pieces(text: Column) -> Column:
    return F.split(F.coalesce(text, F.lit("")), ",")


def _digits(piece: Column) -> Column:
    return F.regexp_extract(piece, _HASH, 2)


def _algorithm(piece: Column) -> Column:
    prefix = F.replace(F.upper(F.regexp_extract(piece, _HASH, 1)), F.lit("-"), F.lit(""))
    return F.coalesce(F.nullif(prefix, F.lit("")), mapped(F.length(_digits(piece)), _ALGORITHM_BY_LENGTH))


def destination_name() -> Column:
    """`dest_name` of a finding; `dest_host` where there is none, as in findings of runs that did not work names out."""
    return F.coalesce("dest_name", "dest_host")


def account_domain(user: Column) -> Column:
    """`CORP` of `CORP\\ann`; null without a domain."""
    return F.nullif(F.regexp_extract(user, _ACCOUNT, 1), F.lit(""))


def account_name(user: Column) -> Column:
    """`ann` of `CORP\\ann`; the whole text if it has no domain."""
    return F.coalesce(F.nullif(F.regexp_extract(user, _ACCOUNT, 2), F.lit("")), user)


def file_name(path: Column) -> Column:
    """The part of the path behind the last slash or backslash, in its own case."""
    return F.nullif(F.regexp_extract(path, r"(?s)([^\\/]+)$", 1), F.lit(""))


def iso_time(time: Column) -> Column:
    """`2026-03-01T10:00:21.000000Z`: always UTC, while date_format and casts follow the session's time zone. Null for
    times of the first day that a timestamp has."""
    micros = F.unix_micros(time)
    of_day = F.pmod(micros, F.lit(_DAY_MICROS))
    day = F.date_from_unix_date((F.try_subtract(micros, of_day) / _DAY_MICROS).cast("int")).cast("string")
    hour, minute, second = [
        F.floor(of_day / n).cast("int") % m for n, m in ((3_600_000_000, 24), (60_000_000, 60), (10**6, 60))
    ]
    text = F.format_string("%sT%02d:%02d:%02d.%06dZ", day, hour, minute, second, of_day % 10**6)
    return F.when(day.isNotNull(), text)
