r"""Translates a text as Sigma spells it to all texts that it stands for, as a detection file spells them.

Sigma reads `\\` as one backslash, a detection file as two, unless a wildcard follows (predicates/wildcard.py). A UNC
path that a rule writes with four backslashes gets two.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from itertools import product

from procnet.predicates.parse import DASHES
from procnet.predicates.wildcard import tokens

Pieces = list[tuple[bool, str]]  # (whether it is a wildcard, its text)

_OPTION = re.compile(r"\B[-/]\b")
_MAX_DASHES = 3  # as in pySigma: 125 variants
# Modifiers that encode text in two bytes a character: the encoding, and its byte order mark (BOM).
_ENCODINGS = {"wide": ("utf-16-le", b""), "utf16": ("utf-16-le", b"\xff\xfe"), "utf16be": ("utf-16-be", b"")}
_UTF8 = ("utf-8", b"")


def spellings(text: str, modifiers: Sequence[str]) -> list[str]:
    """All texts that Sigma accepts for the text, with the modifiers that change a value applied in their order."""
    variants, encoding = [_read(text)], _UTF8
    for at, modifier in enumerate(modifiers):
        if modifier in _ENCODINGS:
            encoding = _ENCODINGS[modifier]
            if not set(modifiers[at + 1 :]) & {"base64", "base64offset"}:
                raise ValueError(f"{modifier}: no column holds text of two bytes a character")
        elif modifier in ("base64", "base64offset"):
            if set(modifiers[:at]) & {"contains", "startswith", "endswith"}:
                raise ValueError(f"{modifier}: it must stand before contains, startswith and endswith")
            variants = [[(False, t)] for v in variants for t in _base64(v, modifier, encoding)]
            encoding = _UTF8
        elif modifier == "windash":
            variants = [d for v in variants for d in _with_dashes(v)]
    return [_written(v) for v in variants]


def with_wildcards(text: str | None, place: str) -> str | None:
    """The text with the wildcards that `place`, contains or startswith, stands for."""
    if text is None:
        return None
    pieces = _merged(tokens(text))
    if place == "contains" and pieces[0] != (True, "*"):
        pieces = [(True, "*"), *pieces]
    return _written(pieces if pieces[-1] == (True, "*") else [*pieces, (True, "*")])


def _read(text: str) -> Pieces:
    found = re.findall(r"\\[*?\\]|[*?]|\\|[^*?\\]+", text, re.DOTALL)
    return _merged([(t in ("*", "?"), t[-1] if t[0] == "\\" else t) for t in found])


def _merged(pieces: Pieces) -> Pieces:
    merged: Pieces = []
    for is_wildcard, text in pieces:
        if merged and not is_wildcard and not merged[-1][0]:
            merged[-1] = (False, merged[-1][1] + text)
        else:
            merged.append((is_wildcard, text))
    return merged


def _written(pieces: Pieces) -> str:
    text = ""
    for is_wildcard, part in pieces:
        if is_wildcard:
            text += "\\" + part if text.endswith("\\") else part
        else:
            text += re.sub(r"[*?]", r"\\\g<0>", part)
    if _merged(tokens(text)) != pieces:
        raise ValueError(f"{text!r}: a backslash before a plain * or ? cannot be written in a detection")
    return text


def _with_dashes(pieces: Pieces) -> list[Pieces]:
    """The text with each combination of DASHES before its options."""
    if sum(len(_OPTION.findall(t)) for is_wildcard, t in pieces if not is_wildcard) > _MAX_DASHES:
        raise ValueError(f"windash: more than {_MAX_DASHES} dashes in one value")
    variants = [[piece] if piece[0] else [(False, t) for t in _option_variants(piece[1])] for piece in pieces]
    return [list(combination) for combination in product(*variants)]


def _option_variants(text: str) -> list[str]:
    between = _OPTION.split(text)
    return ["".join(a + b for a, b in zip(between, (*dashes, ""), strict=True))
            for dashes in product(DASHES, repeat=len(between) - 1)]  # fmt: skip


def _base64(pieces: Pieces, modifier: str, encoding: tuple[str, bytes]) -> list[str]:
    if any(is_wildcard for is_wildcard, _ in pieces):
        raise ValueError(f"{modifier}: a wildcard has no code")
    charset, bom = encoding
    data = bom + "".join(t for _, t in pieces).encode(charset)
    if modifier == "base64":
        return [b64encode(data).decode()]
    # A character encodes six bits. At each of the three offsets, only those that depend on no neighbour are compared.
    return [b64encode(b" " * n + data).decode()[-(-8 * n // 6) : (n + len(data)) * 8 // 6] for n in range(3)]
