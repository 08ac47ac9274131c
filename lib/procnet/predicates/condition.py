"""`image or (1 of url_* and not filter)`: Sigma's condition line -> a tree over named blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from procnet.predicates.model import All, Any, Not, Predicate

_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9_*.-]+)")


def parse_condition(text: str, blocks: Mapping[str, Predicate]) -> tuple[Predicate, frozenset[str]]:
    """The tree of a condition over the blocks' trees, and the names of the blocks that it uses.

    ValueError for a line that cannot be parsed, or that names a block which does not exist.
    """
    tokens, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"condition {text!r}: {text[at:].strip()[:1]!r} is neither a name nor a bracket")
        tokens.append(found[1])
        at = found.end()
    reader = _Reader(text, tokens, blocks)
    tree = reader.disjunction()
    if reader.tokens:
        raise ValueError(f"condition {text!r}: {reader.tokens[0]!r} is not expected here")
    return tree, frozenset(reader.used)


class _Reader:
    def __init__(self, text: str, tokens: list[str], blocks: Mapping[str, Predicate]) -> None:
        self.text, self.tokens, self.blocks = text, tokens, blocks
        self.used: set[str] = set()

    def disjunction(self) -> Predicate:
        parts = [self.conjunction()]
        while self._next_is("or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def conjunction(self) -> Predicate:
        parts = [self.operand()]
        while self._next_is("and"):
            parts.append(self.operand())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def operand(self) -> Predicate:
        if self._next_is("not"):
            return Not(self.operand())
        if self._next_is("("):
            inner = self.disjunction()
            if not self._next_is(")"):
                raise ValueError(f"condition {self.text!r}: a bracket is not closed")
            return inner
        word = self._take("a block")
        if word.lower() in ("1", "any", "all") and self._next_is("of"):
            return self._quantified(word.lower(), self._take("a pattern such as filter_*"))
        if word not in self.blocks:
            raise ValueError(f"condition {self.text!r}: no block {word!r}; there are {_names(self.blocks)}")
        self.used.add(word)
        return self.blocks[word]

    def _quantified(self, quantifier: str, pattern: str) -> Predicate:
        name = re.compile(".*" if pattern == "them" else re.escape(pattern).replace(r"\*", ".*"))
        names = [n for n in self.blocks if name.fullmatch(n)]
        if not names:
            raise ValueError(
                f"condition {self.text!r}: no block's name matches {pattern!r}; there are {_names(self.blocks)}"
            )
        self.used.update(names)
        parts = tuple(self.blocks[n] for n in names)
        if len(parts) == 1:
            return parts[0]
        return All(parts) if quantifier == "all" else Any(parts)

    def _next_is(self, word: str) -> bool:
        if self.tokens and self.tokens[0].lower() == word:
            self.tokens.pop(0)
            return True
        return False

    def _take(self, expected: str) -> str:
        if not self.tokens:
            raise ValueError(f"condition {self.text!r} ends where {expected} is expected")
        return self.tokens.pop(0)


def _names(blocks: Mapping[str, Predicate]) -> str:
    return ", ".join(sorted(blocks)) or "none"
