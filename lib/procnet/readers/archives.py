"""Opens a file, or each member of an archive, as a stream of uncompressed bytes. No Spark.

gzip, zip and tar are recognized by their first bytes and not by name: exports get renamed, and a .gz may have been
uncompressed on the way. Everything is streamed; nothing is written to disk. Of archives in archives only gzip is
unpacked, and how much a file may unpack to is bounded.
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from struct import unpack
from typing import IO, Any, NamedTuple

_BLOCK = 1 << 20
# Members of a tar are read in small steps: where damage cuts a member, every step before the cut is still returned.
_STEP = 4096
# Deflate packs 1,032 bytes into one at most. More come only from gzip in an archive of gzip, from members of a zip that
# share their bytes, or from holes in a tar: 42 KB can become 5 GB, and 10 MB 281 TB.
_MOST_UNPACKED, _SMALLEST_BOUND = 1100, 64 << 20
_LONGEST_HEADER = 1 << 20  # bytes of the header of a tar's member, which tarfile reads into memory
_LZMA = zipfile.ZIP_LZMA  # which zipfile unpacks as a whole, too, but 7,000 bytes from one at most
_GZIP, _ZIP, _TAR, _TAR_AT = b"\x1f\x8b", b"PK\x03\x04", b"ustar", 257


class Member(NamedTuple):
    """One file: its name (`archive.zip!folder/name` inside an archive) and its uncompressed bytes."""

    name: str
    stream: io.BufferedReader


def members(path: str, suffixes: tuple[str, ...]) -> Iterator[Member]:
    """Yields the file itself, or the members of an archive whose names end in one of `suffixes`, also with .gz.

    A stream is valid until the next member is requested. A damaged archive raises the errors that `damage` describes,
    and so does the stream of a member that cannot be opened.
    """
    with open(path, "rb") as raw:
        bound = _Bound(os.path.getsize(path))
        if raw.read(4) == _ZIP:
            yield from _zip_members(path, raw, suffixes, bound)
            return
        raw.seek(0)
        stream = _uncompressed(raw)
        if stream.peek(512)[_TAR_AT : _TAR_AT + 5] == _TAR:
            yield from _tar_members(path, stream, suffixes, bound)
        else:
            yield Member(path, bound.applied_to(stream))


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


def _zip_members(path: str, raw: IO[bytes], suffixes: tuple[str, ...], bound: _Bound) -> Iterator[Member]:
    with zipfile.ZipFile(raw) as archive:
        for info in archive.infolist():
            if bound.is_exceeded:
                return
            if info.is_dir() or not _is_selected(info.filename, suffixes):
                continue
            stream = _uncompressed(_ZipMember(archive, info, raw), _STEP if info.compress_type == _LZMA else _BLOCK)
            yield Member(f"{path}!{info.filename}", bound.applied_to(stream))


def _tar_members(path: str, stream: IO[bytes], suffixes: tuple[str, ...], bound: _Bound) -> Iterator[Member]:
    headers = _HeaderReader(stream)

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
            headers.begin()
            return super().frombuf(buf, encoding, errors)

    with tarfile.open(fileobj=headers, mode="r|", tarinfo=Header) as tar:  # type: ignore[call-overload]
        for entry in tar:
            headers.end()
            tar.members.clear()  # a list of all: 1 MB of a tar.gz can have 2 million
            if entry.isfile() and _is_selected(entry.name, suffixes) and (inner := tar.extractfile(entry)):
                yield Member(f"{path}!{entry.name}", bound.applied_to(_uncompressed(inner, _STEP)))
            if bound.is_exceeded:
                return


def _is_selected(name: str, suffixes: tuple[str, ...]) -> bool:
    """Returns whether a member has one of the suffixes and is neither hidden nor metadata of macOS."""
    base = name.rsplit("/", 1)[-1]
    return base[:1] not in (".", "_", "") and not name.startswith("__MACOSX") and has_suffix(base, suffixes)


def _uncompressed(stream: Any, step: int = _BLOCK) -> io.BufferedReader:
    buffered = _buffered(stream, step)
    try:
        is_gzip = buffered.peek(2)[:2] == _GZIP
    except Exception:  # raised again where the stream is read
        is_gzip = False
    return _buffered(gzip.GzipFile(fileobj=buffered), step) if is_gzip else buffered


def _buffered(stream: Any, step: int) -> io.BufferedReader:
    return io.BufferedReader(_StepReader(stream, step), _BLOCK)


class _TooMuch(RuntimeError):  # noqa: N818
    """Raised for a file that unpacks to more than any useful file does."""


class _Bound:
    """How many more bytes a file may unpack to."""

    def __init__(self, file_size: int) -> None:
        self._bytes = max(_SMALLEST_BOUND, _MOST_UNPACKED * file_size)

    @property
    def is_exceeded(self) -> bool:
        """Whether the file has unpacked to more."""
        return self._bytes < 0

    def applied_to(self, stream: io.BufferedReader) -> io.BufferedReader:
        """Returns the stream of `_buffered`, whose bytes are counted."""
        assert isinstance(stream.raw, _StepReader)
        stream.raw.bound = self
        self._bytes -= stream.raw.unpacked
        return stream

    def count(self, unpacked: int) -> None:
        """Counts bytes. Raises _TooMuch when they are too many."""
        self._bytes -= unpacked
        if self.is_exceeded:
            raise _TooMuch(f"it unpacks to more than {_MOST_UNPACKED:,} times its size; the rest is not read")


class _StepReader(io.RawIOBase):
    """Reads at most one step at a time, so that the bytes before the cut of a damaged file are not lost."""

    def __init__(self, stream: Any, step: int) -> None:
        self.bound: _Bound | None = None
        self.unpacked = 0  # bytes
        self._step = step
        self._read = getattr(stream, "read1", stream.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._read(min(len(buffer), self._step))
        self.unpacked += len(block)
        if self.bound is not None:
            self.bound.count(len(block))
        buffer[: len(block)] = block
        return len(block)


class _ZipMember:
    """A member of a zip, which is opened where it is read first: one with a password must not hide the others."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, raw: IO[bytes]) -> None:
        self._archive, self._info, self._raw = archive, info, raw
        self._stream: Any = None

    def read(self, size: int) -> bytes:
        if self._stream is None:
            self._stream = self._archive.open(self._info)
            if self._info.compress_type == zipfile.ZIP_BZIP2:
                # zipfile unpacks whatever it has read as a whole: 4 KiB of bzip2 can be 4 GB.
                self._stream = bz2.BZ2File(io.BufferedReader(_PackedBytes(self._raw, self._info)))
        block: bytes = self._stream.read1(size)
        return block


