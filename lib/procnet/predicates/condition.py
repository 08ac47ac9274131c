"""`image or (1 of url_* and not filter)`: Sigma's condition line -> a tree over named blocks."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from procnet.config_file import shortened
from procnet.predicates.model import All, Any, Not, Predicate, leaves

_DEEPEST = 32  # brackets and `not` in each other
_MOST_TESTS = 10_000  # tests of fields in a tree, counting a block as often as the condition names it
_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9_*.-]+)")


def parse_condition(text: str, blocks: Mapping[str, Predicate]) -> tuple[Predicate, frozenset[str]]:
    """The tree of a condition over the blocks' trees, and the names of the blocks that it uses.

    ValueError for a line that cannot be parsed, that names a block which does not exist, or whose tree is too large.
    """
    text = text.rstrip()
    tokens: deque[str] = deque()
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"condition {shortened(text)}: {text[at:].strip()[:1]!r} is neither a name nor a bracket")
        tokens.append(found[1])
        at = found.end()
    reader = _Reader(text, tokens, blocks)
    tree = reader.disjunction()
    if reader.tokens:
        raise ValueError(f"condition {shortened(text)}: {shortened(reader.tokens[0])} is not expected here")
    return tree, frozenset(reader.used)


class _Reader:
    def __init__(self, text: str, tokens: deque[str], blocks: Mapping[str, Predicate]) -> None:
        self.text, self.tokens, self.blocks = shortened(text), tokens, blocks
        self.sizes = {name: sum(1 for _ in leaves(block)) for name, block in blocks.items()}
        self.used: set[str] = set()
        self.tests = self.depth = 0

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
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ValueError(f"condition {self.text}: more than {_DEEPEST} brackets or `not` in each other")
        operand = self._operand()
        self.depth -= 1
        return operand

    def _operand(self) -> Predicate:
        if self._next_is("not"):
            return Not(self.operand())
        if self._next_is("("):
            inner = self.disjunction()
            if not self._next_is(")"):
                raise ValueError(f"condition {self.text}: a bracket is not closed")
            return inner
        word = self._take("a block")
        if word.lower() in ("1", "any", "all") and self._next_is("of"):
            return self._quantified(word.lower(), self._take("a pattern such as filter_*"))
        if word not in self.blocks:
            raise ValueError(f"condition {self.text}: no block {shortened(word)}; there are {_names(self.blocks)}")
        self._use([word])
        return self.blocks[word]

    def _quantified(self, quantifier: str, pattern: str) -> Predicate:
        names = [n for n in self.blocks if fnmatchcase(n, "*" if pattern == "them" else pattern)]
        if not names:
            raise ValueError(
                f"condition {self.text}: no block's name matches {shortened(pattern)}; there are {_names(self.blocks)}"
            )
        self._use(names)
        parts = tuple(self.blocks[n] for n in names)
        if len(parts) == 1:
            return parts[0]
        return All(parts) if quantifier == "all" else Any(parts)

    def _use(self, names: Iterable[str]) -> None:
        self.used.update(names)
        self.tests += sum(self.sizes[n] for n in names)
        if self.tests > _MOST_TESTS:
            raise ValueError(f"condition {self.text}: more than {_MOST_TESTS} tests of fields: split the detection")

    def _next_is(self, word: str) -> bool:
        if self.tokens and self.tokens[0].lower() == word:
            self.tokens.popleft()
            return True
        return False

    def _take(self, expected: str) -> str:
        if not self.tokens:
            raise ValueError(f"condition {self.text} ends where {expected} is expected")
        return self.tokens.popleft()


def _names(blocks: Mapping[str, Predicate]) -> str:
    return ", ".join(sorted(blocks)) or "none"
