"""One `Field|modifier: value` of a Sigma rule -> one of ours, with the same meaning, or a ValueError that says why not.

Sigma's fields are Sysmon's, as its taxonomy has them. A canonical column may be spelled otherwise than the record was
(contract.py), and then so is the value that it is compared with, or the test is refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from procnet.predicates.wildcard import is_plain
from procnet.sigma.values import spellings, with_wildcards

Side = Literal["process", "network"]

# Sigma's field -> the block that may ask for it, and the canonical column.
FIELDS: Mapping[str, tuple[Side, str]] = {
    "Image": ("process", "process_path"),
    "OriginalFileName": ("process", "original_file_name"),
    "CommandLine": ("process", "command_line"),
    "User": ("process", "user"),
    "IntegrityLevel": ("process", "integrity_level"),
    "Hashes": ("process", "process_hash"),
    "ProcessId": ("process", "process_id"),
    "ParentImage": ("process", "parent_process_path"),
    "ParentCommandLine": ("process", "parent_command_line"),
    "ParentProcessId": ("process", "parent_process_id"),
    "Computer": ("network", "host"),
    "SourceIp": ("network", "src_ip"),
    "SourcePort": ("network", "src_port"),
    "DestinationIp": ("network", "dest_ip"),
    "DestinationPort": ("network", "dest_port"),
    "DestinationPortName": ("network", "app"),
    "DestinationHostname": ("network", "dest_host"),
    "DestinationIsIpv6": ("network", "protocol_version"),
    "Protocol": ("network", "transport"),
    "Initiated": ("network", "direction"),
}
NUMBERS = frozenset({"process_id", "parent_process_id", "src_port", "dest_port"})
ADDRESSES = frozenset({"src_ip", "dest_ip"})
# The base name is a column of its own, and the only one by which starts are told before they are read.
NAMES = {"process_path": "process_name", "parent_process_path": "parent_process_name"}
# Columns whose case is lost when a record becomes canonical.
LOWERED = frozenset({"host", "dest_host", "app", "transport", "direction", "integrity_level", "protocol_version"})
# Values that a record has and its canonical column has not: column -> raw value, lower case -> canonical value.
_RENAMED: Mapping[str, Mapping[str, str]] = {
    "direction": {"true": "outbound", "false": "inbound"},
    "protocol_version": {"true": "ipv6", "false": "ipv4"},
    "transport": {"1": "icmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp"},
    "integrity_level": {
        "s-1-16-4096": "low", "s-1-16-8192": "medium", "s-1-16-12288": "high", "s-1-16-16384": "system",
    },
}  # fmt: skip
# Of these two the canonical column has no other values.
_FLAGS = frozenset({"direction", "protocol_version"})
_UNKNOWN = ("", "-", "null", "unknown")  # what sensors write for "not known" is null in canonical columns
_ALIASES = {"ignorecase": "i", "dotall": "s", "multiline": "m", "utf16le": "wide"}
_PLACES = ("contains", "startswith", "endswith")
_TEXT = {*_PLACES, "cased", "windash", "base64", "base64offset", "wide", "utf16", "utf16be"}
_LINKS = {"all", "neq"}
_ORDER = {"gt", "gte", "lt", "lte"}
_NEVER = {
    "expand": "a placeholder stands for values that the rule does not hold",
    **dict.fromkeys(("minute", "hour", "day", "week", "month", "year"), "no column holds a part of a time"),
}


@dataclass(frozen=True)
class Item:
    """One test in our spelling, and the block that may ask it."""

    side: Side
    key: str
    value: Any


def translate(key: str, value: object, notes: list[str]) -> Item:
    """`Image|endswith` and its value, in our spelling. What changed without changing the meaning goes to `notes`."""
    field, *written = str(key).split("|")
    if not field:
        raise ValueError("words without a field: nothing here searches all of a record")
    if field not in FIELDS:
        raise ValueError("no canonical column holds this field")
    side, column = FIELDS[field]
    modifiers = [_ALIASES.get(m, m) for m in written]
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError("an empty list; Sigma does not say what it means")
    for m in modifiers:
        if m in _NEVER:
            raise ValueError(_NEVER[m])
    links = sorted({m for m in modifiers if m in _LINKS})
    asked = [m for m in modifiers if m not in _LINKS]
    column, kept, spelled = _spelled(column, asked, values, links)
    nulls = [v for v, raw in zip(spelled, values, strict=False) if v is None and raw is not None]
    if nulls:
        notes.append(f"{key}: an empty or unknown value is null in canonical columns, and is asked for as that")
    once = list(dict.fromkeys(spelled))
    return Item(side, "|".join([column, *kept, *links]), once if len(once) > 1 else once[0])


def _spelled(column: str, asked: list[str], values: list[Any], links: list[str]) -> tuple[str, list[str], list[Any]]:
    """The column, the modifiers that stay and the values, all in our spelling."""
    kinds = set(asked)
    if kinds == {"exists"}:
        return column, asked, values
    if kinds == {"fieldref"}:
        return column, asked, [_other(column, v) for v in values]
    if kinds == {"cidr"} and column in ADDRESSES:
        return column, asked, values
    if len(asked) == 1 and kinds <= _ORDER and column in NUMBERS:
        return column, asked, [_number(v) for v in values]
    if not asked and column in NUMBERS:
        return column, [], [v if v is None else _number(v) for v in values]
    if column in NUMBERS:
        raise ValueError(f"{', '.join(asked)}: {column} is a number, and is asked for as one")
    if asked[:1] == ["re"] and kinds <= {"re", "i", "m", "s"}:
        return column, *_regex(column, kinds, values)
    if not kinds <= _TEXT or len(kinds & set(_PLACES)) > 1:
        raise ValueError(f"{', '.join(asked)}: these modifiers have no meaning here for {column}")
    if column in LOWERED and "cased" in kinds:
        raise ValueError(f"cased: {column} is stored in lower case, its case is lost")
    return _text(column, asked, values, links)


def _text(column: str, asked: list[str], values: list[Any], links: list[str]) -> tuple[str, list[str], list[Any]]:
    place = next((m for m in asked if m in _PLACES), None)
    cased = ["cased"] if "cased" in asked else []
    spelled: list[Any] = []
    several = False
    kept: list[str] = []
    texts = [_as_text(column, v, asked) for v in values]
    # Ours reads the first option alone; where a value has one dash and no more, the two are the same.
    if "windash" in asked and not any("64" in m for m in asked) and all(t is None or _one_dash(t) for t in texts):
        asked, kept = [m for m in asked if m != "windash"], ["windash"]
    for text in texts:
        ways = [None] if text is None else spellings(text, asked)
        several = several or len(ways) > 1
        spelled += [_canonical(column, w, place) if w is not None else None for w in ways]
    if several and "all" in links and len(values) > 1:
        raise ValueError("all: each value has several spellings, and a list cannot ask for one of each")
    if place in ("contains", "startswith") and any(v and v.endswith("\\") and not is_plain(v) for v in spelled):
        # The wildcard that the modifier adds would be taken for an escaped one.
        place, spelled = None, [with_wildcards(v, str(place)) for v in spelled]
    if place == "endswith" and not cased and "all" not in links and column in NAMES and all(map(_is_name, spelled)):
        return NAMES[column], kept, [v[1:].lower() for v in spelled]
    return column, [*cased, *kept, *([place] if place else [])], spelled


def _as_text(column: str, value: Any, asked: Sequence[str]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    # To YAML `no` is false and 5 a number; only where it can be nothing else is it taken for a text.
    if isinstance(value, bool) and column in _FLAGS:
        return str(value).lower()
    if isinstance(value, int) and not isinstance(value, bool) and not asked:
        return str(value)
    raise ValueError(f"{value!r} is no text; if one is meant, put it in quotes")


def _canonical(column: str, text: str, place: str | None) -> str | None:
    if place is not None:
        if text == "":
            raise ValueError("an empty text is in every text")
        if column in _FLAGS or (column in ADDRESSES and ":" in text) or text.lower().startswith("s-1-16-"):
            raise ValueError(f"{place}: {column} is spelled in another way than the record; ask for whole values")
        return text
    if text.lower() in _UNKNOWN:
        return None
    renamed = _RENAMED.get(column, {}).get(text.lower())
    if column in _FLAGS and renamed is None and text != "*":
        raise ValueError(f"{text!r}: this field is true or false")
    if column in ADDRESSES and is_plain(text):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise ValueError(f"{text!r} is no address") from None
        return str(getattr(address, "ipv4_mapped", None) or address)
    if column in ADDRESSES and ":" in text:
        raise ValueError(f"{text!r}: IPv6 is spelled in another way than in the record; write it as cidr")
    return renamed or (text.lower() if column in LOWERED else text)


def _regex(column: str, kinds: set[str], values: list[Any]) -> tuple[list[str], list[Any]]:
    if column in _FLAGS or column in ADDRESSES or (column in LOWERED and "i" not in kinds):
        raise ValueError(f"re: {column} is spelled in another way than in the record")
    flags = "".join(sorted(kinds & {"m", "s"}))
    if not all(isinstance(v, str) for v in values):
        raise ValueError("re: a regular expression is a text")
    return ["re", *(["i"] if "i" in kinds else [])], [f"(?{flags}){v}" if flags else v for v in values]


def _other(column: str, value: object) -> str:
    side = next(s for s, c in FIELDS.values() if c == column)
    if str(value) not in FIELDS:
        raise ValueError(f"fieldref: no canonical column holds {value!r}")
    other_side, other = FIELDS[str(value)]
    if other_side != side:
        raise ValueError(f"fieldref: {value!r} is a field of the {other_side}, and a block asks for one side")
    if (column in NUMBERS) != (other in NUMBERS) or column in _FLAGS or other in _FLAGS:
        raise ValueError(f"fieldref: {column} and {other} cannot be compared")
    return other


def _number(value: object) -> int:
    try:
        if isinstance(value, bool | float):
            raise ValueError
        return int(str(value))
    except ValueError:
        raise ValueError(f"a whole number is wanted, found {value!r}") from None


def _one_dash(text: str) -> bool:
    at = [i for i, c in enumerate(text) if c in "-/\u2013\u2014\u2015"]
    if not at:
        return True
    before, after = text[: at[0]][-1:], text[at[0] + 1 :][:1]
    return len(at) == 1 and text[at[0]] in "-/" and not before.strip() and (after.isalnum() or after == "_")


def _is_name(value: str | None) -> bool:
    return value is not None and value[:1] in "\\/" and len(value) > 1 and not set("\\/*?") & set(value[1:])
