"""`image or (1 of url_* and not filter)`: Sigma's condition line -> a tree over named blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from procnet.predicates.model import All, Any, Not, Predicate

_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9_*.-]+)")


def parse_condition(text: str, blocks: Mapping[str, Predicate]) -> tuple[Predicate, frozenset[str]]:
    """The tree, and which blocks it names. ValueError says where the line cannot be read or what it names in vain."""
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"condition {text!r}: {text[at:].strip()[:1]!r} is no word and no bracket")
        tokens.append(found[1])
        at = found.end()
    reader = _Reader(text, tokens, blocks)
    tree = reader.either()
    if reader.tokens:
        raise ValueError(f"condition {text!r}: {reader.tokens[0]!r} was not expected")
    return tree, frozenset(reader.used)


class _Reader:
    def __init__(self, text: str, tokens: list[str], blocks: Mapping[str, Predicate]) -> None:
        self.text, self.tokens, self.blocks = text, tokens, blocks
        self.used: set[str] = set()

    def either(self) -> Predicate:
        parts = [self.both()]
        while self._next_is("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def both(self) -> Predicate:
        parts = [self.one()]
        while self._next_is("and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self) -> Predicate:
        if self._next_is("not"):
            return Not(self.one())
        if self._next_is("("):
            inner = self.either()
            if not self._next_is(")"):
                raise ValueError(f"condition {self.text!r}: a bracket is not closed")
            return inner
        word = self._take("a block")
        if word.lower() in ("1", "any", "all") and self._next_is("of"):
            return self._several(word.lower(), self._take("a pattern such as filter_*"))
        if word not in self.blocks:
            raise ValueError(f"condition {self.text!r}: no block {word!r}; there are {_listed(self.blocks)}")
        self.used.add(word)
        return self.blocks[word]

    def _several(self, how_many: str, pattern: str) -> Predicate:
        wanted = re.compile(".*" if pattern == "them" else re.escape(pattern).replace(r"\*", ".*"))
        names = [n for n in self.blocks if wanted.fullmatch(n)]
        if not names:
            raise ValueError(
                f"condition {self.text!r}: no block is called {pattern!r}; there are {_listed(self.blocks)}"
            )
        self.used.update(names)
        parts = tuple(self.blocks[n] for n in names)
        if len(parts) == 1:
            return parts[0]
        return All(parts) if how_many == "all" else Any(parts)

    def _next_is(self, word: str) -> bool:
        if self.tokens and self.tokens[0].lower() == word:
            self.tokens.pop(0)
            return True
        return False

    def _take(self, what: str) -> str:
        if not self.tokens:
            raise ValueError(f"condition {self.text!r} ends where {what} should stand")
        return self.tokens.pop(0)


def _listed(blocks: Mapping[str, Predicate]) -> str:
    return ", ".join(sorted(blocks)) or "none"
