"""The report of a replay as JUnit XML, for a CI server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from procnet.cli.output import iso, printable
from procnet.replay.replay import ReplayReport
from procnet.replay.verdicts import Row, Verdict

# Characters that XML 1.0 does not allow, not even as a reference: with one of them a server refuses the whole file.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MOST_FINDINGS = 5  # of a failed expectation


def to_junit(replayed: Sequence[ReplayReport]) -> bytes:
    """A testsuite for each dataset, a testcase for each expectation, a failure for each that does not hold."""
    top = Xml.Element("testsuites", name="procnet replay")
    for dataset in replayed:
        _add_suite(top, dataset)
    tests, failures = sum(len(r.verdicts) for r in replayed), sum(len(r.failed) for r in replayed)
    _set_counts(top, tests, failures, sum(r.seconds for r in replayed))
    Xml.indent(top)
    text: bytes = Xml.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add_suite(top: Xml.Element, replayed: ReplayReport) -> None:
    name, verdicts = _xml_text(replayed.dataset.name), replayed.verdicts
    suite = Xml.SubElement(top, "testsuite", name=name)
    _set_counts(suite, len(verdicts), len(replayed.failed), replayed.seconds)
    for verdict in verdicts:
        # The expectations of a dataset are judged together: each gets an equal share of the time.
        share = f"{replayed.seconds / len(verdicts):.3f}"
        label = _xml_text(f"{verdict.expected.label}: {verdict.expected.wanted}")
        case = Xml.SubElement(suite, "testcase", classname=name, name=label, time=share)
        if not verdict.ok:
            failure = Xml.SubElement(case, "failure", type="expectation", message=_xml_text(found_wanted(verdict)))
            failure.text = _xml_text("\n".join(_finding_lines(verdict)))


def _set_counts(element: Xml.Element, tests: int, failures: int, seconds: float) -> None:
    counts = {"tests": tests, "failures": failures, "errors": 0, "skipped": 0, "time": f"{seconds:.3f}"}
    for key, value in counts.items():
        element.set(key, str(value))


def found_wanted(verdict: Verdict) -> str:
    """`found 0, wanted exactly 2`, and the likely reason."""
    why = f"; {verdict.why}" if verdict.why else ""
    return f"found {len(verdict.findings)}, wanted {verdict.expected.wanted}{why}"


def _finding_lines(verdict: Verdict) -> list[str]:
    """The first findings, a line each."""
    more = len(verdict.findings) - _MOST_FINDINGS
    lines = [_line(r) for r in verdict.findings[:_MOST_FINDINGS]]
    return lines + ([f"and {more} more"] if more > 0 else [])


def _line(row: Row) -> str:
    cells = [row["host"], row["process_name"], row["process_id"], "->", row["dest_ip"], row["dest_port"]]
    return " ".join([iso(row["event_time"]), *map(printable, cells), f"({printable(row['attribution'])})"])


def _xml_text(text: str) -> str:
    """The text without characters that XML does not allow; the XML writer escapes its markup."""
    return _NOT_XML.sub("", text)
