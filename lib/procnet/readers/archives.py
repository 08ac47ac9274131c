"""A file -> the files that it holds, unpacked on the way; gzip, zip and tar are told by their first bytes. No Spark.

By content and not by name: exports are renamed, and a .gz may have been unpacked on the way. Everything is streamed;
nothing is written to disk.
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
# A member of a tar is read in small steps: of one that the damage cuts, all steps before it are kept.
_STEP = 4096
_GZIP, _ZIP, _TAR, _TAR_AT = b"\x1f\x8b", b"PK\x03\x04", b"ustar", 257


class Member(NamedTuple):
    """One file: where it lies (`archive.zip!folder/name` inside an archive) and its bytes, unpacked."""

    name: str
    stream: io.BufferedReader


def members(path: str, suffixes: tuple[str, ...]) -> Iterator[Member]:
    """The file itself, or the members of an archive whose names end in `suffixes` (with .gz behind them too).

    Raises what reading a damaged archive raises; see `damage`. Each stream is read before the next one is asked for.
    """
    with open(path, "rb") as raw:
        if raw.read(4) == _ZIP:
            with zipfile.ZipFile(raw) as archive:
                for info in archive.infolist():
                    if not info.is_dir() and _wanted(info.filename, suffixes):
                        with archive.open(info) as stream:
                            yield Member(f"{path}!{info.filename}", _unpacked(stream))
            return
        raw.seek(0)
        stream = _unpacked(raw)
        if stream.peek(512)[_TAR_AT : _TAR_AT + 5] != _TAR:
            yield Member(path, stream)
            return
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for entry in tar:
                if entry.isfile() and _wanted(entry.name, suffixes) and (inner := tar.extractfile(entry)):
                    yield Member(f"{path}!{entry.name}", _unpacked(inner, _STEP))


def damage(error: Exception) -> str | None:
    """What is wrong with a file, where that is what the error says; None for an error of another kind."""
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return f"damaged gzip: {error}"
    if isinstance(error, zipfile.BadZipFile | tarfile.TarError):
        return f"damaged archive: {error}"
    if isinstance(error, NotImplementedError | RuntimeError):  # zipfile: a method unknown to it; a password
        return f"unreadable archive: {error}"
    if isinstance(error, OSError):
        return f"unreadable file: {error.strerror or error}"
    return None


def _wanted(name: str, suffixes: tuple[str, ...]) -> bool:
    base = name.rsplit("/", 1)[-1]
    return base[:1] not in (".", "_", "") and not name.startswith("__MACOSX") and has_suffix(base, suffixes)


def has_suffix(name: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a name ends in one of the suffixes, packed or not."""
    return name.lower().removesuffix(".gz").endswith(suffixes)


def _unpacked(stream: IO[bytes], step: int = _BLOCK) -> io.BufferedReader:
    buffered = _buffered(stream, step)
    return _buffered(gzip.GzipFile(fileobj=buffered), step) if buffered.peek(2)[:2] == _GZIP else buffered


def _buffered(stream: Any, step: int) -> io.BufferedReader:
    return io.BufferedReader(_Whole(stream, step), _BLOCK)


class _Whole(io.RawIOBase):
    """Reads as much as one step of the stream gives: what stands before the cut of a damaged file is not lost."""

    def __init__(self, stream: Any, step: int) -> None:
        self._step = step
        self._read = getattr(stream, "read1", stream.read)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._read(min(len(buffer), self._step))
        buffer[: len(block)] = block
        return len(block)
