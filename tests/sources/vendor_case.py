"""A case of a vendor's record: what the record is, and what the source must make of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from sources.samples import SAMPLES, Row

MD5 = "68b329da9893e34099c7d8ad5cb9c940"
SHA1 = "adc83b19e793491b1c6ea0fd8b46cd9f32e592fc"
SHA256 = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"
HASHES = f"SHA256={SHA256},SHA1={SHA1},MD5={MD5}"


@dataclass(frozen=True)
class Field:
    """A long value that is read unchanged: its path in the record."""

    path: str

    def of(self, record: Row) -> Any:
        value: Any = record
        for name in self.path.split("/"):
            value = value[name]
        return value


@dataclass(frozen=True)
class Case:
    """A record or the name of a sample, and what becomes of it: its canonical row, `skipped`, or the reason.

    `change` edits a sample before it is read.
    """

    name: str
    expected: Row | str
    record: Row | None = None
    change: Callable[[Row], None] | None = None

    def read(self) -> Row:
        if self.record is not None:
            return self.record
        sample: Row = json.loads((SAMPLES / f"{self.name.split(' ')[0]}.json").read_text(encoding="utf-8"))
        record: Row = json.loads(sample["input"]["message"]) if "input" in sample else sample
        if self.change is not None:
            self.change(record)
        return record


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def micros(text: str) -> int:
    """Exact number of microseconds between 1970 and a time."""
    past = utc(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (past.days * 86400 + past.seconds) * 10**6 + past.microseconds
