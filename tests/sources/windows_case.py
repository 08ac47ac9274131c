"""A case of a Windows record: what the record is, and what the source must make of it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import yaml

from sources.samples import SAMPLES, Row


@dataclass(frozen=True)
class Field:
    """Event data that is long and read unchanged: its name in the record."""

    name: str


@dataclass(frozen=True)
class Case:
    """A record or the name of a sample, and what becomes of it: its canonical row, `skipped`, or the reason."""

    name: str
    expected: Row | str
    record: Row | None = None
    text: str | None = None

    def read(self) -> str:
        """The text of the record, as its reader returns it."""
        if self.text is not None:
            return self.text
        if self.record is not None:
            return json.dumps(self.record)
        if self.name.startswith("splunk"):
            log: str = yaml.safe_load((SAMPLES / f"{self.name}.yml").read_text(encoding="utf-8"))["example_log"]
            return log
        text = (SAMPLES / f"{self.name}.json").read_text(encoding="utf-8")
        sample = json.loads(text)
        return sample["input"]["message"] if "input" in sample else text

    def row(self) -> Row:
        """The expected row, with the record's own values for every Field."""
        assert isinstance(self.expected, dict)
        data = event_data(self.read())
        return {n: data[v.name] if isinstance(v, Field) else v for n, v in self.expected.items()}


def event_data(text: str) -> Row:
    if text.startswith("<"):
        return {d.get("Name", ""): d.text for d in ET.fromstring(text).iterfind(".//{*}Data")}
    record: Row = json.loads(text)
    data: Row = record.get("winlog", record).get("event_data", record)
    return data
