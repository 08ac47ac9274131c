"""Decodes the bytes of text files by their byte order mark. No Spark."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import BufferedReader

from procnet.readers.archives import damage

_BLOCK = 1 << 20


def encoding_of(first_bytes: bytes) -> str:
    """Returns UTF-16 where the byte order mark says so, else UTF-8. PowerShell redirects its output as UTF-16."""
    return "utf-16" if first_bytes.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


class Blocks:
    """The text of a file in blocks of at most 1 Mi characters, as an iterator.

    A damaged file ends after all the text before the damage; `problem` describes the damage then.
    """

    def __init__(self, stream: BufferedReader) -> None:
        self.problem: str | None = None
        self._blocks = _decoded(stream)
        self._unread = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._unread:
            block, self._unread = self._unread, ""
            return block
        try:
            return next(self._blocks)
        except StopIteration:
            raise
        except Exception as e:
            if (problem := damage(e)) is None:
                raise
            self.problem = problem
            raise StopIteration from None

    def unread(self, text: str) -> None:
        """Puts text back in front of the next block."""
        self._unread = text + self._unread

    def rest_of_line(self) -> Iterator[str]:
        """Yields the text up to the next line break, in blocks."""
        for block in self:
            line, line_break, rest = block.partition("\n")
            yield line
            if line_break:
                self.unread(rest)
                return


def _decoded(stream: BufferedReader) -> Iterator[str]:
    # "replace": one bad byte becomes one replacement character and does not lose the file.
    decoder = codecs.getincrementaldecoder(encoding_of(stream.peek(4)))("replace")
    while block := stream.read1(_BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)
