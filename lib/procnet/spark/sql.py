"""Values and names as SQL text. All quoting of SQL is done here.

Conditions are built as SQL text, not as Columns: the JVM parses a text in one call, while every literal, list element
and operator of a Column is a call of its own (measured: 9,300 calls for the conditions of 18 detections).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

# Characters that stand for themselves between quotes under every setting. Left out are the quote and the backslash,
# whose meaning depends on spark.sql.parser.escapedStringLiterals, and the dollar: Spark substitutes `${env:NAME}`.
_PLAIN = re.compile(r"[ !-#%&(-\[\]-~]*")


def literal(value: str | int | bool | date | timedelta | None) -> str:
    """The value as an SQL expression.

    A string with a character that could end its quotes, or change its meaning between them, is written as its bytes.
    """
    if value is None:
        return "NULL"
    if isinstance(value, timedelta):
        return f"make_dt_interval(0, 0, 0, {value.total_seconds():f})"
    if isinstance(value, date):
        return f"DATE'{value.isoformat()}'"
    if isinstance(value, bool | int):
        return str(value).lower()
    if _PLAIN.fullmatch(value):
        return f"'{value}'"
    return f"CAST(X'{value.encode().hex()}' AS STRING)"


def string_constant(text: str) -> str:
    r"""The text between quotes, for the places of DDL that take no expression: comments and table properties.

    `literal` cannot be used there: the parser refuses its CAST. Quotes and backslashes are escaped by a backslash. It
    would stay in the text under spark.sql.parser.escapedStringLiterals, so property names and values have neither.
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def table_properties(properties: Mapping[str, str]) -> str:
    """`'key' = 'value', ...`, as TBLPROPERTIES takes them."""
    return ", ".join(f"{string_constant(k)} = {string_constant(v)}" for k, v in properties.items())


def column(name: str, of: str = "") -> str:
    """A column by its name, or a field of the struct (or lambda variable) `of`."""
    quoted = f"`{name.replace('`', '``')}`"
    return f"{of}.{quoted}" if of else quoted


def table_reference(place: str) -> str:
    """A table by its folder or its catalog name: `` delta.`/lake/name` `` or `` `catalog`.`schema`.`name` ``."""
    if "/" in place:
        return column(place, of="delta")
    return ".".join(column(part) for part in place.replace("`", "").split("."))


def one_of(side: str, values: Iterable[str | int | bool | None]) -> str:
    """Whether the expression `side` equals one of the values; null where it is null.

    One IN is pushed down to the files as one filter, and Spark's rules visit it once.
    """
    literals = [literal(v) for v in values]
    return f"{side} IN ({', '.join(literals)})" if len(literals) > 1 else f"{side} = {literals[0]}"


def among(side: str, values: Iterable[str | int | bool | None], most: int = 10_000) -> str:
    """`one_of` as a cheap filter of a scan, in which null is a value like others.

    Above `most` values it is `true`: so many would leave out few rows and make a long text.
    """
    distinct = set(values)
    known = sorted((v for v in distinct if v is not None), key=str)
    if len(known) > most:
        return "true"
    conditions = [*([one_of(side, known)] if known else []), *([f"{side} IS NULL"] if None in distinct else [])]
    return f"({' OR '.join(conditions) or 'false'})"
