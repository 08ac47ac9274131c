"""Translates a test of a Sigma rule, `Field|modifier: value`, to one of a detection file with the same meaning.

Sigma's fields are those of Sysmon, as its taxonomy has them. Where a canonical column spells a value otherwise than the
record, the value is translated too (canonical.py). A test that cannot be translated raises ValueError with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from procnet.predicates.parse import DASHES
from procnet.predicates.wildcard import is_plain
from procnet.sigma.canonical import FLAGS, NUMBERS, canonical_number, canonical_text, is_null_word, whole_number
from procnet.sigma.patterns import refuse_impossible_text, refuse_replaced_values
from procnet.sigma.values import spellings, with_wildcards
from procnet.vocabulary import ADDRESS_COLUMNS, BASE_NAMES, BLANKS, LOWER_CASE_COLUMNS

Side = Literal["process", "network"]

# Sigma's field -> the section of a detection file that tests it, and the canonical column.
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
    "DestinationHostname": ("network", "dest_name"),
    "DestinationIsIpv6": ("network", "protocol_version"),
    "Protocol": ("network", "transport"),
    "Initiated": ("network", "direction"),
}
_ALIASES = {"ignorecase": "i", "dotall": "s", "multiline": "m", "utf16le": "wide"}
_PLACES = ("contains", "startswith", "endswith")
_TEXT = {*_PLACES, "cased", "windash", "base64", "base64offset", "wide", "utf16", "utf16be"}
_LINKS = {"all", "neq"}
_ORDER = {"gt", "gte", "lt", "lte"}
_REFUSED = {
    "expand": "a placeholder stands for values that the rule does not contain",
    **dict.fromkeys(("minute", "hour", "day", "week", "month", "year"), "no column holds a part of a time"),
}


@dataclass(frozen=True)
class FieldTest:
    """A test as a detection file has it: `column|modifiers` and its value, and the section for it."""

    side: Side
    key: str
    value: Any


# Column, modifiers and values of a test in procnet's spelling.
_Translated = tuple[str, list[str], list[Any]]


def translate(key: str, value: object, notes: list[str]) -> FieldTest:
    """Translates a key such as `Image|endswith` and its value or list of values; appends what changed to `notes`."""
    field, *written = str(key).split("|")
    if not field:
        raise ValueError("words without a field: a detection does not search whole records")
    if field not in FIELDS:
        raise ValueError("no canonical column holds this field")
    side, column = FIELDS[field]
    modifiers = [_ALIASES.get(m, m) for m in written]
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError("an empty list; Sigma does not define its meaning")
    for m in modifiers:
        if m in _REFUSED:
            raise ValueError(_REFUSED[m])
    links = sorted({m for m in modifiers if m in _LINKS})
    column, modifiers, translated = _translated(column, [m for m in modifiers if m not in _LINKS], values, links)
    if translated.count(None) > values.count(None):
        notes.append(f"{key}: an empty or unknown value is null in canonical columns, and the test is for null")
    distinct = list(dict.fromkeys(translated))
    return FieldTest(side, "|".join([column, *modifiers, *links]), distinct if len(distinct) > 1 else distinct[0])


def _translated(column: str, modifiers: list[str], values: list[Any], links: list[str]) -> _Translated:
    kinds = set(modifiers)
    if kinds == {"exists"}:
        return column, modifiers, values
    if kinds == {"fieldref"}:
        return column, modifiers, [_referenced_column(column, v) for v in values]
    if kinds == {"cidr"} and column in ADDRESS_COLUMNS:
        return column, modifiers, values
    if column in NUMBERS:
        return _number_test(column, modifiers, values)
    if modifiers[:1] == ["re"] and kinds <= {"re", "i", "m", "s"}:
        return _regex_test(column, kinds, values)
    if not kinds <= _TEXT or len(kinds & set(_PLACES)) > 1:
        raise ValueError(f"{', '.join(modifiers)}: these modifiers have no meaning here for {column}")
    if column in LOWER_CASE_COLUMNS and "cased" in kinds:
        raise ValueError(f"cased: {column} is stored in lower case, its case is lost")
    return _text_test(column, modifiers, values, links)


def _number_test(column: str, modifiers: list[str], values: list[Any]) -> _Translated:
    if len(modifiers) == 1 and modifiers[0] in _ORDER:
        return column, modifiers, [whole_number(v) for v in values]
    if modifiers:
        raise ValueError(f"{', '.join(modifiers)}: {column} is a number, and is compared as one")
    return column, [], [None if v is None else canonical_number(column, v) for v in values]


def _regex_test(column: str, kinds: set[str], values: list[Any]) -> _Translated:
    if column in FLAGS or column in ADDRESS_COLUMNS or (column in LOWER_CASE_COLUMNS and "i" not in kinds):
        raise ValueError(f"re: {column} is spelled in another way than in the record")
    flags = "".join(sorted(kinds & {"m", "s"}))
    if not all(isinstance(v, str) for v in values):
        raise ValueError("re: a regular expression is a text")
    modifiers = ["re", *(["i"] if "i" in kinds else [])]
    patterns = [f"(?{flags}){v}" if flags else v for v in values]
    for pattern in patterns:
        refuse_replaced_values("|".join([column, *modifiers]), pattern)
    return column, modifiers, patterns


def _text_test(column: str, modifiers: list[str], values: list[Any], links: list[str]) -> _Translated:
    place = [m for m in modifiers if m in _PLACES]
    cased = ["cased"] if "cased" in modifiers else []
    texts = [_as_text(column, v, modifiers) for v in values]
    windash = ["windash"] if _windash_is_the_same(modifiers, texts) else []
    expanding = [m for m in modifiers if m not in windash]
    variants = [[None] if text is None else spellings(text, expanding) for text in texts]
    if "all" in links and len(values) > 1 and max(map(len, variants)) > 1:
        raise ValueError("all: each value has several spellings, and a list cannot require one of each")
    key = "|".join([column, *cased, *windash, *place])
    translated = [_text_value(key, v) if v is not None else None for vs in variants for v in vs]
    if place and place != ["endswith"] and any(v and v.endswith("\\") and not is_plain(v) for v in translated):
        # The wildcard that the modifier adds would be read as an escaped one.
        return column, [*cased, *windash], [with_wildcards(v, place[0]) for v in translated]
    if place == ["endswith"] and not cased and "all" not in links and column in BASE_NAMES:
        names = [v[1:].lower() for v in translated if v is not None and _is_base_name(v)]
        if len(names) == len(translated):
            # The base name is a column of its own, and the only one by which starts are selected before they are read.
            return BASE_NAMES[column], windash, names
    return column, [*cased, *windash, *place], translated


def _text_value(key: str, text: str) -> str | None:
    column, *modifiers = key.split("|")
    place = [m for m in modifiers if m in _PLACES]
    if is_plain(text) and not place:
        return canonical_text(column, text)
    refuse_impossible_text(column, text, place)
    refuse_replaced_values(key, text)
    return text if place or column not in LOWER_CASE_COLUMNS else text.lower()


def _as_text(column: str, value: Any, modifiers: Sequence[str]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    # YAML reads `no` as false and 5 as a number. It is taken for text only where it can be nothing else.
    if isinstance(value, bool) and column in FLAGS:
        return str(value).lower()
    if isinstance(value, int) and not isinstance(value, bool) and not modifiers:
        return str(value)
    raise ValueError(f"{value!r} is no text; if text is meant, put it in quotes")


def _referenced_column(column: str, value: object) -> str:
    side = next(s for s, c in FIELDS.values() if c == column)
    if str(value) not in FIELDS:
        raise ValueError(f"fieldref: no canonical column holds {value!r}")
    other_side, other = FIELDS[str(value)]
    if other_side != side:
        raise ValueError(f"fieldref: {value!r} is a field of the {other_side}, and a block tests one side")
    kinds: tuple[Mapping[str, Any] | frozenset[str], ...] = (NUMBERS, ADDRESS_COLUMNS)
    if any((column in kind) != (other in kind) for kind in kinds) or column in FLAGS or other in FLAGS:
        raise ValueError(f"fieldref: {column} and {other} cannot be compared")
    return other


def _windash_is_the_same(modifiers: Sequence[str], texts: Sequence[str | None]) -> bool:
    """Whether our windash has the meaning of Sigma's: ours replaces the first dash of a value only."""
    encoded = {"base64", "base64offset"} & set(modifiers)
    return "windash" in modifiers and not encoded and all(t is None or _has_one_dash_at_most(t) for t in texts)


def _has_one_dash_at_most(text: str) -> bool:
    at = [i for i, c in enumerate(text) if c in DASHES]
    if not at:
        return True
    before, after = text[: at[0]][-1:], text[at[0] + 1 :][:1]
    return len(at) == 1 and text[at[0]] in "-/" and not before.strip() and (after.isalnum() or after == "_")


def _is_base_name(text: str) -> bool:
    """Whether the text is a separator and a base name, of which cleaning changes nothing but the case."""
    name = text[1:]
    is_known = not is_null_word(name) and name.strip(BLANKS) == name
    return text[:1] in ("\\", "/") and is_known and not set("\\/*?") & set(name)
