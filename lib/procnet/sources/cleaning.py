"""Cleaning functions for raw values, shared by all sources: pure Column functions, idempotent, without errors.

Text goes through `stripped` and `known` first. The other functions take that text (or, with `kind`, a value that has a
type already) and return the canonical value of contract.py, or null for a value that they cannot read. Spark 4 runs in
ANSI mode, in which a plain cast fails the whole job on one bad row, so every cast of text here is a `try_cast`.

Each function refers to its argument several times. Give each step a column of its own, as normalize.py does: Spark
inlines a nested argument at every reference, and with five nested steps the plan takes longer than the data.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from procnet.predicates.address import canonical_address
from procnet.vocabulary import (
    ADDRESS_LIKE,
    BLANKS,
    DNS_TYPES,
    INTEGRITY_LABEL,
    INTEGRITY_LEVELS,
    NULL_WORDS,
    PORTS,
    PROCESS_IDS,
    PROTOCOLS,
    RESPONSE_CODES,
)

TEXT = T.StringType()
_LONGEST_NULL_WORD = max(map(len, NULL_WORDS))
_WHOLE_NUMBER = r"^(0[xX][0-9a-fA-F]+|[+-]?[0-9]+)$"
_DATE_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
# Includes `1.591367999305988E9`: Spark's spelling of a JSON number with a fraction that is read as text.
_NUMBER = r"^[0-9]{1,18}(\.[0-9]*)?([eE]\+?[0-9]{1,2})?$"
_DECIMAL = r"^[0-9]{1,12}(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?$"
# The host of a URL, or of `name:port`. No part gives back what it took: `http` of `http://[::1]/` is no host.
_URL_HOST = r"^(?:[a-z][a-z0-9+.-]*+://)?+(?:[^/?#@]*+@)?+([^/?#:@\[\]]+)"
# Between addresses, also of an array as text. Not a blank: `type:  5 web.example` is one element, and no address.
_BETWEEN_ADDRESSES = r"[;,\"'\[\]{}\r\n]+"
_FILETIME_1970 = 116_444_736_000_000_000  # 1970 as FILETIME: units of 100 ns since 1601
# In microseconds. Spark can write later years, but Python and Delta's readers fail on them.
_YEAR_10000 = 253_402_300_800_000_000


def stripped(c: Column) -> Column:
    """Returns text without blanks (space, tab, line break) at its ends."""
    # Spark's trim with given characters costs a microsecond a value, a quarter of an ingest, and few values need it.
    # Text that begins with a blank sorts before "!", the character after the last blank: one byte is compared.
    has_blank = reduce(or_, map(c.endswith, BLANKS), c < "!")
    return F.when(has_blank, F.trim(c, F.lit(BLANKS))).otherwise(c)


def known(c: Column) -> Column:
    """Returns stripped text, null if it is one of vocabulary.NULL_WORDS."""
    return F.when(~_is_null_word(c), c)


def command_line(c: Column) -> Column:
    """Returns a command line unchanged, null if it is a null word. Its blanks are evidence and stay."""
    return F.when(~((F.octet_length(c) <= 4 * _LONGEST_NULL_WORD) & _is_null_word(F.trim(c, F.lit(BLANKS)))), c)


def lowered(c: Column) -> Column:
    """Returns text in lower case."""
    return F.lower(c)


def host(c: Column) -> Column:
    """Returns a host name in lower case, without the dot of the DNS root at its end (docs/semantics.md, R2)."""
    return F.lower(F.when(c.endswith("."), known(F.rtrim(c, F.lit(BLANKS + ".")))).otherwise(c))


def guid(c: Column) -> Column:
    """Returns a unique process key in upper case without braces; null for 0 and the zero guid.

    Sysmon writes the zero guid for a process that it does not know.
    """
    bare = F.when(c.startswith("{") | c.endswith("}"), known(F.trim(c, F.lit(BLANKS + "{}")))).otherwise(c)
    return F.when(~c.rlike(r"^[-0{} \t\r\n]*\z"), _upper(bare))


def base_name(c: Column) -> Column:
    """Returns the file name of a Windows, device or unix path in lower case.

    `\\device\\harddiskvolume2\\a\\B.exe` -> `b.exe`.
    """
    last = F.substring_index(F.substring_index(c, "\\", -1), "/", -1)
    return F.lower(known(F.trim(last, F.lit(BLANKS))))


def whole(c: Column, kind: T.DataType = TEXT) -> Column:
    """Returns a whole number as BIGINT, from decimal text, hexadecimal text with 0x, or a number.

    Null for other text and for numbers beyond 64 bits.
    """
    if not isinstance(kind, T.StringType):
        return c.try_cast("bigint")
    # conv() raises on overflow in ANSI mode, so only numbers of at most 60 bits reach it.
    digits = F.ltrim(F.substring(c, 3, 64), F.lit("0"))
    hexadecimal = F.when(F.length(digits) <= 15, F.conv(F.concat(F.lit("0"), digits), 16, 10).try_cast("bigint"))
    plain = c.try_cast("bigint")
    return F.when(c.rlike(_WHOLE_NUMBER), F.when(F.lower(c).startswith("0x"), hexadecimal).otherwise(plain))


def process_id(c: Column, kind: T.DataType = TEXT) -> Column:
    """Returns a process id, 1 .. 2^32-1 (Windows DWORD).

    Null for 0, which is the idle process and what sensors write for an unknown one.
    """
    return _between(whole(c, kind), *PROCESS_IDS)


def port(c: Column, kind: T.DataType = TEXT) -> Column:
    """Returns a port, 0 .. 65535, as INT."""
    return _between(whole(c, kind), *PORTS).cast("int")


def size(c: Column, kind: T.DataType = TEXT) -> Column:
    """Returns a count of bytes, 0 or more."""
    return _between(whole(c, kind), 0, 2**63 - 1)


def is_whole(c: Column) -> Column:
    """Returns whether text spells a whole number of any size.

    That separates a number out of range, which becomes null, from a value of the wrong type, which is an error.
    """
    return c.rlike(_WHOLE_NUMBER)


def transport(c: Column) -> Column:
    """Returns a transport protocol in lower case; IANA numbers become names, unknown numbers stay."""
    return _renamed(F.lower(c), PROTOCOLS)


def integrity_level(c: Column) -> Column:
    """Returns low, medium, high or system, from that word or from the SID or name of a mandatory label."""
    # Splunk's XML has the label's name: `Mandatory Label\High Mandatory Level`.
    word = F.regexp_extract(F.lower(c), INTEGRITY_LABEL, 1)
    return _renamed(F.when(word != "", known(word)).otherwise(F.lower(c)), INTEGRITY_LEVELS)


def address(c: Column) -> Column:
    """Returns an IP address in its canonical spelling; null for other text."""
    return canonical_address(c)


def addresses(c: Column) -> Column:
    """Returns the distinct addresses in a list, in their order and canonical spelling; null if there is none.

    The list is an array, its JSON, or text with `;` or `,` between its elements. Elements that are no addresses are
    left out, such as the CNAME in Sysmon's `type:  5 web.example;::ffff:192.0.2.7;`. An array of objects, or its JSON,
    gives the addresses among their values.
    """
    found = F.array_distinct(F.filter(F.transform(F.split(c, _BETWEEN_ADDRESSES), address), lambda a: a.isNotNull()))
    return F.get(F.filter(F.array(found), lambda a: F.size(a) > 0), F.lit(0))


def dns_name(c: Column) -> Column:
    """Returns the name that was asked for in lower case, without the dot of the root; null for an address.

    The name may be part of a URL, or followed by a port. A name in Unicode stays so: Windows writes names as they were
    asked, and programs ask for `xn--`.
    """
    # Arrays of one element, in which each step is computed once.
    part = F.trim(F.regexp_extract(F.lower(c), _URL_HOST, 1), F.lit(BLANKS))
    names = F.transform(F.array(part), lambda p: host(known(p)))
    return F.get(F.filter(names, lambda n: ~n.rlike(ADDRESS_LIKE)), F.lit(0))


def query_type(c: Column) -> Column:
    """Returns the type of a DNS query in upper case, from its name or its number."""
    return _renamed(_upper(c), DNS_TYPES)


def response_code(c: Column) -> Column:
    """Returns the response code of a DNS answer in upper case, from its name, its number or a Windows error."""
    return _renamed(_upper(c), RESPONSE_CODES)


def seconds(c: Column, kind: T.DataType = TEXT) -> Column:
    """Returns a length of time in seconds as DOUBLE, 0 or more, from a number or its text."""
    number = c.try_cast("double")
    return _between(F.when(c.rlike(_DECIMAL), number) if isinstance(kind, T.StringType) else number, 0, 10**12)


def time(c: Column, kind: T.DataType = TEXT) -> Column:
    """Returns a time as TIMESTAMP, from a timestamp, ISO 8601 text or a number. Text without a zone is UTC.

    The unit of a number follows from its size: seconds below 1e11 (year 5138), milliseconds below 1e14, microseconds
    below 1e17, above that FILETIME (100 ns since 1601; 1.3e17 is 2018). Text and numbers outside 1970 to 9999 are null;
    a timestamp stays as it is, so that predicates on it reach the files.
    """
    if isinstance(kind, T.TimestampType):
        return c
    if isinstance(kind, T.NumericType):
        return _epoch(c.try_cast("decimal(38,6)"))
    if not isinstance(kind, T.StringType):
        return time(c.cast("string"))
    # The pattern is needed: a cast reads `12:30` as a time of today, and a bare year as its first of January.
    zoned = F.when(c.rlike(_DATE_TIME + r"(\.[0-9]*)?$"), F.concat(c, F.lit("Z"))).otherwise(c)
    # An array with one element, because Spark would otherwise parse the text again for each bound.
    at = F.get(F.filter(F.array(zoned.try_cast("timestamp")), lambda t: _is_plausible(F.unix_micros(t))), F.lit(0))
    return F.when(c.rlike(_DATE_TIME), at).when(c.rlike(_NUMBER), _epoch(c.try_cast("decimal(38,6)")))


def _epoch(n: Column) -> Column:
    micros = (
        F.when(n <= 0, F.lit(None))  # or the product of a great one is no decimal, which fails the whole job
        .when(n < 10**11, n * 10**6)
        .when(n < 10**14, n * 10**3)
        .when(n < 10**17, n)
        .when(n < 10**18, (n - _FILETIME_1970) / 10)
    ).try_cast("bigint")
    return F.when(_is_plausible(micros), F.timestamp_micros(micros))


def _is_plausible(micros: Column) -> Column:
    # Exporters write 0 for "no time", and no telemetry is older than 1970.
    return (micros > 0) & (micros < _YEAR_10000)


def _is_null_word(text: Column) -> Column:
    # The length is compared first, because most values are too long to be a null word and need no lower case then.
    # Characters are counted and not bytes: the kelvin sign has three bytes, and its lower case is k.
    return (F.length(text) <= _LONGEST_NULL_WORD) & F.lower(text).isin(*NULL_WORDS)


def _upper(c: Column) -> Column:
    """Returns text in upper case, null if that is a null word: a sharp s becomes two letters."""
    # The trim separates two case changes: Spark's optimizer makes `lower(upper(x))` `lower(x)`, wrong for a sharp s.
    return known(F.trim(F.upper(c)))


def _between(c: Column, low: int, high: int) -> Column:
    return F.when(c.between(low, high), c)


def _renamed(c: Column, names: dict[str, str]) -> Column:
    pairs = [F.lit(x) for pair in names.items() for x in pair]
    return F.coalesce(F.element_at(F.create_map(*pairs), c), c)