class _PackedBytes(io.RawIOBase):
    """The bytes of a zip's member as they are in the file, behind its header of 30 bytes, its name and other fields."""

    def __init__(self, raw: IO[bytes], info: zipfile.ZipInfo) -> None:
        raw.seek(info.header_offset + 26)
        self._raw, self._left = raw, info.compress_size
        self._at = info.header_offset + 30 + sum(unpack("<HH", raw.read(4)))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._raw.seek(self._at)
        block = self._raw.read(min(len(buffer), self._left))
        buffer[: len(block)] = block
        self._at, self._left = self._at + len(block), self._left - len(block)
        return len(block)


class _HeaderReader:
    """The bytes of a tar for tarfile, which reads a whole header into memory: a long one raises tarfile.ReadError."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._header_bytes: int | None = None  # None outside a header

    def begin(self) -> None:
        """Begins a header, or the next part of one."""
        self._header_bytes = self._header_bytes or 0

    def end(self) -> None:
        """Ends the header."""
        self._header_bytes = None

    def read(self, size: int) -> bytes:
        if self._header_bytes is not None:
            self._header_bytes += size
            if self._header_bytes > _LONGEST_HEADER:
                raise tarfile.ReadError(f"a header of more than {_LONGEST_HEADER:,} bytes")
        return self._stream.read(size)
