"""Decodes the bytes of text files by their byte order mark. No Spark."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import BufferedReader

_BLOCK = 1 << 20


def encoding_of(first_bytes: bytes) -> str:
    """Returns UTF-16 where the byte order mark says so, else UTF-8. PowerShell redirects its output as UTF-16."""
    return "utf-16" if first_bytes.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def decoded_blocks(stream: BufferedReader) -> Iterator[str]:
    """Yields the text of a file in blocks. A damaged file raises its error after all the text before the damage."""
    # "replace": one bad byte becomes one replacement character and does not lose the file.
    decoder = codecs.getincrementaldecoder(encoding_of(stream.peek(4)))("replace")
    while block := stream.read1(_BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)
