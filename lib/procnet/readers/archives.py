"""Opens a file, or each member of an archive, as a stream of uncompressed bytes. No Spark.

gzip, zip and tar are recognized by their first bytes and not by name: exports get renamed, and a .gz may have been
uncompressed on the way. Everything is streamed; nothing is written to disk.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

_BLOCK = 1 << 20
# Members of a tar are read in small steps: where damage cuts a member, every step before the cut is still returned.
_STEP = 4096
_GZIP, _ZIP, _TAR, _TAR_AT = b"\x1f\x8b", b"PK\x03\x04", b"ustar", 257


class Member(NamedTuple):
    """One file: its name (`archive.zip!folder/name` inside an archive) and its uncompressed bytes."""

    name: str
    stream: io.BufferedReader


def members(path: str, suffixes: tuple[str, ...]) -> Iterator[Member]:
    """Yields the file itself, or the members of an archive whose names end in one of `suffixes`, also with .gz.

    A stream is valid until the next member is requested. A damaged archive raises the errors that `damage` describes.
    """
    with open(path, "rb") as raw:
        if raw.read(4) == _ZIP:
            yield from _zip_members(path, raw, suffixes)
            return
        raw.seek(0)
        stream = _uncompressed(raw)
        if stream.peek(512)[_TAR_AT : _TAR_AT + 5] == _TAR:
            yield from _tar_members(path, stream, suffixes)
        else:
            yield Member(path, stream)


def damage(error: Exception) -> str | None:
    """Returns a description of the damage that an error reports; None if the error has another cause."""
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return f"damaged gzip: {error}"
    if isinstance(error, zipfile.BadZipFile | tarfile.TarError):
        return f"damaged archive: {error}"
    # zipfile raises these for an unknown compression method and for a member with a password.
    if isinstance(error, NotImplementedError | RuntimeError):
        return f"unreadable archive: {error}"
    if isinstance(error, OSError):
        return f"unreadable file: {error.strerror or error}"
    return None


def has_suffix(name: str, suffixes: tuple[str, ...]) -> bool:
    """Returns whether a file name ends in one of the suffixes, with or without .gz behind it."""
    return name.lower().removesuffix(".gz").endswith(suffixes)


def _zip_members(path: str, raw: IO[bytes], suffixes: tuple[str, ...]) -> Iterator[Member]:
    with zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            if not info.is_dir() and _is_selected(info.filename, suffixes):
                with archive.open(info) as stream:
                    yield Member(f"{path}!{info.filename}", _uncompressed(stream))


def _tar_members(path: str, stream: IO[bytes], suffixes: tuple[str, ...]) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for entry in tar:
            if entry.isfile() and _is_selected(entry.name, suffixes) and (inner := tar.extractfile(entry)):
                yield Member(f"{path}!{entry.name}", _uncompressed(inner, _STEP))


def _is_selected(name: str, suffixes: tuple[str, ...]) -> bool:
    """Returns whether a member has one of the suffixes and is neither hidden nor metadata of macOS."""
    base = name.rsplit("/", 1)[-1]
    return base[:1] not in (".", "_", "") and not name.startswith("__MACOSX") and has_suffix(base, suffixes)


def _uncompressed(stream: IO[bytes], step: int = _BLOCK) -> io.BufferedReader:
    buffered = _buffered(stream, step)
    return _buffered(gzip.GzipFile(fileobj=buffered), step) if buffered.peek(2)[:2] == _GZIP else buffered


def _buffered(stream: Any, step: int) -> io.BufferedReader:
    return io.BufferedReader(_StepReader(stream, step), _BLOCK)


class _StepReader(io.RawIOBase):
    """Reads at most one step at a time, so that the bytes before the cut of a damaged file are not lost."""

    def __init__(self, stream: Any, step: int) -> None:
        self._step = step
        self._read = getattr(stream, "read1", stream.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._read(min(len(buffer), self._step))
        buffer[: len(block)] = block
        return len(block)
