"""Every error that procnet raises. A message says what was looked for, where, what was found, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterable


class ProcnetError(Exception):
    """Base of all errors of procnet; `exit_code` is the exit code of the command line."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.hint}" if self.hint else self.message


# What an operating system says of a disk, a quota or the size of a file; in Python's errors and in Java's.
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large")


def is_disk_full(error: Exception) -> bool:
    """Whether the cause of an error is a full disk."""
    return _DISK_FULL.search(str(error)) is not None


def cause(error: Exception) -> str:
    """The cause of a Spark error in one line: a full disk, its `[CONDITION_LIKE_THIS]` and what follows, else its first
    line."""
    text = str(error).strip() or type(error).__name__
    if full := _DISK_FULL.search(text):
        return f"a disk is full: {full[0]}"
    condition = re.search(r"\[[A-Z][A-Z0-9_.]+\].*", text)
    if condition:
        return condition[0]
    lines = text.splitlines()
    # Py4J's first line only names the call in Java; the error's own text is the next one.
    return lines[1].lstrip(": ") if lines[0].startswith("An error occurred while calling") and lines[1:] else lines[0]


def install_hint(extra: str) -> str:
    """How to install procnet with an extra. Not by its name: on the package index `procnet` is another project."""
    return f"pip install '.[{extra}]' in the checkout of procnet, or pip install 'PATH/TO/procnet.whl[{extra}]'"


class UsageError(ProcnetError):
    """Raised when a command line, a setting or an argument is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """Raised when a configuration, source, detection or exclusion file cannot be read or has errors."""


class DetectionError(ConfigError):
    """Raised when detection files have errors; `problems` are all of them, not only the first."""

    def __init__(self, problems: Iterable[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), hint=hint)


class ExclusionError(ConfigError):
    """Raised when exclusion files have errors; the message has all of them, not only the first."""


class SourceError(ConfigError):
    """Raised when a source mapping is wrong or unknown."""


class SessionError(UsageError):
    """Raised when a Spark session cannot be started: no suitable Java, no Delta jars, no pyspark."""


class DataError(ProcnetError):
    """Raised when the data breaks the contract: a missing table, column or path, an unreadable file."""

    exit_code = 3


class WindowFailed(ProcnetError):  # noqa: N818
    """Raised when a window could not be evaluated or written; it is not recorded as done and can be run again."""

    exit_code = 4


class Overtaken(WindowFailed):
    """Raised when another run has replaced findings of a window from newer events: the window is evaluated again."""


class PartlyDone(ProcnetError):  # noqa: N818
    """Raised when a backfill ended with failed chunks; the hint is the command that continues it."""

    exit_code = 5
