r"""A text as Sigma reads it -> every text that it means, in our spelling.

Sigma reads `\\` as one backslash, we read it as two unless a wildcard follows (wildcard.py): a UNC path that a rule
writes with four backslashes is written with two here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from itertools import product

from procnet.predicates.parse import DASHES
from procnet.predicates.wildcard import tokens

Pieces = list[tuple[bool, str]]  # (is a wildcard, its text)

_OPTION = re.compile(r"\B[-/]\b")
_MOST_DASHES = 3  # as pySigma has it: 125 spellings
_WIDE = {"wide": ("utf-16-le", b""), "utf16": ("utf-16-le", b"\xff\xfe"), "utf16be": ("utf-16-be", b"")}


def spellings(text: str, modifiers: Sequence[str]) -> list[str]:
    """One text for each that Sigma would accept, modifiers that change the value applied in their order."""
    ways, wide = [_read(text)], None
    for at, modifier in enumerate(modifiers):
        if modifier in _WIDE:
            wide = modifier
            if not set(modifiers[at + 1 :]) & {"base64", "base64offset"}:
                raise ValueError(f"{modifier}: no column holds text of two bytes a character")
        elif modifier in ("base64", "base64offset"):
            if set(modifiers[:at]) & {"contains", "startswith", "endswith"}:
                raise ValueError(f"{modifier}: it must stand before what says where the text is")
            ways, wide = [[(False, t)] for w in ways for t in _encoded(w, modifier, wide)], None
        elif modifier == "windash":
            ways = [v for w in ways for v in _dashed(w)]
    return [_spelled(w) for w in ways]


def with_wildcards(text: str | None, place: str) -> str | None:
    """`contains: text` as a text with the wildcards that it means."""
    if text is None:
        return None
    pieces = _merged(tokens(text))
    if place == "contains" and pieces[0] != (True, "*"):
        pieces = [(True, "*"), *pieces]
    return _spelled(pieces if pieces[-1] == (True, "*") else [*pieces, (True, "*")])


def _read(text: str) -> Pieces:
    found = re.findall(r"\\[*?\\]|[*?]|\\|[^*?\\]+", text, re.DOTALL)
    return _merged([(t in ("*", "?"), t[-1] if t[0] == "\\" else t) for t in found])


def _merged(pieces: Pieces) -> Pieces:
    merged: Pieces = []
    for wild, text in pieces:
        if merged and not wild and not merged[-1][0]:
            merged[-1] = (False, merged[-1][1] + text)
        else:
            merged.append((wild, text))
    return merged


def _spelled(pieces: Pieces) -> str:
    text = ""
    for wild, part in pieces:
        if wild:
            text += "\\" + part if text.endswith("\\") else part
        else:
            text += re.sub(r"[*?]", r"\\\g<0>", part)
    if _merged(tokens(text)) != pieces:
        raise ValueError(f"{text!r}: a backslash before a plain * or ? cannot be written in a detection")
    return text


def _dashed(pieces: Pieces) -> list[Pieces]:
    parts = [[p] if p[0] else [(False, t) for t in _options(p[1])] for p in pieces]
    if sum(len(_OPTION.findall(t)) for wild, t in pieces if not wild) > _MOST_DASHES:
        raise ValueError(f"windash: more than {_MOST_DASHES} dashes in one value")
    return [list(way) for way in product(*parts)]


def _options(text: str) -> list[str]:
    fixed = _OPTION.split(text)
    return ["".join(a + b for a, b in zip(fixed, (*dashes, ""), strict=True))
            for dashes in product(DASHES, repeat=len(fixed) - 1)]  # fmt: skip


def _encoded(pieces: Pieces, modifier: str, wide: str | None) -> list[str]:
    if any(wild for wild, _ in pieces):
        raise ValueError(f"{modifier}: a wildcard has no code")
    encoding, mark = _WIDE[wide] if wide else ("utf-8", b"")
    data = mark + "".join(t for _, t in pieces).encode(encoding)
    if modifier == "base64":
        return [b64encode(data).decode()]
    # At each of three offsets only the characters that depend on no neighbour: six bits are one of them.
    return [b64encode(b" " * n + data).decode()[-(-8 * n // 6) : (n + len(data)) * 8 // 6] for n in range(3)]
