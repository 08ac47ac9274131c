"""Clean-up of raw values, shared by all sources: pure Column functions that never fail and change nothing twice.

Text goes through `stripped`, then `known`; what is left is what the other functions take. Each refers to its argument
several times: give each step a column of its own (as load.py does), since Spark would write a nested argument out at
every place, and five nested ones make a plan that takes longer than the data does.

The others take such text (or, where `kind` is given, a value that is typed already) and give the canonical value of
contract.py, or null where it cannot be read. Spark 4 runs in ANSI mode, in which a plain cast fails the whole job on
one bad row: every cast of text here is a `try_cast`.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.predicates.address import canonical_address
from procnet.vocabulary import INTEGRITY_LEVELS, NULL_WORDS, PROTOCOLS

TEXT = T.StringType()
_LONGEST = max(map(len, NULL_WORDS))
_BLANK = " \t\r\n"
_WHOLE = r"^(0[xX][0-9a-fA-F]+|[+-]?[0-9]+)$"
_CIVIL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
# Also `1.591367999305988E9`, as Spark spells a JSON number with a fraction that it reads as text.
_DIGITS = r"^[0-9]{1,18}(\.[0-9]*)?([eE]\+?[0-9]{1,2})?$"
_FILETIME_1970 = 116_444_736_000_000_000  # 1970 on the FILETIME clock: units of 100 ns since 1601
_YEAR_10000 = 253_402_300_800_000_000  # in microseconds; Spark writes later years, Python and Delta's readers fail


def stripped(c: Column) -> Column:
    """Text without blanks at its ends."""
    # Spark's trim with characters of one's own costs a microsecond a value, a quarter of an ingest, and few values need
    # it. What begins with a blank sorts before "!", the character after the last of them: one byte is compared.
    blank = reduce(or_, map(c.endswith, _BLANK), c < "!")
    return F.when(blank, F.trim(c, F.lit(_BLANK))).otherwise(c)


def known(c: Column) -> Column:
    """Stripped text, null where it is a null word."""
    return F.when(~_is_null_word(c), c)


def command_line(c: Column) -> Column:
    """A command line as it is, null where it is a null word. Its blanks are evidence and stay."""
    return F.when(~((F.octet_length(c) <= 4 * _LONGEST) & _is_null_word(F.trim(c, F.lit(_BLANK)))), c)


def lowered(c: Column) -> Column:
    """Text in lower case."""
    return F.lower(c)


def host(c: Column) -> Column:
    """A host's name: lower case, the root's dot cut (2-semantics, Host equality)."""
    return F.lower(F.when(c.endswith("."), known(F.rtrim(c, F.lit(_BLANK + ".")))).otherwise(c))


def guid(c: Column) -> Column:
    """A unique key: braces off, upper case. The zero guid (Sysmon's for a process it does not know) and 0 -> null."""
    bare = F.when(c.startswith("{") | c.endswith("}"), known(F.trim(c, F.lit(_BLANK + "{}")))).otherwise(c)
    # The trim stands between two cases: to Spark `lower(upper(x))` is `lower(x)`, which is not so for a sharp s.
    return F.when(~c.rlike(r"^[-0{} \t\r\n]*\z"), known(F.trim(F.upper(bare))))


def base_name(c: Column) -> Column:
    """Last part of a Windows, device or unix path, lower case: `\\device\\harddiskvolume2\\a\\B.exe` -> `b.exe`."""
    last = F.substring_index(F.substring_index(c, "\\", -1), "/", -1)
    return F.lower(known(F.trim(last, F.lit(_BLANK))))


def whole(c: Column, kind: T.DataType = TEXT) -> Column:
    """A whole number as BIGINT: decimal or 0x hex text, or a number. What is none, or beyond 64 bits, -> null."""
    if not isinstance(kind, T.StringType):
        return c.try_cast("bigint")
    # conv() raises on overflow in ANSI mode, so only what fits 63 bits may reach it.
    digits = F.ltrim(F.substring(c, 3, 64), F.lit("0"))
    hexadecimal = F.when(F.length(digits) <= 15, F.conv(F.concat(F.lit("0"), digits), 16, 10).try_cast("bigint"))
    plain = c.try_cast("bigint")
    return F.when(c.rlike(_WHOLE), F.when(F.lower(c).startswith("0x"), hexadecimal).otherwise(plain))


def process_id(c: Column, kind: T.DataType = TEXT) -> Column:
    """A process id, 1 .. 2^32-1 (Windows DWORD). 0 is the idle process and what sensors write for unknown: null."""
    return _between(whole(c, kind), 1, 2**32 - 1)


def port(c: Column, kind: T.DataType = TEXT) -> Column:
    """A port, 0 .. 65535, as INT."""
    return _between(whole(c, kind), 0, 65535).cast("int")


def size(c: Column, kind: T.DataType = TEXT) -> Column:
    """A count of bytes, not negative."""
    return _between(whole(c, kind), 0, 2**63 - 1)


def is_whole(c: Column) -> Column:
    """Whether text spells a whole number at all; tells an unusable number from a value of the wrong type."""
    return c.rlike(_WHOLE)


def transport(c: Column) -> Column:
    """Transport protocol, lower case; IANA numbers become names, other numbers stay."""
    return _renamed(F.lower(c), PROTOCOLS)


def integrity_level(c: Column) -> Column:
    """low, medium, high or system, from the word or from the mandatory label's SID or name."""
    # Splunk's XML has the label by its name: `Mandatory Label\High Mandatory Level`.
    word = F.regexp_extract(F.lower(c), r"^mandatory label\\(\w+)( plus)? mandatory level$", 1)
    return _renamed(F.when(word != "", known(word)).otherwise(F.lower(c)), INTEGRITY_LEVELS)


def address(c: Column) -> Column:
    """An IP address in its canonical spelling, else null."""
    return canonical_address(c)


def time(c: Column, kind: T.DataType = TEXT) -> Column:
    """A time as TIMESTAMP. Timestamps stay; text is ISO 8601 (no zone: UTC, whatever the session's zone) or a number.

    A number's size says its unit, since the clocks are decades of magnitude apart: seconds below 1e11 (year 5138),
    milliseconds below 1e14, microseconds below 1e17, above that FILETIME (100 ns since 1601; 1.3e17 is 2018).
    """
    if isinstance(kind, T.TimestampType):
        return c
    if isinstance(kind, T.TimestampNTZType):
        return time(c.cast("string"))
    if not isinstance(kind, T.StringType):
        return _epoch(c.try_cast("decimal(38,6)"))
    # The guard matters: a bare cast reads `12:30` as a time of today, and a year alone as its first of January.
    zoned = F.when(c.rlike(_CIVIL + r"(\.[0-9]*)?$"), F.concat(c, F.lit("Z"))).otherwise(c)
    # Named once and asked about as a list's element, since Spark would read the text again for each bound.
    at = F.get(F.filter(F.array(zoned.try_cast("timestamp")), lambda t: _is_telling(F.unix_micros(t))), F.lit(0))
    return F.when(c.rlike(_CIVIL), at).when(c.rlike(_DIGITS), _epoch(c.try_cast("decimal(38,6)")))


def _epoch(n: Column) -> Column:
    micros = (
        F.when(n < 10**11, n * 10**6)
        .when(n < 10**14, n * 10**3)
        .when(n < 10**17, n)
        .when(n < 10**18, (n - _FILETIME_1970) / 10)
    ).try_cast("bigint")
    return F.when(_is_telling(micros), F.timestamp_micros(micros))


def _is_telling(micros: Column) -> Column:
    # 0 is what exporters write for "no time", and no telemetry is older than 1970.
    return (micros > 0) & (micros < _YEAR_10000)


def _is_null_word(text: Column) -> Column:
    # The length is asked first: most values are too long to be one, and are not put in lower case for it.
    # In letters, not bytes: the sign of the kelvin has three bytes, and its small form is k.
    return (F.length(text) <= _LONGEST) & F.lower(text).isin(*NULL_WORDS)


def _between(c: Column, low: int, high: int) -> Column:
    return F.when(c.between(low, high), c)


def _renamed(c: Column, names: dict[str, str]) -> Column:
    pairs = [F.lit(x) for pair in names.items() for x in pair]
    return F.coalesce(F.element_at(F.create_map(*pairs), c), c)
