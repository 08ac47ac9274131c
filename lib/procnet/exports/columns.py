"""What the renderings share: structures without empty parts, hashes and accounts in pieces, times, JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_HASH = r"^\s*(?:([A-Za-z0-9-]+)\s*=)?\s*([0-9A-Fa-f]+)\s*$"
_BARE = {32: "MD5", 40: "SHA1", 64: "SHA256", 128: "SHA512"}  # digits of a hash that does not say what it is
_ACCOUNT = r"(?s)^([^\\]+)\\(.+)$"
_DAY = 86_400_000_000


def json_lines(rendered: DataFrame) -> DataFrame:
    """One column, `line`: each row as a JSON object, without what is null."""
    # Said here, since a cluster's own `spark.sql.jsonGenerator.ignoreNullFields` may say otherwise.
    return rendered.select(F.to_json(F.struct("*"), {"ignoreNullFields": "true"}).alias("line"))


def some(known: Mapping[str, Column], always: Mapping[str, Column] | None = None) -> Column:
    """A struct of both, null where nothing of `known` is: to_json leaves out a null, but writes `{}` for a struct of
    nulls."""
    fields = [c.alias(n) for n, c in {**known, **(always or {})}.items()]
    return F.when(any_of(known.values()), F.struct(*fields))


def any_of(columns: Iterable[Column]) -> Column:
    """Whether at least one is known."""
    return reduce(or_, [c.isNotNull() for c in columns])


def known(array: Column) -> Column:
    """The elements that are not null."""
    return F.filter(array, lambda v: v.isNotNull())


def filled(array: Column) -> Column:
    """The array, null where it is empty."""
    return F.when(F.size(array) > 0, array)


def null_like(column: Column) -> Column:
    """A null of the column's type, so that structures that lack a part still are of one type."""
    return F.when(F.lit(False), column)


def looked_up(column: Column, names: Mapping[str, int] | Mapping[str, str] | Mapping[int, str]) -> Column:
    """What stands under the value, null where nothing does."""
    return F.element_at(F.create_map(*[F.lit(x) for pair in names.items() for x in pair]), column)


def hashes(text: Column) -> Column:
    """`SHA1=AB,SHA256=CD` -> array of (algorithm, value), empty without one; an unknown algorithm is null."""
    pieces = F.transform(_pieces(text), lambda p: F.struct(_algorithm(p).alias("algorithm"), _digits(p).alias("value")))
    return F.filter(pieces, lambda h: h["value"] != "")


def left_over(text: Column, placed: Column) -> Column:
    """The hashes as the sensor wrote them, where not every piece of them is in the array `placed`."""
    return F.when(F.size(placed) < F.size(_pieces(text)), text)


def _pieces(text: Column) -> Column:
    return F.split(F.coalesce(text, F.lit("")), ",")


def _digits(piece: Column) -> Column:
    return F.regexp_extract(piece, _HASH, 2)


def _algorithm(piece: Column) -> Column:
    said = F.replace(F.upper(F.regexp_extract(piece, _HASH, 1)), F.lit("-"), F.lit(""))
    return F.coalesce(F.nullif(said, F.lit("")), looked_up(F.length(_digits(piece)), _BARE))


def account_domain(user: Column) -> Column:
    """`CORP` of `CORP\\ann`; null where there is none."""
    return F.nullif(F.regexp_extract(user, _ACCOUNT, 1), F.lit(""))


def account_name(user: Column) -> Column:
    """`ann` of `CORP\\ann`; the whole text where it has no domain."""
    return F.coalesce(F.nullif(F.regexp_extract(user, _ACCOUNT, 2), F.lit("")), user)


def file_name(path: Column) -> Column:
    """What stands behind the last slash of either kind, as it is written."""
    return F.nullif(F.regexp_extract(path, r"(?s)([^\\/]+)$", 1), F.lit(""))


def iso(time: Column) -> Column:
    """`2026-03-01T10:00:21.000000Z`: in UTC whatever the session's zone, which date_format and casts would follow."""
    micros = F.unix_micros(time)
    rest = F.pmod(micros, F.lit(_DAY))
    day = F.date_from_unix_date(((micros - rest) / _DAY).cast("int")).cast("string")
    hour, minute, second = [
        F.floor(rest / n).cast("int") % m for n, m in ((3_600_000_000, 24), (60_000_000, 60), (10**6, 60))
    ]
    text = F.format_string("%sT%02d:%02d:%02d.%06dZ", day, hour, minute, second, rest % 10**6)
    return F.when(time.isNotNull(), text)
