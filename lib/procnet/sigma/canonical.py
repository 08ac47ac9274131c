"""Translates a value of a Sigma rule to the value of a canonical column, as sources/cleaning.py cleans it in records.

A rule is written for the values of the record. Where the canonical column holds another value (`gre` for 47, and null
for a null word), the rule must compare with that one. A value that the column never holds raises ValueError.
tests/sigma/test_canonical_values.py compares both modules on all words of vocabulary.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from procnet import vocabulary
from procnet.vocabulary import BLANKS, INTEGRITY_LEVELS, NULL_WORDS, PORTS, PROCESS_IDS, PROTOCOLS

# Columns that hold one of two words, for a field that is true or false.
FLAGS: Mapping[str, Mapping[str, str]] = {
    "direction": {"true": "outbound", "false": "inbound"},
    "protocol_version": {"true": "ipv6", "false": "ipv4"},
}
# Number columns, with their lowest and highest value.
NUMBERS = {"process_id": PROCESS_IDS, "parent_process_id": PROCESS_IDS, "src_port": PORTS, "dest_port": PORTS}
HOSTS = ("host", "dest_name")
_LABELS = {name: level for level in INTEGRITY_LEVELS.values() for name in (level, f"{level} plus")}
# Values of records, in lower case, for which a column holds others.
REPLACED: Mapping[str, Mapping[str, str]] = {
    "transport": PROTOCOLS,
    "integrity_level": {
        **INTEGRITY_LEVELS,
        **{rf"mandatory label\{name} mandatory level": level for name, level in _LABELS.items()},
    },
}


def canonical_number(column: str, value: object) -> int | None:
    """The value that a number column holds; None for a null word and for process id 0, which are null there."""
    if isinstance(value, str) and is_null_word(value.strip(BLANKS)):
        return None
    number = whole_number(value)
    lowest, highest = NUMBERS[column]
    if number == 0 < lowest:
        return None
    if not lowest <= number <= highest:
        raise ValueError(f"{value!r}: {column} lies between {lowest} and {highest}")
    return number


def whole_number(value: object) -> int:
    """The number that a rule writes as such or as text, decimal or hexadecimal (`0x1f4`)."""
    text = str(value).strip(BLANKS)
    if not isinstance(value, bool | float) and re.fullmatch(r"0[xX][0-9a-fA-F]+|[+-]?[0-9]+", text):
        return int(text, 16 if text[:2] in ("0x", "0X") else 10)
    raise ValueError(f"expected a whole number, found {value!r}")


def canonical_text(column: str, text: str) -> str | None:
    """The value that a text column holds for a text of the record; None where it is null."""
    stripped = text.strip(BLANKS)
    if is_null_word(stripped):
        return None
    if column in vocabulary.COMMAND_LINE_COLUMNS:
        return text
    if column in FLAGS:
        return _flag(column, stripped)
    if column in vocabulary.ADDRESS_COLUMNS:
        return _address(stripped)
    if column in HOSTS:
        return _host(column, stripped)
    if column not in vocabulary.LOWER_CASE_COLUMNS:
        return stripped
    lower = stripped.lower()
    label = re.fullmatch(vocabulary.INTEGRITY_LABEL, lower, re.ASCII) if column == "integrity_level" else None
    if label is not None:
        return None if is_null_word(label[1]) else label[1]
    return REPLACED.get(column, {}).get(lower, lower)


def is_null_word(text: str) -> bool:
    """Whether sensors write the text for an unknown value."""
    return text.lower() in NULL_WORDS


def is_address(text: str) -> bool:
    """Whether the text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def no_address_error(column: str, text: str) -> ValueError:
    """The error for an address where the column holds names only."""
    return ValueError(f"{text!r}: {column} holds no addresses, only names; test DestinationIp")


def _flag(column: str, text: str) -> str:
    if (word := FLAGS[column].get(text.lower())) is None:
        raise ValueError(f"{text!r}: this field is true or false")
    return word


def _address(text: str) -> str:
    try:
        # The column holds no zone ids.
        address = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        raise ValueError(f"{text!r} is no address") from None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _host(column: str, text: str) -> str | None:
    name = text.rstrip(BLANKS + ".").lower() if text.endswith(".") else text.lower()
    if column == "dest_name" and re.search(vocabulary.ADDRESS_LIKE, name):
        raise no_address_error(column, text)
    return None if is_null_word(name) else name
