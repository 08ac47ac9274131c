"""The part of a text that is in memory while a reader looks for records in it. No Spark."""

from __future__ import annotations

import re
from collections.abc import Iterator


class Text:
    """A text that comes in blocks: `buffer` from `at` on is its next part, which begins on line `line`.

    `limit` is the length of the longest record. The buffer has at most about three times as many characters; each is
    copied about once, because the buffer is filled up to twice the limit whenever less than the limit is left.
    """

    def __init__(self, blocks: Iterator[str], limit: int, line: int = 1) -> None:
        self.buffer, self.at, self.line, self.limit = "", 0, line, limit
        self.complete = False  # whether the buffer has the end of the text
        self._blocks = blocks

    def fill(self) -> bool:
        """Reads until more than `limit` characters are unread or the text ends; returns whether any are."""
        unread = len(self.buffer) - self.at
        if unread <= self.limit and not self.complete:
            parts = [self.buffer[self.at :]]
            while unread <= 2 * self.limit and not self.complete:
                block = next(self._blocks, None)
                self.complete = block is None
                parts.append(block or "")
                unread += len(parts[-1])
            self.buffer, self.at = "".join(parts), 0
        return unread > 0

    def advance(self, at: int) -> None:
        """Makes `at` the beginning of the next part."""
        self.line += self.buffer.count("\n", self.at, at)
        self.at = at

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Advances to the first text that `pattern` does not match, and fills; returns whether there is any."""
        while self.fill():
            found = pattern.match(self.buffer, self.at)
            if found is None or found.end() == self.at:
                return True
            self.advance(found.end())
        return False
