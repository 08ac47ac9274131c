"""Values and names as SQL spells them: a question is one text, which the JVM parses in one call.

Made of Columns, each literal, list element and operator is a call of its own: 9,300 for the questions of 18 detections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

# What means itself between quotes under every setting. Left out are the quote and the backslash, whose meaning hangs on
# spark.sql.parser.escapedStringLiterals, and the dollar: Spark puts the environment in the place of `${env:NAME}`.
_MEANS_ITSELF = re.compile(r"[ !-#%&(-\[\]-~]*")


def literal(value: str | int | bool | timedelta | None) -> str:
    """The value as SQL; a text that could end its quotes, or mean another thing in them, as its bytes."""
    if value is None:
        return "NULL"
    if isinstance(value, timedelta):
        return f"make_dt_interval(0, 0, 0, {value.total_seconds():f})"
    if isinstance(value, bool | int):
        return str(value).lower()
    if _MEANS_ITSELF.fullmatch(value):
        return f"'{value}'"
    return f"CAST(X'{value.encode().hex()}' AS STRING)"


def column(name: str, of: str = "") -> str:
    """A column by its name, or a field of the struct (or lambda's variable) `of`."""
    quoted = f"`{name.replace('`', '``')}`"
    return f"{of}.{quoted}" if of else quoted


def one_of(side: str, values: Iterable[str | int | bool | None]) -> str:
    """Whether an expression equals one of the values. As one question it reaches the files, and is walked once."""
    told = [literal(v) for v in values]
    return f"{side} IN ({', '.join(told)})" if len(told) > 1 else f"{side} = {told[0]}"


def among(side: str, values: Iterable[str | int | bool | None], most: int = 10_000) -> str:
    """`one_of` as a first, cheap question to a scan: null is a value like others, and true stands for more than `most`
    of them, which would tell few rows apart and make a long text."""
    told = set(values)
    some = sorted((v for v in told if v is not None), key=str)
    if len(some) > most:
        return "true"
    asked = [*([one_of(side, some)] if some else []), *([f"{side} IS NULL"] if None in told else [])]
    return f"({' OR '.join(asked) or 'false'})"
