"""Replayed datasets as JUnit XML: what a CI server shows of a test run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from procnet.cli.output import iso, shown
from procnet.replay.replay import Replayed
from procnet.replay.verdicts import Row, Verdict

# What XML 1.0 cannot hold, not even as a reference: one such character, and a server refuses the whole file.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FINDINGS = 5


def to_junit(replayed: Sequence[Replayed]) -> bytes:
    """A testsuite for each dataset, a testcase for each expectation, a failure for each that does not hold."""
    top = Xml.Element("testsuites", name="procnet replay")
    counted = [_suite(top, r) for r in replayed]
    _count(top, sum(n for n, _, _ in counted), sum(f for _, f, _ in counted), sum(s for *_, s in counted))
    Xml.indent(top)
    text: bytes = Xml.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(top: Xml.Element, replayed: Replayed) -> tuple[int, int, float]:
    name, verdicts = _harmless(replayed.dataset.name), replayed.verdicts
    suite = Xml.SubElement(top, "testsuite", name=name)
    _count(suite, len(verdicts), len(replayed.failed), replayed.seconds)
    for verdict in verdicts:
        # All expectations of a dataset are judged by one pass: each has its share of the time, so that the sum is true.
        share = f"{replayed.seconds / len(verdicts):.3f}"
        case = Xml.SubElement(suite, "testcase", classname=name, name=_harmless(case_name(verdict)), time=share)
        if not verdict.ok:
            failure = Xml.SubElement(case, "failure", type="expectation", message=_harmless(found_wanted(verdict)))
            failure.text = _harmless("\n".join(told(verdict)))
    return len(verdicts), len(replayed.failed), replayed.seconds


def _count(element: Xml.Element, tests: int, failures: int, seconds: float) -> None:
    counts = {"tests": tests, "failures": failures, "errors": 0, "skipped": 0, "time": f"{seconds:.3f}"}
    for key, value in counts.items():
        element.set(key, str(value))


def case_name(verdict: Verdict) -> str:
    """An expectation in one line; the bounds make two of one detection differ."""
    return f"{verdict.expected.label}: {verdict.expected.wanted}"


def found_wanted(verdict: Verdict) -> str:
    """`found 0, wanted exactly 2`, and the nearest reason."""
    why = f"; {verdict.why}" if verdict.why else ""
    return f"found {len(verdict.findings)}, wanted {verdict.expected.wanted}{why}"


def told(verdict: Verdict) -> list[str]:
    """The first findings, a line each."""
    more = len(verdict.findings) - _FINDINGS
    lines = [_line(r) for r in verdict.findings[:_FINDINGS]]
    return lines + ([f"and {more} more"] if more > 0 else [])


def _line(row: Row) -> str:
    cells = [row["host"], row["process_name"], row["process_id"], "->", row["dest_ip"], row["dest_port"]]
    return " ".join([iso(row["event_time"]), *(shown(c) for c in cells), f"({shown(row['attribution'])})"])


def _harmless(text: str) -> str:
    """Text as XML may hold it; its markup is escaped by the writer. Illegal characters are left out."""
    return _NO_XML.sub("", text)
